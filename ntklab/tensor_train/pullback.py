"""A train cut in two, and the adjoint of its tangent map by sweeps over the cores.

Tᵀ is applied to many cotangents at once instead of forming T. Cotangents are laid out with the
batch last, so that every pass over them is contiguous.
"""

from dataclasses import dataclass, replace
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.tensor_train.contraction import Cores

#: Bytes of cotangents that a sweep holds at a time. 16 MiB was the fastest of 1..16 on a 2-core
#: machine with 2 MiB of second-level cache (`ntklab bench --case block-size` measures it anew).
BLOCK_BYTES = 16 << 20


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

    Differentiable by cores and latent. Where Q divides the width M of a layer, its products need
    the D/Q·R entries of `left` instead of the D of w (theory P2): 32 896 instead of 526 336 for
    the released TensorGuide of width 1024.

    Attributes:
        position: k, how many cores lie on the left.
        left: shape (D/Q, R).
        right: shape (R, Q).
    """

    position: int
    left: Float[Tensor, "p R"]
    right: Float[Tensor, "R q"]

    @classmethod
    def best(cls, cores: Cores, latent: Float[Tensor, " z"], width: int = 1) -> "Cut":
        """The bond that leaves fewest entries of both parts, of those whose Q divides the width.

        The trivial bond after the last core (Q = R = 1) is always among them.

        Args:
            cores: K tensors of shape (r_{k-1}, n_k, m_k, r_k).
            latent: z, shape (Π n_k,).
            width: M.

        Example:
            >>> cores = [torch.ones(1, 1, 6, 1), torch.ones(1, 1, 4, 1)]
            >>> cut = Cut.best(cores, torch.ones(1), width=8)
            >>> cut.position, tuple(cut.left.shape), tuple(cut.right.shape)
            (1, (6, 1), (1, 4))
        """
        position = _cheapest_bond(cores, width)
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

    def split(self, size: int) -> tuple["Cut", "Cut"]:
        """The first `size` weights and the others; Q must divide the size."""
        rows = size // self.right.shape[1]
        # One split instead of two slices: its gradient is one copy instead of two sums of zeros.
        above, below = self.left.split([rows, len(self.left) - rows])
        return replace(self, left=above), replace(self, left=below)

    def weights(self) -> Float[Tensor, " D"]:
        """w itself."""
        return (self.left @ self.right).reshape(-1)

    def times(self, features: Float[Tensor, "*N d"]) -> Float[Tensor, "*N M"]:
        """φ W for the matrix W (d, M) whose row-major entries are the weights; Q must divide M."""
        rank = self.right.shape[0]
        inner = features @ self.left.reshape(features.shape[-1], -1)
        return (inner.unflatten(-1, (-1, rank)) @ self.right).flatten(-2)

    def fold(self, weights: Float[Tensor, "s x"]) -> Float[Tensor, "t x"]:
        """Contract the trailing modes: (p·Q, x) to (p·R, x)."""
        blocks = weights.reshape(-1, self.right.shape[1], weights.shape[-1])
        return (self.right @ blocks).reshape(-1, blocks.shape[-1])


def pull_back_layer(
    cores: Cores,
    latent: Float[Tensor, " z"],
    features: Float[Tensor, "d n"],
    slope: Float[Tensor, "M n"],
    hidden: Float[Tensor, "M n"],
    second: Float[Tensor, "M C"],
    block_bytes: int = BLOCK_BYTES,
) -> Float[Tensor, "P C n"]:
    """Gradients of a hidden layer's outputs by the cores that generate its weights.

    The layer is σ(φ W1) W2. Output c of a sample has the cotangent φ ⊗ (W2[:, c] σ') by W1, which
    is rank one, and σ ⊗ e_c by W2. The train is cut at a bond whose trailing modes, Q in all,
    divide M and M C: contracting them first leaves d·M·R/Q entries a cotangent instead of d·M
    (theory P2), and those are swept through the leading cores in blocks that stay in cache.

    Args:
        cores: K tensors of shape (r_{k-1}, n_k, m_k, r_k). They generate [vec W1; vec W2], or
            vec W1 alone when Π m_k = d M.
        latent: z, shape (Π n_k,).
        features: φ, one column a sample.
        slope: σ'(φ W1), one column a sample.
        hidden: σ(φ W1), one column a sample; not used when the train generates W1 alone.
        second: W2.
        block_bytes: of cotangents held at a time; at least one sample's, and 8 samples' where
            those take no more than 4 blocks.

    Returns:
        ∂f_c/∂θ for all cores in order, each flattened row-major.

    Cost: 2 r n·d M R/Q multiply-adds for every sample and output, r n of the core left of the cut.

    Example:
        >>> cores = [torch.randn(1, 1, 6, 2), torch.randn(2, 1, 5, 1)]
        >>> layer = torch.randn(4, 3), torch.ones(5, 3), torch.randn(5, 3), torch.randn(5, 2)
        >>> pull_back_layer(cores, torch.ones(1), *layer).shape
        torch.Size([22, 2, 3])
    """
    width, outputs = second.shape
    alone = prod(core.shape[2] for core in cores) == features.shape[0] * width
    layer = _Layer(cores, latent, Cut.best(cores, latent, width), alone)
    folded = layer.fold(slope, second)
    below = None if alone else layer.fold_below(hidden, outputs)
    size = sum(core.numel() for core in cores)
    gradients = features.new_empty(size, outputs, features.shape[1])
    sample_bytes = layer.cut.left.numel() * outputs * features.element_size()
    block = _samples_in_block(sample_bytes, block_bytes)
    leading = gradients[: layer.leading]
    for start in range(0, features.shape[1], block):
        part = slice(start, start + block)
        tail = None if below is None else below[..., part]
        leading[..., part] = layer.sweep(features[:, part], folded[..., part], tail)
    if layer.leading < size:
        gradients[layer.leading :] = layer.trailing(features, slope, hidden, second)
    return gradients


@dataclass(frozen=True)
class _Layer:
    """A cut train that generates the weights of a hidden layer, W1 alone or both factors.

    Index names: j1 group and q place of a hidden unit, j = j1 Q + q; α the cut bond.
    """

    cores: Cores
    latent: Tensor
    cut: Cut
    alone: bool

    @property
    def leading(self) -> int:
        """How many parameters lie left of the cut."""
        return sum(core.numel() for core in self.cores[: self.cut.position])

    def fold(self, slope: Tensor, second: Tensor) -> Float[Tensor, "j1α C n"]:
        """W2[:, c] σ' contracted with the trailing cores."""
        rank, trailing = self.cut.right.shape
        groups, outputs = second.reshape(-1, trailing, second.shape[1]), second.shape[1]
        weights = torch.einsum("aq,jqc->jacq", self.cut.right, groups)
        folded = weights.reshape(len(groups), -1, trailing) @ slope.reshape(
            len(groups), trailing, -1
        )
        return folded.reshape(len(groups) * rank, outputs, -1)

    def fold_below(self, hidden: Tensor, outputs: int) -> Float[Tensor, "tα C n"]:
        """σ ⊗ e_c, flat over (j, c'), contracted with the trailing cores."""
        rank, trailing = self.cut.right.shape
        if trailing % outputs:
            return self.cut.fold(_unit_columns(hidden, outputs).flatten(1)).reshape(
                -1, outputs, hidden.shape[1]
            )
        places = trailing // outputs
        weights = self.cut.right.reshape(rank, places, outputs).transpose(1, 2)
        groups = hidden.reshape(-1, places, hidden.shape[1])
        return (weights.reshape(-1, places) @ groups).reshape(-1, outputs, hidden.shape[1])

    def sweep(self, features: Tensor, folded: Tensor, below: Tensor | None) -> Tensor:
        """Gradients by the leading cores for a block of samples."""
        rows, samples = features.shape
        inner, outputs, _ = folded.shape
        cotangent = features.new_empty(self.cut.left.numel(), outputs, samples)
        torch.mul(
            features.reshape(rows, 1, 1, samples),
            folded,
            out=cotangent[: rows * inner].view(rows, inner, outputs, samples),
        )
        if below is not None:
            cotangent[rows * inner :] = below
        blocks = cotangent.reshape(len(self.cut.left), -1, outputs * samples)
        before = self.cores[: self.cut.position]
        grads = adjoint_sweep(before, self.latent.reshape(1, 1, -1), blocks)
        return torch.cat([grad.reshape(-1, outputs, samples) for grad in grads])

    def trailing(self, features: Tensor, slope: Tensor, hidden: Tensor, second: Tensor) -> Tensor:
        """Gradients by the trailing cores, whose cotangent is Σ_p left[p, α] g[p·Q + q]."""
        outputs, samples = second.shape[1], features.shape[1]
        rank, trailing = self.cut.right.shape
        groups, rows = len(second) // trailing, len(features)
        projected = self.cut.left[: rows * groups].reshape(rows, -1).T @ features
        sloped = projected.reshape(groups, rank, 1, samples) * slope.reshape(
            groups, 1, trailing, samples
        )
        cotangent = torch.einsum(
            "jaqn,jqc->aqcn", sloped, second.reshape(groups, trailing, outputs)
        )
        if not self.alone:
            cotangent = cotangent + self._trailing_below(hidden, rows * groups, outputs)
        after = self.cores[self.cut.position :]
        identity = torch.eye(rank, dtype=features.dtype, device=features.device)
        prefix = identity.reshape(rank, after[0].shape[0], -1)
        grads = adjoint_sweep(after, prefix, cotangent.reshape(rank * trailing, 1, -1))
        return torch.cat([grad.reshape(-1, outputs, samples) for grad in grads])

    def _trailing_below(self, hidden: Tensor, above: int, outputs: int) -> Tensor:
        rank, trailing = self.cut.right.shape
        tail, samples = self.cut.left[above:], hidden.shape[1]
        if trailing % outputs:
            units = _unit_columns(hidden, outputs).reshape(len(tail), -1)
            return (tail.T @ units).reshape(rank, trailing, outputs, samples)
        summed = tail.T @ hidden.reshape(len(tail), -1)
        return _unit_columns(summed.reshape(-1, samples), outputs).reshape(
            rank, trailing, outputs, samples
        )


def _unit_columns(hidden: Float[Tensor, "M n"], outputs: int) -> Float[Tensor, "MC C n"]:
    """σ ⊗ e_c for every output c, flat over (j, c')."""
    spread = hidden.new_zeros(len(hidden), outputs, outputs, hidden.shape[1])
    spread.diagonal(dim1=1, dim2=2).copy_(hidden.unsqueeze(-1).expand(-1, -1, outputs))
    return spread.flatten(0, 1)


def _cheapest_bond(cores: Cores, width: int) -> int:
    total = prod(core.shape[2] for core in cores)
    sizes, trailing, latent = {len(cores): total + 1}, 1, 1
    for k in range(len(cores) - 1, 0, -1):
        trailing *= cores[k].shape[2]
        latent *= cores[k].shape[1]
        if width % trailing == 0:
            sizes[k] = cores[k].shape[0] * latent * (total // trailing + trailing)
    return min(sizes, key=lambda k: (sizes[k], -k))


def _advance(prefix: Float[Tensor, "l a v"], core: Tensor) -> Float[Tensor, "lm b w"]:
    """Take one more core into a prefix, using up its latent mode.

    By matrix products alone: at these sizes an einsum costs more than its arithmetic.
    """
    rank, n, m, following = core.shape
    rows, beyond = len(prefix), prefix.shape[2] // n
    matrix = core.reshape(rank * n, m * following)
    if beyond == 1:
        return (prefix.reshape(rows, rank * n) @ matrix).reshape(rows * m, following, 1)
    open_last = prefix.reshape(rows, rank * n, beyond).transpose(1, 2).reshape(-1, rank * n)
    blocks = (open_last @ matrix).reshape(rows, beyond, m, following)
    return blocks.permute(0, 2, 3, 1).reshape(rows * m, following, beyond)


def _retreat(blocks: Float[Tensor, "l m b v x"], core: Tensor) -> Tensor:
    """Contract a cotangent with one core from the right: (l, a, n, v, x)."""
    rank, n, m, following = core.shape
    length, _, _, beyond, batch = blocks.shape
    if beyond == 1:
        matrix = core.reshape(rank * n, m * following)
        return matrix @ blocks.reshape(length, m * following, batch)
    return torch.einsum("anmb,lmbvx->lanvx", core, blocks)


def _samples_in_block(bytes_per_sample: int, block: int) -> int:
    # Smaller blocks pay more calls than they save traffic; 8 samples are worth 4 times the block.
    return max(1, min(8, 4 * block // bytes_per_sample), block // bytes_per_sample)
