"""The configuration of a cell: all that its numbers depend on, in one immutable value."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from ntklab.adapters.spec import PEFT, AdapterSpec
from ntklab.compute import ComputeSpec
from ntklab.configuration import Configuration, setting
from ntklab.errors import InputError
from ntklab.experiments.spectrum.inside.spec import ModelSpec
from ntklab.jacobians.registry import ENGINES
from ntklab.tasks.spec import DataSpec

ENGINE_NAMES = ("auto", *ENGINES)


@dataclass(frozen=True, kw_only=True)
class SpectrumConfig(Configuration):
    """One cell of `ntklab spectrum`: one method, one seed, one condition of the data.

    The adapter is a head on the features of a task, or stands in the layers of a language model
    that reads texts (`inside`); the data then play no part, and are not in the flat form.

    Spectra are always solved in float64, whatever the `dtype` of features and model.

    Attributes:
        adapter: which adapter.
        data: on which data.
        inside: in which model and layers, on which texts.
        compute: seed, dtype and device.
        samples: N, taken from the training rows.
        engine: of the Jacobian, a name of `ntklab.jacobians.ENGINES` or "auto".
        centred: whether to take the kernel that softmax sees, of size N(C−1).
        per_core: whether to add a row for the kernel of every core, K = Σ_k K_k.
        weighted: whether to add a row for the kernel weighted as cross-entropy weights it.
        memory: bytes that the Jacobian and the solver may take; a share of what is free if None.

    Raises:
        InputError: for a value that cannot work whatever the data.

    Example:
        >>> SpectrumConfig.of(method="lora", seed=3).samples
        256
        >>> SpectrumConfig.of(method="lora", samples=0)
        Traceback (most recent call last):
        ntklab.errors.InputError: samples = 0 must be at least 1.
    """

    heading: ClassVar[str] = "Kernel"

    adapter: AdapterSpec
    data: DataSpec = field(default_factory=DataSpec)
    inside: ModelSpec = field(default_factory=ModelSpec)
    compute: ComputeSpec = field(default_factory=ComputeSpec)
    samples: int = setting(256, "Training samples N.", "-n N", least=1)
    engine: str = setting("auto", f"{', '.join(ENGINE_NAMES)}.", "NAME", words=ENGINE_NAMES)
    centred: bool = setting(False, "The kernel that softmax sees, of size N(C-1).")
    per_core: bool = setting(False, "Also a row for the kernel of every core, K = sum of K_k.")
    weighted: bool = setting(
        False, "Also J^T(diag p - pp^T)J, the curvature of cross-entropy.", young=True
    )
    memory: int | None = setting(
        None, "Most memory, e.g. 4GiB; a share of what is free if not.", "AMOUNT", grammar="bytes"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.adapter.uses()  # refuses an unknown method
        if self.inside.model is None:
            self._check_head()
        else:
            self._check_inside()

    def to_dict(self) -> dict[str, Any]:
        """As every configuration has it; of a cell inside a model, without the data of heads."""
        flat = super().to_dict()
        if self.inside.model is None:
            return flat
        return {key: value for key, value in flat.items() if key not in self.data.flat_fields()}

    def _check_head(self) -> None:
        if self.adapter.method.startswith(PEFT):
            raise InputError(
                f"{self.adapter.method} is put into the layers of a model: give --model as well."
            )
        if self.adapter.preset == "zero":
            raise InputError(
                "preset = zero is a start inside a model: give --model as well, or another preset."
            )

    def _check_inside(self) -> None:
        if self.data != DataSpec():
            raise InputError(
                "--model reads texts (--text FILE), but the task and its data are for heads: leave "
                "out --task, --data and what goes with them."
            )
        if self.centred and self.inside.kind in ("loss", "margin"):
            raise InputError(
                f"a {self.inside.kind} is one output a sample, and softmax over one is constant: "
                "leave --centred out, or read some tokens."
            )
        if self.weighted:
            raise InputError("--weighted is for heads: leave it out beside --model.")
        whole = self.inside.kind == "vocabulary"
        if whole and (self.per_core or self.inside.per_layer):
            raise InputError(
                "a whole vocabulary has one kernel, not one a layer or a core: leave --per-layer "
                "and --per-core out, or read some tokens."
            )

    def for_method(self, method: str) -> Self:
        """The same cell for another method, without the sizes that it has no use for.

        Example:
            >>> config = SpectrumConfig.of(method="lora", rank=2, preset="released")
            >>> other = config.for_method("tensorguide")
            >>> other.adapter.rank, other.adapter.preset
            (None, 'released')
        """
        return replace(self, adapter=self.adapter.for_method(method))
