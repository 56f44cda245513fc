"""With which seed, in which precision and where something is computed."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

from ntklab.configuration import Configuration, Several, setting
from ntklab.errors import InputError

if TYPE_CHECKING:
    import torch

DTYPES = ("float64", "float32")


@dataclass(frozen=True)
class ComputeSpec(Configuration):
    """Seed, dtype and device.

    Two kinds of chance are kept apart. The seed of the data fixes the images, their split and
    with them the frozen features. `seed` draws the adapter's initialization and which samples of
    the training rows are taken, so the spread over seeds is the spread over starts and samples on
    one and the same data set.

    Attributes:
        seed: see above.
        dtype: of the model and of the features that it sees.
        device: a torch device, e.g. "cpu".

    Raises:
        InputError: an unknown dtype, or a negative seed.

    Example:
        >>> ComputeSpec(dtype="float32").torch_dtype
        torch.float32
    """

    heading: ClassVar[str] = "Computation"

    seed: int = setting(
        0,
        "Seed of starts and samples, not of the data.",
        "-s SEED",
        least=0,
        several=Several(
            "--seeds -s SEEDS",
            "0:5 (0 to 4), 3 or 0,2,5: they draw starts and samples, not the data.",
            "seeds",
        ),
    )
    dtype: str = setting("float64", "Of features and model.", "NAME", words=DTYPES)
    device: str = setting(
        "cpu", "auto, cpu or cuda:0.", "NAME", hints=("auto", "cpu", "cuda:0"), grammar="device"
    )

    @property
    def torch_dtype(self) -> "torch.dtype":
        """The dtype as torch names it."""
        import torch

        named: torch.dtype = getattr(torch, self.dtype)
        return named

    def resolved(self) -> Self:
        """The same on the device that "auto" or "cuda" means here; others stay as they are."""
        if self.device not in ("auto", "cuda"):
            return self
        return replace(self, device=resolve_device(self.device))


def check_device(device: str) -> None:
    """Refuse a device that is not there.

    Raises:
        InputError: as `resolve_device` does.
    """
    resolve_device(device)


def resolve_device(device: str) -> str:
    """The device that a word means: "auto" is the first GPU if there is one.

    Raises:
        InputError: for a device that torch does not know or that is not there.

    Example:
        >>> resolve_device("cpu")
        'cpu'
    """
    import torch

    from ntklab import accelerator

    if device == "auto":
        return accelerator.first_accelerator() or "cpu"
    try:
        named = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device '{device}' is unknown: choose auto, cpu or cuda:0.") from error
    if not accelerator.has_float64(named):
        raise InputError(f"device '{device}' has no float64: choose auto, cpu or cuda:0.")
    if not accelerator.is_accelerator(named):
        return "cpu"
    count, kind = accelerator.count(named), named.type.replace("cuda", "CUDA")
    if (named.index or 0) >= count:
        raise InputError(
            f"device '{device}' is not there: torch sees {count} {kind} devices; choose auto or "
            "cpu."
        )
    return f"{named.type}:{named.index or 0}"
