"""A grid of cells: settings that all cells share, and several values along some axes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Generic, TypeVar

from ntklab.adapters.spec import SIZES, AdapterSpec
from ntklab.configuration import Configuration
from ntklab.errors import InputError

C = TypeVar("C", bound=Configuration)

#: What differs between the cells of one folder; everything else is the same in all of them.
AXES = ("method", "seed", "data_condition", *SIZES)


@dataclass(frozen=True)
class Grid(Generic[C]):
    """Every combination of the axes of a command, as configurations of one kind.

    Attributes:
        kind: the class of the cells.
        given: settings of all cells, by key; a size goes to those methods that have a use for it.
        axes: several values of a setting, by key. The first varies slowest; sizes vary last.

    Example:
        >>> from ntklab.experiments.spectrum import SpectrumConfig
        >>> axes = {"method": ("lora", "tensorguide"), "width": (64, 256)}
        >>> cells = Grid(SpectrumConfig, {"samples": 8}, axes).cells()
        >>> [(one.adapter.method, one.adapter.width) for one in cells]
        [('lora', None), ('tensorguide', 64), ('tensorguide', 256)]
    """

    kind: type[C]
    given: Mapping[str, Any] = field(default_factory=dict)
    axes: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def cells(self, **more: Any) -> list[C]:
        """Every configuration once, in the order of the axes.

        Args:
            **more: settings that go above the given ones.

        Raises:
            InputError: a size that no method here uses, or a value that cannot work.
        """
        given = {**self.given, **more}
        methods = self.axes.get("method") or (given.get("method", "lora"),)
        uses = {method: self._uses(method) for method in methods}
        _refuse_idle([*given, *self.axes], uses)
        configs = (
            self.kind.of(**{**own, **point}).resolved()
            for method, point in self._points(uses)
            for own in [{k: v for k, v in given.items() if _fits(k, uses[method])}]
        )
        return list(dict.fromkeys(configs))  # both conditions of a task that has none are one

    def _uses(self, method: str) -> frozenset[str]:
        baselines: Mapping[str, frozenset[str]] = getattr(self.kind, "baselines", {})
        return AdapterSpec(method).uses(baselines)

    def _points(self, uses: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The method and the values along all axes, of each combination that is one."""
        axes = {key: values for key, values in self.axes.items() if len(values)}
        outer = [key for key in axes if key not in SIZES]
        for values in product(*(axes[key] for key in outer)):
            point = dict(zip(outer, values, strict=True))
            method = point.get("method", next(iter(uses)))
            inner = [key for key in axes if key in SIZES and key in uses[method]]
            for sizes in product(*(axes[key] for key in inner)):
                yield method, point | dict(zip(inner, sizes, strict=True))


def _fits(key: str, uses: frozenset[str]) -> bool:
    return key not in SIZES or key in uses


def _refuse_idle(keys: Sequence[str], uses: Mapping[str, frozenset[str]]) -> None:
    used = frozenset().union(*uses.values())
    for key in keys:
        if not _fits(key, used):
            raise InputError(
                f"--{key.replace('_', '-')} has no meaning for {', '.join(uses)}: leave it out."
            )
