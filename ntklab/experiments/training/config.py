"""The pattern of every training run's configuration: an adapter, its data, how it is trained."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

from ntklab.adapters.spec import AdapterSpec
from ntklab.compute import ComputeSpec
from ntklab.configuration import Configuration


class TrainingConfig(Configuration):
    """A training run: heads, a language model's last layer and fine-tuning each add their fields.

    A subclass is a frozen dataclass that holds `adapter`, its data and `compute`.

    Attributes:
        baselines: methods that are no adapters, with the sizes that each takes.
        places: keys of settings that may name a folder of this machine.
        adapter: which adapter.
        compute: seed, dtype and device.

    Raises:
        InputError: an unknown method, or a value that cannot work whatever the data.
    """

    baselines: ClassVar[Mapping[str, frozenset[str]]] = {}
    places: ClassVar[tuple[str, ...]] = ()

    adapter: AdapterSpec
    compute: ComputeSpec

    def __post_init__(self) -> None:
        super().__post_init__()
        self.adapter.uses(self.baselines)

    def for_method(self, method: str) -> Self:
        """The same run for another method, without the sizes that it has no use for."""
        return replace(self, adapter=self.adapter.for_method(method, self.baselines))  # type: ignore[type-var]

    @property
    def variant(self) -> str:
        """The method with the sizes that were asked for: what a row of a table is about.

        Example:
            >>> from ntklab.experiments.training.heads.config import PairConfig
            >>> PairConfig.of(method="tensorguide", width=2048).variant
            'tensorguide M=2048'
            >>> PairConfig.of(method="lora").variant
            'lora'
        """
        adapter = self.adapter
        ranks = None if adapter.tt_ranks is None else ",".join(map(str, adapter.tt_ranks))
        sizes = {"M=": adapter.width, "r=": adapter.rank, "ranks=": ranks, "P<=": adapter.budget}
        return " ".join([adapter.method, *(f"{k}{v}" for k, v in sizes.items() if v is not None)])

    def to_dict(self) -> dict[str, Any]:
        """The configuration as JSON data; of a folder of this machine its name alone."""
        flat = super().to_dict()
        for key in self.places:
            value = flat[key]
            flat[key] = Path(value).name if value and Path(value).exists() else value
        return flat
