"""The adjoint of a train's tangent map: gradients by the cores from gradients by the weights.

Tᵀ applied to many cotangents at once, by sweeps over the cores instead of a matrix T. Cotangents
are laid out with the batch last, so that every pass over them is contiguous.
"""

from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.tensor_train.contraction import Cores


def adjoint_sweep(
    cores: Cores, prefix: Float[Tensor, "L r v"], cotangent: Float[Tensor, "D s x"]
) -> list[Float[Tensor, "r n m s x"]]:
    """Gradients by each core of a segment of a train, for a batch of cotangents.

    The segment computes w[l·m_1⋯m_K, (b, v')] = Σ prefix[l, a, n_1⋯n_K v'] Π_k G_k[…]: what lies
    to its left is folded into `prefix`, its right bond and the latent modes beyond stay open.

    Args:
        cores: the K cores of the segment, (r_{k-1}, n_k, m_k, r_k).
        prefix: shape (L, r_0, n_1⋯n_K·v').
        cotangent: gradient by w, shape (L·m_1⋯m_K, r_K·v', x) for x cotangents.

    Returns:
        One gradient a core, shape (r_{k-1}, n_k, m_k, r_k, x).

    Cost: about 2 r n multiply-adds per entry of `cotangent` for the last core, which dominates.

    Example:
        >>> cores = [torch.randn(1, 2, 3, 2), torch.randn(2, 1, 5, 1)]
        >>> z, g = torch.randn(2), torch.randn(15, 1, 4)
        >>> [tuple(grad.shape) for grad in adjoint_sweep(cores, z.reshape(1, 1, 2), g)]
        [(1, 2, 3, 2, 4), (2, 1, 5, 1, 4)]
    """
    prefixes = [prefix]
    for core in cores[:-1]:
        prefixes.append(_advance(prefixes[-1], core))
    gradients: list[Tensor] = []
    for k in range(len(cores) - 1, -1, -1):
        rank, n, m, following = cores[k].shape
        left = prefixes[k].reshape(-1, rank, n, prefixes[k].shape[-1] // n)
        beyond, batch = left.shape[-1], cotangent.shape[-1]
        blocks = cotangent.reshape(left.shape[0], m, following, beyond, batch)
        if beyond == 1:
            flat = left.reshape(-1, rank * n).T @ blocks.reshape(left.shape[0], -1)
            gradients.append(flat.reshape(rank, n, m, following, batch))
        else:
            gradients.append(torch.einsum("lanv,lmbvx->anmbx", left, blocks))
        if k > 0:
            cotangent = _retreat(blocks, cores[k]).reshape(-1, rank * n * beyond, batch)
    return gradients[::-1]


@dataclass(frozen=True)
class Cut:
    """A train cut at one bond: w[p·Q + q] = Σ_α left[p, α] right[α, q], α = (a_k, n_{k+1}⋯n_K).

    Attributes:
        position: k, how many cores lie on the left.
        left: shape (D/Q, R).
        right: shape (R, Q).
    """

    position: int
    left: Float[Tensor, "p R"]
    right: Float[Tensor, "R q"]

    @classmethod
    def best(cls, cores: Cores, latent: Float[Tensor, " z"], *multiples: int) -> "Cut":
        """The bond that leaves fewest entries D/Q·R to its left, of those whose Q divides all.

        The trivial bond after the last core (Q = R = 1) is always among them.
        """
        sizes = {}
        for k in range(1, len(cores) + 1):
            trailing = prod(core.shape[2] for core in cores[k:])
            if all(multiple % trailing == 0 for multiple in multiples):
                open_bond = cores[k - 1].shape[3] * prod(core.shape[1] for core in cores[k:])
                sizes[k] = open_bond / trailing
        position = min(sizes, key=lambda k: (sizes[k], -k))
        left = latent.reshape(1, 1, -1)
        for core in cores[:position]:
            left = _advance(left, core)
        rank = left.shape[1] * left.shape[2]
        right = torch.eye(rank, dtype=latent.dtype, device=latent.device).reshape(
            rank, *left.shape[1:]
        )
        for core in cores[position:]:
            right = _advance(right, core)
        return cls(position, left.reshape(-1, rank), right.reshape(rank, -1))

    def fold(self, weights: Float[Tensor, "s x"]) -> Float[Tensor, "t x"]:
        """Contract the trailing modes: (p·Q, x) to (p·R, x)."""
        blocks = weights.reshape(-1, self.right.shape[1], weights.shape[-1])
        return (self.right @ blocks).reshape(-1, blocks.shape[-1])


def pull_back_outer(
    cores: Cores,
    latent: Float[Tensor, " z"],
    left: Float[Tensor, "I n"],
    right: Float[Tensor, "J C n"],
    tail: Float[Tensor, "S C n"],
) -> Float[Tensor, "P C n"]:
    """Tᵀ g for cotangents g = [vec(left ⊗ right); tail] of weights of length I·J + S.

    This is the gradient of a hidden layer by the cores that generate it: a sample's gradient by
    W1 is rank one, φ ⊗ (W2[:, c] σ'), and the tail belongs to W2. The train is cut at a bond
    whose trailing modes divide J and S: there `right` is contracted with the trailing cores once
    for all rows of `left`, and the I·J entries of a cotangent shrink to I·J·R/Q (theory P2).

    Args:
        cores: K tensors of shape (r_{k-1}, n_k, m_k, r_k) with Π m_k = I·J + S.
        latent: z, shape (Π n_k,).
        left: one vector a sample.
        right: one vector a sample and output.
        tail: the remaining entries of the cotangent; S may be 0.

    Returns:
        Gradients by all cores in order, each flattened row-major.

    Cost: 2 r n·I J R/Q multiply-adds a cotangent, r n of the core left of the cut; working
    memory of a block of samples that fits the processor's cache.

    Example:
        >>> cores = [torch.randn(1, 1, 6, 2), torch.randn(2, 1, 5, 1)]
        >>> left, right = torch.randn(4, 3), torch.randn(5, 2, 3)
        >>> pull_back_outer(cores, torch.ones(1), left, right, torch.randn(10, 2, 3)).shape
        torch.Size([22, 2, 3])
    """
    cut = Cut.best(cores, latent, right.shape[0], tail.shape[0])
    samples = left.shape[1]
    size = sum(core.numel() for core in cores)
    gradients = left.new_empty(size, right.shape[1], samples)
    block = _samples_in_cache(cut.left.numel() * right.shape[1] * left.element_size())
    for start in range(0, samples, block):
        part = slice(start, start + block)
        pulled = _pull_back_block(
            cores, latent, cut, left[:, part], right[..., part], tail[..., part]
        )
        gradients[..., part] = pulled
    return gradients


def _pull_back_block(
    cores: Cores, latent: Tensor, cut: Cut, left: Tensor, right: Tensor, tail: Tensor
) -> Tensor:
    outputs, samples = right.shape[1:]
    rows, batch = left.shape[0], outputs * samples
    folded = cut.fold(right.reshape(-1, batch))
    cotangent = left.new_empty(cut.left.numel(), outputs, samples)
    inner = folded.shape[0]
    torch.mul(
        left.reshape(rows, 1, 1, samples),
        folded.reshape(1, inner, outputs, samples),
        out=cotangent[: rows * inner].view(rows, inner, outputs, samples),
    )
    cotangent[rows * inner :] = cut.fold(tail.reshape(-1, batch)).reshape(-1, outputs, samples)
    rank = cut.left.shape[1]
    before, after = cores[: cut.position], cores[cut.position :]
    grads = adjoint_sweep(before, latent.reshape(1, 1, -1), cotangent.reshape(-1, rank, batch))
    if after:
        grads += _pull_back_trailing(after, cut, left, right, tail)
    return torch.cat([grad.reshape(-1, outputs, samples) for grad in grads])


def _pull_back_trailing(
    after: Cores, cut: Cut, left: Tensor, right: Tensor, tail: Tensor
) -> list[Tensor]:
    """Gradients by the cores right of the cut, whose cotangent is Σ_p left[p, α] g[p, q]."""
    outputs, samples = right.shape[1:]
    rank, trailing = cut.right.shape
    groups, rows = right.shape[0] // trailing, left.shape[0]
    head, rest = cut.left[: rows * groups], cut.left[rows * groups :]
    projected = head.reshape(rows, groups * rank).T @ left
    cotangent = torch.einsum(
        "jan,jqcn->aqcn",
        projected.reshape(groups, rank, samples),
        right.reshape(groups, trailing, outputs, samples),
    )
    if rest.shape[0]:
        below = rest.T @ tail.reshape(rest.shape[0], -1)
        cotangent = cotangent + below.reshape(cotangent.shape)
    bond = after[0].shape[0]
    prefix = torch.eye(rank, dtype=left.dtype, device=left.device).reshape(rank, bond, -1)
    return adjoint_sweep(after, prefix, cotangent.reshape(rank * trailing, 1, -1))


def _advance(prefix: Float[Tensor, "l a v"], core: Tensor) -> Float[Tensor, "lm b w"]:
    """Take one more core into a prefix, using up its latent mode."""
    rank, n, _, following = core.shape
    blocks = prefix.reshape(prefix.shape[0], rank, n, -1)
    return torch.einsum("lanv,anmb->lmbv", blocks, core).reshape(
        -1, following, prefix.shape[2] // n
    )


def _retreat(blocks: Float[Tensor, "l m b v x"], core: Tensor) -> Tensor:
    """Contract a cotangent with one core from the right: (l, a, n, v, x)."""
    rank, n, m, following = core.shape
    length, _, _, beyond, batch = blocks.shape
    if beyond == 1:
        matrix = core.reshape(rank * n, m * following)
        return matrix @ blocks.reshape(length, m * following, batch)
    return torch.einsum("anmb,lmbvx->lanvx", core, blocks)


def _samples_in_cache(bytes_per_sample: int, cache: int = 4 << 20) -> int:
    # Below 8 samples the products degenerate into vectors.
    return max(8, cache // max(bytes_per_sample, 1))
