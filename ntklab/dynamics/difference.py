"""Two classes as one output: the difference of their logits."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.dynamics.modes import Modes
from ntklab.errors import InputError


@takes_arrays
def logit_difference(outputs: Float[Tensor, "N 2"]) -> Float[Tensor, "N 1"]:
    """f_1 − f_0, positive where class 1 is chosen.

    Raises:
        InputError: other than two outputs.

    Example:
        >>> logit_difference(torch.tensor([[1.0, 3.0]])).tolist()
        [[2.0]]
    """
    if outputs.ndim != 2 or outputs.shape[1] != 2:
        raise InputError(
            f"outputs have shape {tuple(outputs.shape)}: a difference of logits needs two, (N, 2)."
        )
    return outputs[:, 1:] - outputs[:, :1]


@takes_arrays
def difference_kernel(kernel: Float[Tensor, "M2 N2"]) -> Float[Tensor, "M N"]:
    """The kernel of the difference of logits: K_11 − K_10 − K_01 + K_00 of every pair of samples.

    Args:
        kernel: full kernel of two outputs, rows n·2 + c; also a cross kernel.

    Raises:
        InputError: an odd number of rows or columns.

    Example:
        >>> difference_kernel(torch.tensor([[3.0, 1.0], [1.0, 2.0]])).tolist()
        [[3.0]]
    """
    if kernel.ndim != 2 or kernel.shape[0] % 2 or kernel.shape[1] % 2:
        raise InputError(
            f"a kernel of shape {tuple(kernel.shape)} is not one of two outputs a sample: give "
            "(2M, 2N), the full kernel."
        )
    # Sums of equals and of mirror images, so that a symmetric kernel stays so to the last bit.
    equal = kernel[1::2, 1::2] + kernel[::2, ::2]
    return equal - (kernel[1::2, ::2] + kernel[::2, 1::2])


def lift_modes(modes: Modes) -> Modes:
    """Modes of z = f_1 − f_0 as centred modes of two logits (−z/2, z/2), which softmax sees.

    With D = (−1, 1), the kernel Dᵀ K_z D/4 of two logits has the difference D Dᵀ K_z D Dᵀ/4 = K_z;
    its unit vectors are v ⊗ D/√2, so λ becomes λ/2.

    Example:
        >>> lift_modes(Modes.of(torch.tensor([[2.0]]))).eigenvalues.tolist()
        [1.0]
    """
    pair = torch.tensor([[-1.0], [1.0]], dtype=torch.float64) / math.sqrt(2)
    vectors = (modes.vectors[:, None] * pair).reshape(-1, modes.rank)
    return Modes(modes.eigenvalues / 2, vectors, centred=True)


def lift_cross(cross: Float[Tensor, "M N"]) -> Float[Tensor, "M N2"]:
    """K_z(x*, X) for the modes of `lift_modes`: from training logits to z at other points."""
    pair = torch.tensor([-0.5, 0.5], dtype=torch.float64)
    return (cross.double()[..., None] * pair).flatten(1)
