"""The collapsed width, written out: what a last bond of rank 1 leaves of the hidden layer (P2).

If r_{K-1} = 1, n_K = 1 and m_K divides M, then w = u ⊗ g with g the last core, and for a positively
homogeneous σ

    f = s [σ(ΦU) V S⁺ + σ(−ΦU) V S⁻],   S±[h, c] = Σ_b 1[h(b, c) = h] (±g_b)₊ g_{t(b, c)},

with b C + c = m_K h + t. U (d, M/m_K) and V (M/m_K, C) are cut from u; g, and with it the width,
enters through the two C × C matrices alone. So heads of different M with one u-train represent
one another's functions whenever their g reach the same matrices.
"""

import numpy as np
import scipy.optimize
import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters.tensorguide import TensorGuide
from ntklab.errors import InputError


def width_matrices(
    last: Float[Tensor, " m"], n_outputs: int
) -> tuple[Float[Tensor, "C C"], Float[Tensor, "C C"]]:
    """S⁺ and S⁻ of a last core g; for σ = identity only S⁺ − S⁻ matters.

    Args:
        last: g, shape (m_K,).
        n_outputs: C.

    Returns:
        S⁺ and S⁻, rows by h.

    Example:
        >>> [S.tolist() for S in width_matrices(torch.tensor([1.0, -2.0]), 2)]
        [[[1.0, -2.0], [0.0, 0.0]], [[0.0, 0.0], [2.0, -4.0]]]
    """
    m = len(last)
    place = torch.arange(m * n_outputs, device=last.device).reshape(m, n_outputs)
    block, within = place // m, place % m
    chosen = torch.nn.functional.one_hot(block, n_outputs).to(last)
    partners = last[within]
    positive, negative = last.clamp(min=0), (-last).clamp(min=0)
    plus, minus = (
        torch.einsum("b,bch,bc->hc", part, chosen, partners) for part in (positive, negative)
    )
    return plus, minus


def match_width(
    wanted: tuple[Tensor, Tensor], modes: int, *, linear: bool, starts: int = 20, seed: int = 0
) -> tuple[Float[Tensor, " m"], float]:
    """A last core of another length with the same matrices, by least squares.

    Args:
        wanted: S⁺ and S⁻.
        modes: m_K of the core sought.
        linear: whether S⁺ − S⁻ is all that must agree.
        starts: how many random starts are tried; the first that fits ends the search.
        seed: of the starts.

    Returns:
        The best core, and its largest error relative to the largest entry wanted. An error that
        is not rounding says that no start led there, not that none could.

    Raises:
        InputError: zero matrices, which every core of zeros has.

    Example:
        >>> g = torch.tensor([0.3, -1.0, 0.7, 0.2], dtype=torch.float64)
        >>> core, error = match_width(width_matrices(g, 1), 8, linear=False)
        >>> len(core), error < 1e-12
        (8, True)
    """
    C = wanted[0].shape[0]
    # The search is scipy's, on the CPU; the core goes back to where the matrices are.
    target = _stack(wanted, linear).cpu().numpy()
    size = float(np.abs(target).max())
    if not size > 0:
        raise InputError("the matrices to match are zero: give the core of a head that is not.")

    def residual(g: np.ndarray) -> np.ndarray:
        matrices = _stack(width_matrices(torch.from_numpy(g), C), linear).numpy()
        return np.asarray((matrices - target) / size)

    rng = np.random.default_rng(seed)
    best, least = np.zeros(modes), np.inf
    for _ in range(starts):
        start = rng.normal(size=modes) * (size / modes) ** 0.5
        fit = scipy.optimize.least_squares(residual, start, xtol=1e-15, ftol=1e-15, gtol=1e-15)
        error = float(np.abs(residual(fit.x)).max())
        if error < least:
            best, least = fit.x, error
        if least < 1e-13:
            break
    return torch.from_numpy(best).to(wanted[0].device), least


@torch.no_grad()
def transplant(source: TensorGuide, target: TensorGuide, *, seed: int = 0) -> float:
    """Give a collapsed head of another width the function of this one, in place.

    All cores but the last and the latent are copied; the last is found by `match_width`.

    Args:
        source: collapsed, with a homogeneous σ.
        target: the same but for the width and its last out-dim; both float64.
        seed: of the search.

    Returns:
        The error of the match, see `match_width`.

    Raises:
        InputError: heads that differ in more than that, or do not collapse.

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> narrow, wide = (build_adapter("tensorguide", 512, 2, width=M, dtype=torch.float64)
        ...                 for M in (1024, 2048))
        >>> error, phi = transplant(narrow, wide), torch.randn(5, 512, dtype=torch.float64)
        >>> bool(((narrow(phi) - wide(phi)).norm() / narrow(phi).norm()) < 1e-10)
        True
    """
    outer = [
        (head.shape.out_dims[:-1], head.shape.in_dims, head.shape.ranks)
        for head in (source, target)
    ]
    names = {source.activation.name, target.activation.name}
    fits = source.collapsed and target.collapsed and source.activation.homogeneous
    if outer[0] != outer[1] or len(names) > 1 or not fits:
        raise InputError(
            f"heads of shapes {source.shape} and {target.shape} are not one collapsed family: all "
            "but the width and the last out-dim must agree, with identity or relu."
        )
    ratio = source.scale / target.scale
    plus, minus = width_matrices(source.cores[-1].flatten(), source.out_features)
    core, error = match_width(
        (ratio * plus, ratio * minus), target.shape.out_dims[-1], linear=source.linear, seed=seed
    )
    target.latent.copy_(source.latent)
    for mine, given in zip(list(target.cores)[:-1], list(source.cores)[:-1], strict=True):
        mine.copy_(given)
    target.cores[-1].copy_(core.reshape(target.cores[-1].shape))
    return error


def _stack(matrices: tuple[Tensor, Tensor], linear: bool) -> Tensor:
    plus, minus = matrices
    return (plus - minus).flatten() if linear else torch.cat([plus.flatten(), minus.flatten()])
