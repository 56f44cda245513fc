"""What decides a cell: everything that its numbers depend on, in one immutable value."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import torch

from ntklab.adapters import METHODS, Sizes, method_named
from ntklab.errors import InputError, unknown
from ntklab.records import plain
from ntklab.sweeps.loading import DTYPES, has_conditions


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """What every cell says of its adapter, whatever the adapter is put on.

    Two kinds of chance are kept apart. `data_seed` fixes the data: the images, their split and
    with them the frozen features; it stays 0 unless told. `seed` draws the adapter's
    initialization and which samples of the training rows are taken, so the spread over seeds is
    the spread over starts and samples on one and the same data set.

    Attributes:
        method: a name of `ntklab.adapters.METHODS`.
        data_seed: see above.
        seed: see above.
        preset: initialization, "ntk", "released" or "paper".
        width: M, like all sizes below planned by the method if None.
        rank: r.
        in_dims: latent modes n_k.
        out_dims: weight modes m_k.
        tt_ranks: r_0..r_K.
        budget: the most parameters, from which ranks are chosen.
        activation: σ of the hidden layer.
        scale: factor of the adapted part.
        dtype: of the adapter and the features it sees.
        device: a torch device, e.g. "cpu".
    """

    method: str
    data_seed: int = 0
    seed: int = 0
    preset: str = "ntk"
    width: int | None = None
    rank: int | None = None
    in_dims: tuple[int, ...] | None = None
    out_dims: tuple[int, ...] | None = None
    tt_ranks: tuple[int, ...] | None = None
    budget: int | None = None
    activation: str | None = None
    scale: float | None = None
    dtype: str = "float64"
    device: str = "cpu"

    def __post_init__(self) -> None:
        self.sizes_used(self.method)  # refuses an unknown method
        self.check_least(seed=0, data_seed=0)
        if self.dtype not in DTYPES:
            raise unknown("dtype", self.dtype, DTYPES)

    def check_least(self, **least: int) -> None:
        """Refuse numbers below a least one; None passes."""
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is not None and value < smallest:
                raise InputError(f"{name} = {value} must be at least {smallest}.")

    @staticmethod
    def sizes_used(method: str) -> frozenset[str]:
        """The fields of `ntklab.adapters.Sizes` that shape a method.

        Raises:
            InputError: for an unknown method, with the nearest match.
        """
        return method_named(method).uses

    @property
    def sizes(self) -> dict[str, Any]:
        """The sizes as arguments of `ntklab.adapters.build_adapter`."""
        return {name: getattr(self, name) for name in Sizes.__dataclass_fields__}

    def to_dict(self) -> dict[str, Any]:
        """The configuration as JSON data; equal configurations give equal data."""
        told: dict[str, Any] = plain(asdict(self))
        return told

    def for_method(self, method: str) -> Self:
        """The same cell for another method, without the sizes that it has no use for.

        Example:
            >>> config = SpectrumConfig(method="lora", rank=2, preset="released")
            >>> other = config.for_method("tensorguide")
            >>> other.rank, other.preset
            (None, 'released')
        """
        idle = set(Sizes.__dataclass_fields__) - self.sizes_used(method)
        cleared: dict[str, Any] = dict.fromkeys(idle)
        return replace(self, method=method, **cleared)


@dataclass(frozen=True, kw_only=True)
class HeadConfig(AdapterConfig):
    """What every cell on features of a task says: the adapter, and the data with their backbone.

    Attributes:
        task: a name of `ntklab.tasks.TASKS`.
        data_condition: "noisy" or "clean"; None for tasks that have no conditions.
        data: file or folder of the images; simulated if None.
        images: how many to simulate; the task's own number if None.
        backbone: the frozen network that makes features; the task's own if None.
        backbone_weights: a file of weights; random weights if None.
    """

    task: str = "quantum-dot"
    data_condition: str | None = "noisy"
    data: str | None = None
    images: int | None = None
    backbone: str | None = None
    backbone_weights: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not has_conditions(self.task):
            object.__setattr__(self, "data_condition", None)


@dataclass(frozen=True, kw_only=True)
class SpectrumConfig(HeadConfig):
    """One cell of `ntklab spectrum`: one method, one seed, one condition of the data.

    Spectra are always solved in float64, whatever the `dtype` of features and model.

    Attributes:
        samples: N, taken from the training rows.
        engine: of the Jacobian, a name of `ntklab.jacobians.ENGINES` or "auto".
        memory: bytes that the Jacobian and the solver may take; a share of what is free if None.
        centred: whether to take the kernel that softmax sees, of size N(C−1).
        per_core: whether to add a row for the kernel of every core, K = Σ_k K_k.

    Raises:
        InputError: for a value that cannot work whatever the data.

    Example:
        >>> SpectrumConfig(method="lora", seed=3).samples
        256
        >>> SpectrumConfig(method="lora", samples=0)
        Traceback (most recent call last):
        ntklab.errors.InputError: samples = 0 must be at least 1.
    """

    samples: int = 256
    engine: str = "auto"
    memory: int | None = None
    centred: bool = False
    per_core: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_least(samples=1)


def methods_named(words: list[str]) -> list[str]:
    """The methods that a list of words names, in order; "all" is every one.

    Raises:
        InputError: for an unknown word, with the nearest match.

    Example:
        >>> methods_named(["all"])[0], methods_named(["tera", "lora", "tera"])
        ('lora', ['tera', 'lora'])
    """
    found: dict[str, None] = {}
    for word in words:
        found |= dict.fromkeys(METHODS if word == "all" else [method_named(word).method])
    return list(found)


def resolve_device(device: str) -> str:
    """The device that a word means: "auto" is the first GPU if there is one.

    Raises:
        InputError: for a device that torch does not know or that is not there.

    Example:
        >>> resolve_device("cpu")
        'cpu'
    """
    if device == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        named = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device '{device}' is unknown: choose auto, cpu or cuda:0.") from error
    count = torch.cuda.device_count() if named.type == "cuda" else 0
    if named.type not in ("cpu", "cuda"):
        raise InputError(f"device '{device}' has no float64: choose auto, cpu or cuda:0.")
    if named.type == "cuda" and (named.index or 0) >= count:
        raise InputError(
            f"device '{device}' is not there: torch sees {count} CUDA devices; choose auto or cpu."
        )
    return f"cuda:{named.index or 0}" if named.type == "cuda" else "cpu"
