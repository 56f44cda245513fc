"""Kernels from the rows of two blocks of samples at a time, and the sizes that they have."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.errors import InputError
from ntklab.jacobians.engines.engine import Output, multiply_rows, multiply_symmetric
from ntklab.jacobians.memory import Progress, spans

#: The rows (n, C, P) of samples start..stop.
RowsOf = Callable[[int, int], Float[Tensor, "n C P"]]


def kernel_shape(samples: tuple[int, int], n_outputs: int, output: Output) -> tuple[int, ...]:
    """The shape of a kernel of N1 and N2 samples.

    Example:
        >>> [kernel_shape((2, 3), 4, one) for one in ("full", "trace", "diagonal")]
        [(8, 12), (2, 3), (4, 2, 3)]
    """
    if output == "full":
        return samples[0] * n_outputs, samples[1] * n_outputs
    return (n_outputs, *samples) if output == "diagonal" else samples


def fill_kernel(
    kernel: Tensor,
    first: RowsOf,
    second: RowsOf | None,
    samples: tuple[int, int],
    output: Output,
    *,
    n_outputs: int,
    block: int,
    progress: Progress | None = None,
) -> None:
    """Write the products of all rows into the kernel, one block of samples with another.

    Args:
        kernel: what is written, of shape `kernel_shape(samples, n_outputs, output)`.
        first: the rows on the left.
        second: the rows on the right; None for those on the left, when one triangle is computed
            and mirrored.
        samples: N1 and N2.
        output: as `Jacobian.gram` has it.
        n_outputs: C.
        block: samples a block.
        progress: called with (samples done, N1).
    """
    step = n_outputs if output == "full" else 1
    for i, i_stop in spans(samples[0], block):
        here = slice(i * step, i_stop * step)
        rows = first(i, i_stop)
        if second is None:
            multiply_symmetric(rows, output, out=kernel[..., here, here])
        for j, j_stop in spans(i if second is None else samples[1], block):
            there = slice(j * step, j_stop * step)
            tile = multiply_rows(rows, (second or first)(j, j_stop), output)
            kernel[..., here, there] = tile
            if second is None:
                kernel[..., there, here] = tile.mT
        if progress is not None:
            progress(i_stop, samples[0])


def sum_by_layer(
    blocks: Mapping[str, Float[Tensor, "N C p"]], layers: Mapping[str, str], output: Output
) -> dict[str, Tensor]:
    """One kernel a layer, from the columns of its parameters.

    Args:
        blocks: the rows' columns by parameter.
        layers: parameter → layer.
        output: as `Jacobian.gram` has it.
    """
    kernels: dict[str, Tensor] = {}
    for name, block in blocks.items():
        part = multiply_rows(block, block, output)
        layer = layers[name]
        kernels[layer] = kernels[layer] + part if layer in kernels else part
    return kernels


def as_columns(vector: Tensor, length: int, what: str) -> Float[Tensor, "length k"]:
    """A vector, or a matrix of columns, as a matrix.

    Raises:
        InputError: for another length.
    """
    vector = torch.as_tensor(vector)
    if vector.ndim not in (1, 2) or vector.shape[0] != length:
        raise InputError(
            f"{what} needs a vector of length {length} or a matrix of as many rows, not shape "
            f"{tuple(vector.shape)}."
        )
    return vector.detach().reshape(length, -1)
