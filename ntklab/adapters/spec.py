"""Which adapter, how it starts, and the few numbers that shape it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ntklab.adapters.registry import METHODS
from ntklab.configuration import Configuration, Several, setting

PRESETS = ("ntk", "released", "paper")

#: How adapters inside a model start; `zero` leaves the model's outputs as they are.
STARTS = ("ntk", "released", "zero")

#: Before the name of a method of peft, which stands inside a model.
PEFT = "peft:"

#: The fields that shape an adapter; each method takes those of its `uses`.
SIZES = ("width", "rank", "tt_ranks", "in_dims", "out_dims", "budget", "activation")


@dataclass(frozen=True)
class AdapterSpec(Configuration):
    """A method with its start and sizes; shapes that are left out are planned.

    Attributes:
        method: a name of `ntklab.adapters.METHODS`; experiments also take baselines of their own.
        preset: how the parameters start (`ntklab.adapters.presets`); `zero` inside models alone.
        width: M of a generated head.
        rank: r of LoRA, M of TT-LoRA's factors, the largest TT-rank of TT-delta, R_k of TeRA.
        tt_ranks: r_0..r_K (R_1..R_K for TeRA).
        in_dims: latent modes n_k.
        out_dims: weight modes m_k.
        budget: the most parameters, from which ranks are chosen.
        activation: σ of a hidden layer.
        scale: factor of the adapted part; the preset's if None.

    Raises:
        InputError: an unknown preset.

    Example:
        >>> AdapterSpec("lora", rank=2).sizes
        {'rank': 2}
    """

    heading: ClassVar[str] = "Adapter"

    method: str = setting(
        "lora",
        "Adapter.",
        "-m METHOD",
        hints=METHODS,
        beginnings=(PEFT,),
        several=Several(
            "--method -m METHOD",
            f"{', '.join(METHODS)}, or all; may be given several times.",
            "words",
            every="all",
            repeated=True,
        ),
    )
    preset: str = setting(
        "ntk",
        "Start: ntk, released or paper; inside a model also zero.",
        "NAME",
        words=tuple(dict.fromkeys((*PRESETS, *STARTS))),
    )
    width: int | None = setting(
        None,
        "Hidden width M of a generated head.",
        "M",
        several=Several(
            "--width M,M,..", "Widths: 64,256 or 64:4096 (in steps of 4 times).", "powers"
        ),
    )
    rank: int | None = setting(
        None,
        "Rank of LoRA, or the largest rank of a train.",
        "-r R",
        several=Several("--rank -r R,R,..", "Ranks, e.g. 1,4,16.", "numbers"),
    )
    tt_ranks: tuple[int, ...] | None = setting(
        None,
        "All TT-ranks, e.g. 1,2,2,1,1.",
        "R0,R1,..",
        several=Several(
            "--tt-ranks R0,R1,..",
            "TT-ranks, e.g. 1,2,2,1,1; several times.",
            "lists",
            repeated=True,
        ),
    )
    in_dims: tuple[int, ...] | None = setting(None, "Latent modes, e.g. 1,2,2,1.", "N1,N2,..")
    out_dims: tuple[int, ...] | None = setting(None, "Weight modes, e.g. 16,8,257,16.", "M1,M2,..")
    budget: int | None = setting(None, "Most parameters; ranks follow from it.", "COUNT")
    activation: str | None = setting(None, "identity, relu, tanh or gelu.", "NAME")
    scale: float | None = setting(None, "Factor of the adapted part.", "NUMBER")

    @property
    def sizes(self) -> dict[str, Any]:
        """The sizes that are given, by name."""
        given = {name: getattr(self, name) for name in SIZES}
        return {name: value for name, value in given.items() if value is not None}

    def uses(self, baselines: Mapping[str, frozenset[str]] = {}) -> frozenset[str]:
        """The sizes that shape the method.

        Args:
            baselines: methods that an experiment builds itself, with the sizes of each.

        Raises:
            InputError: for an unknown method, with the nearest match.
        """
        if self.method in baselines:
            return baselines[self.method]
        if self.method.startswith(PEFT):
            return frozenset({"rank"})
        return METHODS.named(self.method).uses

    def for_method(
        self, method: str, baselines: Mapping[str, frozenset[str]] = {}
    ) -> "AdapterSpec":
        """The same adapter by another method, without the sizes that it has no use for.

        Raises:
            InputError: for an unknown method, with the nearest match.

        Example:
            >>> AdapterSpec("lora", rank=2, preset="released").for_method("tensorguide").sizes
            {}
        """
        other = self.with_(method=method)
        idle = set(SIZES) - other.uses(baselines)
        return other.with_(**dict.fromkeys(idle))
