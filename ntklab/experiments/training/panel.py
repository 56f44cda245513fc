"""The panel: many methods fine-tuned on one prompt task, each beside its kernel at the start."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ntklab.errors import InputError
from ntklab.records import Record

#: Names of the records that the prompt task leaves, under `figures/records`.
PANEL, LAYERS = "prompt-panel", "prompt-layers"
SHAPES, SHARING = "prompt-shapes", "prompt-sharing"

#: Optimizers with which every method is fine-tuned, as their columns end.
OPTIMIZERS = ("adam", "sgd")

#: Fewest methods of which a ranking is stated; sizes of one method count once. With fewer, the
#: intervals are those of a handful of points, and 12 tests see no correlation below 0.9.
LEAST_METHODS = 10
#: Fewest seeds of which anything is concluded.
LEAST_SEEDS = 5

#: Record -> the set of variants that the whole of it has.
_SETS = {PANEL: "methods", LAYERS: "layers", SHAPES: "shapes", SHARING: "sharing"}

Row = Mapping[str, Any]


def whole_count(name: str) -> int:
    """How many variants the whole panel of a record has.

    Example:
        >>> whole_count(PANEL)
        26
    """
    from ntklab.experiments.training.prompt.config import PANELS

    return len(PANELS[_SETS[name]])


@dataclass(frozen=True)
class Panel:
    """Rows of a prompt record, one a variant and seed.

    Attributes:
        rows: as the record has them.

    Example:
        >>> row = {"variant": "lora-r8", "method": "lora", "params": 64, "accuracy_adam": 0.8}
        >>> panel = Panel.of(Record("pair", {}, {}, [row | {"seed": s} for s in range(2)]))
        >>> panel.variants, panel.table("accuracy_adam"), panel.table("log_params")["lora-r8"][0]
        (('lora-r8',), {'lora-r8': {0: 0.8, 1: 0.8}}, 4.1588830833596715)
    """

    rows: tuple[Row, ...]

    @classmethod
    def of(cls, record: Record) -> "Panel":
        """The rows of a record.

        Raises:
            InputError: rows without variant or seed, or a variant with one seed twice.
        """
        seen: set[tuple[Any, Any]] = set()
        for row in record.results:
            if row.get("variant") is None or row.get("seed") is None:
                raise InputError("a row of the panel names no variant or no seed.")
            pair = row["variant"], row["seed"]
            if pair in seen:
                raise InputError(f"the panel has {pair[0]} at seed {pair[1]} twice.")
            seen.add(pair)
        return cls(tuple(record.results))

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the variants, in the order of the record."""
        return tuple(dict.fromkeys(row["variant"] for row in self.rows))

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds."""
        return tuple(sorted({row["seed"] for row in self.rows}))

    @property
    def methods(self) -> dict[str, str]:
        """The method of every variant: its sizes are no methods of their own."""
        return {name: str(self.first(name).get("method", name)) for name in self.variants}

    @property
    def of_the_panel(self) -> str:
        """How many variants there are, and of how many: 12 of the panel's 26 variants."""
        count, whole = len(self.variants), whole_count(PANEL)
        return f"{count} of the panel's {whole} variants" if count < whole else f"{count} variants"

    def ranks(self, variants: Collection[str]) -> bool:
        """Whether a ranking of these variants may be stated: enough methods, and seeds."""
        methods = {self.methods[name] for name in variants}
        return len(methods) >= LEAST_METHODS and len(self.seeds) >= LEAST_SEEDS

    def cut_off(self, variant: str, optimizer: str) -> bool:
        """Whether most runs of a variant ended by their epochs while they still gained.

        The best step is then the last one, and patience did not end the run.
        """
        rows = [row for row in self.rows if row["variant"] == variant]
        rows = [row for row in rows if row.get(f"steps_made_{optimizer}") is not None]
        ends = [
            row[f"steps_{optimizer}"] == row[f"steps_made_{optimizer}"]
            and not row.get(f"stopped_early_{optimizer}")
            for row in rows
        ]
        return 2 * sum(ends) > len(ends)

    def only(self, choose: Callable[[Row], bool]) -> "Panel":
        """The rows that a condition admits."""
        return Panel(tuple(row for row in self.rows if choose(row)))

    def first(self, variant: str) -> Row:
        """The first row of a variant, for what its seeds share (method, sizes, parameters)."""
        return next(row for row in self.rows if row["variant"] == variant)

    def table(self, figure: str) -> dict[str, dict[int, float]]:
        """A figure by variant and seed, of the variants that have it at every seed of the panel.

        Beside the columns of the record: `log_params`; `condition_nonzero`, λ_max over the smallest
        nonzero eigenvalue, which singular kernels have too; `speed_adam` and `speed_sgd`, minus
        the logarithm of the steps to half the training loss, where a run that never got there
        counts as one that takes twice the longest run's steps.

        Args:
            figure: name of a column, or one of these.
        """
        values: dict[str, dict[int, float]] = {name: {} for name in self.variants}
        for row in self.rows:
            value = self._value(row, figure)
            if value is not None:
                values[row["variant"]][row["seed"]] = float(value)
        return {
            name: by_seed for name, by_seed in values.items() if set(by_seed) == set(self.seeds)
        }

    def _value(self, row: Row, figure: str) -> float | None:
        if figure == "log_params":
            return math.log(row["params"]) if row.get("params") else None
        if figure == "condition_nonzero":
            largest, least = row.get("lambda_max"), row.get("lambda_min_nonzero")
            return largest / least if largest and least else None
        if figure.startswith("speed_"):
            return self._speed(row, figure.removeprefix("speed_"))
        return row.get(figure)

    def _speed(self, row: Row, optimizer: str) -> float | None:
        steps = row.get(f"steps_to_loss_{optimizer}")
        if steps is None:
            if row.get(f"train_loss_{optimizer}") is None:
                return None  # it was not trained, or its run failed
            steps = 2 * self._longest(optimizer)
        return -math.log(1 + steps)

    def _longest(self, optimizer: str) -> float:
        names = (f"steps_to_loss_{optimizer}", f"steps_{optimizer}")
        return max((row.get(name) or 0 for row in self.rows for name in names), default=0)
