"""Which cells `ntklab pair --task prompt` asks for: methods, sizes, optimizers and seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

from ntklab.adapters.spec import SIZES
from ntklab.errors import InputError, unknown
from ntklab.experiments.grid import Grid
from ntklab.experiments.training.prompt.config import PANEL, PANELS, STAND_INS, PromptConfig

#: The small form: one seed, few rates, short runs.
QUICK: dict[str, Any] = {
    **{"shots": 16, "test": 100, "epochs": 6, "watched": 4, "optimizer": "adam"},
}
#: Its rates by optimizer, in the units of `GRIDS`.
QUICK_RATES = {"adam": (1e-3, 1e-2), "sgd": (0.3, 1.0)}

OPTIMIZERS = ("adam", "sgd")


def prompt_methods() -> tuple[str, ...]:
    """All names that `method` may have here."""
    return (*dict.fromkeys(method for method, _ in PANEL), *STAND_INS)


def prompt_cells(
    given: Mapping[str, Any],
    methods: Sequence[str] = ("all",),
    seeds: Sequence[int] = (),
    *,
    axes: Mapping[str, Sequence[Any]] | None = None,
    panel: str = "methods",
    quick: bool = False,
) -> list[PromptConfig]:
    """A cell for each seed, variant and optimizer; the first seed of all variants comes first.

    Args:
        given: settings of `PromptConfig`; `optimizer` may also be "both".
        methods: names, or "all" for the panel with its sizes. A name without sizes has those of
            the panel too, unless sizes are given.
        seeds: 0 to 4 if empty, 0 if quick.
        axes: sizes with several values, by key.
        panel: which set of variants "all" stands for, of `PANELS`.
        quick: take `QUICK` where nothing else is given.

    Raises:
        InputError: for words and numbers that mean nothing.

    Example:
        >>> cells = prompt_cells({"data": "films.tsv"}, ["lora"], [0, 1])
        >>> [(cell.variant, cell.compute.seed) for cell in cells][:3]
        [('lora r=2', 0), ('lora r=8', 0), ('lora r=2', 1)]
    """
    given, sizes = {**(QUICK if quick else {}), **given}, dict(axes or {})
    word, _ = given.pop("optimizer", "adam"), given.pop("method", None)
    if word not in (*OPTIMIZERS, "both"):
        raise unknown("optimizer", word, (*OPTIMIZERS, "both"))
    if given.get("data") is None:
        raise InputError("the task prompt reads sentences from a table: give --data FILE.")
    if panel not in PANELS:
        raise unknown("panel", panel, PANELS)
    sized = bool(sizes) or any(key in given for key in SIZES)
    variants = _variants(given, methods, sizes, PANELS[panel], sized=sized, quick=quick)
    wanted = OPTIMIZERS if word == "both" else (word,)
    few = quick and not {"rates", "lr"} & given.keys()
    rates = {name: {"rates": QUICK_RATES[name]} if few else {} for name in OPTIMIZERS}
    return [
        variant.with_(seed=seed, optimizer=optimizer, **rates[optimizer]).resolved()
        for optimizer in wanted
        for seed in seeds or range(1 if quick else 5)
        for variant in variants
    ]


def _variants(
    given: Mapping[str, Any],
    methods: Sequence[str],
    sizes: Mapping[str, Sequence[Any]],
    panel: Sequence[tuple[str, Mapping[str, Any]]],
    *,
    sized: bool,
    quick: bool,
) -> list[PromptConfig]:
    names = list(dict.fromkeys(name for word in methods for name in word.split(",")))
    for name in names:
        if name != "all" and name not in prompt_methods():
            raise unknown("method", name, prompt_methods())
    whole = [method for method, _ in panel]
    names = list(dict.fromkeys(whole if "all" in names else names))
    if sized:
        return Grid(PromptConfig, given, {"method": names, **sizes}).cells()
    variants = []
    for name in names:
        own = [options for method, options in panel if method == name] or [{}]
        own = own[:1] if quick else own
        variants += [PromptConfig.of(method=name, **{**given, **options}) for options in own]
    return variants
