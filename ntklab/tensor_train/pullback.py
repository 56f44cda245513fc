"""The adjoint of a train's tangent map, by sweeps over the cores.

Tᵀ is applied to many cotangents at once instead of forming T. Cotangents are laid out with the
batch last, so that every pass over them is contiguous.
"""

from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.tensor_train.contraction import Cores
from ntklab.tensor_train.cut import Cut, advance
from ntklab.tensor_train.shifts import Shifts, core_gradient, pays, retreat, shifted_core

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
        prefixes.append(advance(prefixes[-1], core))
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
    sweep, numbers = layer.sweep, layer.cut.left.numel() * outputs
    if layer.shifts_pay(features):
        shifted = _ShiftedLayer(layer, len(features), width)
        sweep, numbers = shifted.sweep, shifted.numbers(outputs)
    block = _samples_in_block(numbers * features.element_size(), block_bytes)
    leading = gradients[: layer.leading]
    for start in range(0, features.shape[1], block):
        part = slice(start, start + block)
        tail = None if below is None else below[..., part]
        sweep(features[:, part], folded[..., part], tail, leading[..., part])
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

    def shifts_pay(self, features: Tensor) -> bool:
        """Whether the last leading core can be met by shifts (`ntklab.tensor_train.shifts`)."""
        open_modes = prod(core.shape[1] for core in self.cores[self.cut.position :])
        length = self.cores[self.cut.position - 1].shape[2]
        size = len(self.cut.left) // len(features)  # with W2's share, which is little
        entries = self.cut.left.numel()
        return open_modes == 1 and pays(entries, len(features), size, length, features)

    def sweep(self, features: Tensor, folded: Tensor, below: Tensor | None, out: Tensor) -> None:
        """Gradients by the leading cores for a block of samples, into `out`."""
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
        torch.cat([grad.reshape(-1, outputs, samples) for grad in grads], out=out)

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


class _ShiftedLayer:
    """The same sweep, its last core met by shifts: no outer product is formed."""

    def __init__(self, layer: _Layer, blocks: int, width: int) -> None:
        *self.before, self.core = layer.cores[: layer.cut.position]
        self.latent = layer.latent
        rank, n, length, following = self.core.shape
        size = width // layer.cut.right.shape[1]
        left = layer.latent.reshape(1, 1, -1)
        for core in self.before:
            left = advance(left, core)
        self.left = left.reshape(-1, rank * n)
        self.shifts = Shifts.of(blocks, size, length)
        self.gather = self.shifts.gather(self.left)
        self.matrix = self.core.reshape(rank * n, length * following)
        self.shifted = shifted_core(self.matrix.reshape(rank * n, length, following), size)
        self.following = following

    def numbers(self, outputs: int) -> int:
        """Entries held for each sample."""
        rank = self.left.shape[1]
        seen = rank * self.shifts.window
        return seen + outputs * (self.core.numel() + seen + 3 * self.left.numel())

    def sweep(self, features: Tensor, folded: Tensor, below: Tensor | None, out: Tensor) -> None:
        """Gradients by the leading cores for a block of samples, into `out`."""
        outputs, samples = folded.shape[1:]
        rank, length = self.left.shape[1], self.shifts.length
        seen = (self.gather @ features).reshape(rank, self.shifts.window, samples)
        filters = folded.reshape(self.shifts.size, self.following * outputs, samples)
        last = out[len(out) - self.core.numel() :].unflatten(0, (rank, length, self.following))
        for x, gradient in enumerate(core_gradient(seen, filters, length)):
            last[:, :, x // outputs, x % outputs] = gradient
        tail = None if below is None else self._tail(below)
        if tail is not None:
            by_core = self.left[-len(tail) :].T @ tail.reshape(len(tail), -1)
            last += by_core.reshape(last.shape)
        if self.before:
            cotangent = self._retreat(features, folded, tail)
            grads = adjoint_sweep(self.before, self.latent.reshape(1, 1, -1), cotangent)
            flat = [grad.reshape(-1, outputs, samples) for grad in grads]
            torch.cat(flat, out=out[: len(out) - self.core.numel()])

    def _retreat(self, features: Tensor, folded: Tensor, tail: Tensor | None) -> Tensor:
        blocks = folded.reshape(self.shifts.size, self.following, *folded.shape[1:])
        found = retreat(self.shifts, self.shifted, features, blocks)
        if tail is None:
            return found
        whole = found.new_zeros(len(self.left), *found.shape[1:])
        whole[: len(found)] = found
        whole[-len(tail) :] += self.matrix @ tail.reshape(len(tail), self.matrix.shape[1], -1)
        return whole

    def _tail(self, below: Tensor) -> Float[Tensor, "a ms C n"]:
        """W2's share of a cotangent, from the beginning of the first row that it touches."""
        per_row = self.matrix.shape[1]
        start = len(self.left) * per_row - len(below)
        count = len(self.left) - start // per_row
        rows = below.new_zeros(count * per_row, *below.shape[1:])
        rows[-len(below) :] = below
        return rows.reshape(count, per_row, *below.shape[1:])


def _unit_columns(hidden: Float[Tensor, "M n"], outputs: int) -> Float[Tensor, "MC C n"]:
    """σ ⊗ e_c for every output c, flat over (j, c')."""
    spread = hidden.new_zeros(len(hidden), outputs, outputs, hidden.shape[1])
    spread.diagonal(dim1=1, dim2=2).copy_(hidden.unsqueeze(-1).expand(-1, -1, outputs))
    return spread.flatten(0, 1)


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
