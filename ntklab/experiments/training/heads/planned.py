"""How many trainings a command asks for, and about how long they take, before any."""

from collections.abc import Sequence
from typing import Any

from ntklab.experiments.run import Plan
from ntklab.experiments.training.heads.config import PairConfig
from ntklab.statistics import grouped
from ntklab.tasks.quantum_dot.task import SIMULATED_IMAGES, TRAIN_SHARE

#: Updates a second on one core, about, by the seconds of the committed records: of heads on cached
#: features, and through a frozen backbone.
CACHED, END_TO_END = 1500.0, 5.0
_MINUTES = 120.0  # seconds from which minutes are said
_BESIDE = 2.0  # seconds: the kernel at the start, its prediction, and looks along the run


def training_runs(configs: Sequence[PairConfig], *, speed: float = CACHED) -> Plan:
    """A row a variant, and one sentence: runs, trainings with those that choose a rate, minutes.

    Args:
        configs: all runs.
        speed: updates a second.

    Example:
        >>> training_runs([PairConfig.of(method="lora", samples=64)] * 2).sentences
        ['2 training runs with their predictions, 12 trainings with the searches of a rate; \
about 4 s on one core, estimated.']
    """
    flat = [(config, config.to_dict() | {"variant": config.variant}) for config in configs]
    table = grouped([row | {"own": config} for config, row in flat], "settings", "variant")
    rows = [_row([row["own"] for row in own]) for own in table.values()]
    trainings = sum(map(_trainings, configs))
    one = len(configs) == 1
    runs = "1 training run" if one else f"{len(configs)} training runs"
    predicted = any(config.predict for config in configs)
    beside = (" with its prediction" if one else " with their predictions") if predicted else ""
    search = f", {trainings} trainings with the searches of a rate" * (trainings > len(configs))
    return Plan(rows, [f"{runs}{beside}{search}; {_time(configs, speed)}."])


def end_to_end_runs(configs: Sequence[PairConfig]) -> Plan:
    """The same, of runs through the backbone."""
    return training_runs(configs, speed=END_TO_END)


def _row(configs: Sequence[PairConfig]) -> dict[str, Any]:
    first = configs[0]
    row: dict[str, Any] = {"settings": first.settings, "variant": first.variant}
    row["seeds"] = len(configs)
    return row | {"rates_tried": len(first.rates) or None, "updates": _updates(first)}


def _trainings(config: PairConfig) -> int:
    """Those that choose a rate, and the run itself."""
    return 1 + (len(config.rates) if config.lr is None else 0)


def _updates(config: PairConfig) -> int | None:
    """Of one training; None where the number of samples is not known before the data are read."""
    samples = config.samples
    if samples is None and config.data.task == "quantum-dot" and config.data.path is None:
        images = SIMULATED_IMAGES if config.data.images is None else config.data.images
        samples = round(TRAIN_SHARE * images)
    if config.steps is not None:
        return config.steps
    return None if samples is None else config.training(1.0).total_steps(samples)


def _time(configs: Sequence[PairConfig], speed: float) -> str:
    updates = [_updates(config) for config in configs]
    if None in updates:
        return "the time depends on how many samples the data hold"
    work = sum(_trainings(c) * (n or 0) for c, n in zip(configs, updates, strict=True))
    seconds = work / speed + _BESIDE * len(configs)
    about = f"{seconds:.0f} s" if seconds < _MINUTES else f"{seconds / 60:.0f} minutes"
    return f"about {about} on one core, estimated"
