"""The configuration of a network of the approximation curves, and the networks of a curve."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ntklab.compute import ComputeSpec
from ntklab.configuration import Configuration, Several, setting
from ntklab.tasks.spec import DataSpec

TARGETS = ("barron", "dense-head")
NETWORKS = ("dense", "linear", "adapter")
#: Released ranks; an open last bond (theory P2: no collapse of the width); then larger ones.
TT_RANKS = ((1, 2, 2, 1, 1), (1, 2, 2, 2, 1), (1, 4, 4, 4, 1), (1, 8, 8, 8, 1))
#: Adam's rate by target and network, the same at every width (see `DenseHead`). Found by trying
#: powers of about 3; features of a task are many and of one sign, so larger rates kill its ReLUs.
RATES = {
    "barron": {"dense": 1.0, "linear": 1.0, "adapter": 0.03},
    "dense-head": {"dense": 0.1, "linear": 0.1, "adapter": 0.01},
}


@dataclass(frozen=True, kw_only=True)
class ApproximationConfig(Configuration):
    """One network to train, and what it is measured against.

    Attributes:
        target: "barron" or "dense-head".
        network: "dense", "linear" or "adapter".
        width: M.
        tt_ranks: r_0..r_K: one for an adapter; those at which a dense head is truncated.
        data: of the target dense-head; its seed is that of the Barron target too.
        compute: seed (of start, minibatches and, for a task, of which training rows are taken),
            dtype of training (bounds and truncation are in float64), device.
        features: d of the Barron target, one constant feature not counted.
        samples: N.
        steps: updates of Adam.
        batch: samples a step.
        rate: of Adam; that of `RATES` if None.

    Raises:
        InputError: an unknown target or network, or a number below 1.

    Example:
        >>> ApproximationConfig(target="barron", network="dense", width=16).data.condition
    """

    heading: ClassVar[str] = "Curves"

    target: str = setting(
        "barron",
        "barron or dense-head.",
        "NAME",
        words=TARGETS,
        several=Several(
            "--target NAME", "barron or dense-head, or both when left out.", "words", repeated=True
        ),
    )
    network: str = setting("dense", "dense, linear or adapter.", "NAME", words=NETWORKS)
    width: int = setting(
        1,
        "Width M.",
        "M",
        least=1,
        several=Several(
            "--width M,M,..", "Widths: 64,256 or 64:4096 (in steps of 4 times).", "powers"
        ),
    )
    tt_ranks: tuple[tuple[int, ...], ...] = setting(
        (),
        "TT-ranks.",
        several=Several(
            "--tt-ranks R0,R1,..",
            "TT-ranks, e.g. 1,2,2,1,1; several times.",
            "lists",
            repeated=True,
        ),
    )
    data: DataSpec = field(default_factory=DataSpec)
    compute: ComputeSpec = field(default_factory=lambda: ComputeSpec(dtype="float32"))
    features: int = setting(8, "Features d of the Barron target.", "D", least=1)
    samples: int = setting(16384, "Training samples N.", "-n N", least=1)
    steps: int = setting(1500, "Updates of Adam.", "COUNT", least=1)
    batch: int = setting(256, "Samples a step.", "COUNT", least=1)
    rate: float | None = setting(None, "Rate of Adam.", "RATE")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate is None:
            object.__setattr__(self, "rate", RATES[self.target][self.network])
        if self.target == "barron":
            object.__setattr__(self, "data", self.data.with_(task="synthetic"))


#: How much is computed, by target: quick, and in full.
SIZES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "barron": (
        {"samples": 16384, "steps": 1500, "batch": 256},
        {"samples": 65536, "steps": 10000, "batch": 512},
    ),
    "dense-head": (
        {"samples": 256, "images": 400, "steps": 200, "batch": 64},
        {"samples": 1024, "images": 2000, "steps": 1000, "batch": 64},
    ),
}
#: Settings of the data that the Barron target has no use for.
_OF_A_TASK = ("task", "data_condition", "data", "images", "backbone", "backbone_weights")


def curve_cells(
    given: Mapping[str, Any],
    *,
    targets: Sequence[str] = TARGETS,
    widths: Sequence[int] = (64, 256, 1024, 4096),
    tt_ranks: Sequence[tuple[int, ...]] = TT_RANKS,
    seeds: Sequence[int] = (0,),
    quick: bool = False,
) -> list[ApproximationConfig]:
    """Every network of every target.

    Args:
        given: settings by key, above the sizes of `quick` or full; those of a task go to the
            targets that have one.
        targets: names of `TARGETS`.
        widths: M.
        tt_ranks: at which dense heads are truncated and adapters trained.
        seeds: of starts and minibatches.
        quick: fewer samples and steps.

    Raises:
        InputError: for a value that cannot work.
    """
    cells = []
    for target in targets:
        own = dict(SIZES[target][0 if quick else 1]) | dict(given)
        if target == "barron":
            own = {key: value for key, value in own.items() if key not in _OF_A_TASK}
        start = ApproximationConfig.of(target=target, **own).resolved()
        cells += approximation_cells(start, widths, tt_ranks, seeds)
    return cells


def approximation_cells(
    start: ApproximationConfig,
    widths: Sequence[int],
    tt_ranks: Sequence[tuple[int, ...]],
    seeds: Sequence[int],
) -> list[ApproximationConfig]:
    """Every network of one target's curves, the widest first, since they take longest.

    Example:
        >>> start = ApproximationConfig(target="barron", network="dense", width=1)
        >>> cells = approximation_cells(start, (4, 16), TT_RANKS, (0,))
        >>> len(cells), cells[0].width
        (12, 16)
    """
    cells = []
    for width in sorted(set(widths), reverse=True):
        for seed in seeds:
            distinct = tuple(dict.fromkeys(tt_ranks))
            networks = [("dense", distinct), ("linear", ())]
            networks += [("adapter", (ranks,)) for ranks in distinct]
            # rate=None: every network has its own.
            cells += [
                start.with_(width=width, seed=seed, network=network, tt_ranks=ranks, rate=None)
                for network, ranks in networks
            ]
    return cells


def shared_by_target(configs: Sequence[ApproximationConfig]) -> dict[str, Any]:
    """The settings that networks of a target share; a folder may grow in widths, ranks, seeds."""
    varying = ("target", "network", "width", "tt_ranks", "seed", "rate")
    return {
        config.target: {
            name: value for name, value in config.to_dict().items() if name not in varying
        }
        for config in configs
    }


def approximation_config(configs: Sequence[ApproximationConfig]) -> dict[str, Any]:
    """The configuration of the record: sizes by target, rates, and the values along every axis."""
    return {
        **shared_by_target(configs),
        "widths": sorted({config.width for config in configs}),
        "tt_ranks": list(dict.fromkeys(r for config in configs for r in config.tt_ranks)),
        "seeds": sorted({config.compute.seed for config in configs}),
        "optimizer": "adam, cosine schedule",
        "rates": {f"{config.target} {config.network}": config.rate for config in configs},
    }
