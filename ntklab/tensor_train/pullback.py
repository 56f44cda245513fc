"""The adjoint of a train's tangent map, by sweeps over the cores.

Tᵀ is applied to many cotangents at once instead of forming T. Cotangents are laid out with the
batch last, so that every pass over them is contiguous.
"""

from dataclasses import dataclass
from itertools import accumulate
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.tensor_train.contraction import Cores, advance
from ntklab.tensor_train.cut import Cut

#: Bytes of cotangents that a sweep holds at a time. 16 MiB was the fastest of 1..16 on a 2-core
#: machine with 2 MiB of second-level cache (`ntklab bench --case block-size` measures it anew).
BLOCK_BYTES = 16 << 20

#: The same on an accelerator, where starting an operation costs more than a cache saves: on paper
#: (`ntklab bench --roofline h100`), not measured.
DEVICE_BLOCK_BYTES = 128 << 20


def sweep_bytes(device: torch.device) -> int:
    """Bytes of cotangents that a sweep holds at a time on a device.

    >>> sweep_bytes(torch.device("cpu")) == BLOCK_BYTES
    True
    """
    return BLOCK_BYTES if device.type == "cpu" else DEVICE_BLOCK_BYTES


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
    prefixes = list(accumulate(cores[:-1], advance, initial=prefix))
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


def shifts_pay(
    cores: Cores,
    cut: Cut,
    features: Float[Tensor, "n d"],
    second: Float[Tensor, "M C"],
) -> bool:
    """Whether the last leading core is better met by shifts than by outer products.

    `ShiftedCore` is for a CPU and a cut that no latent mode crosses. Below d shifts there are
    fewer multiply-adds than in the sweep, and the matrix of shifted cores is no larger than the
    train's left part; tiny layers are not worth the calls.

    Args:
        cores: of the train.
        cut: where it is cut for the width M.
        features: φ.
        second: W2.
    """
    rank, trailing = cut.right.shape
    size = len(second) // trailing
    able = features.device.type == "cpu" and features.dtype in (torch.float32, torch.float64)
    closed = rank == cores[cut.position - 1].shape[3]
    few = cores[cut.position - 1].shape[2] + size - 1 <= features.shape[1]
    entries = cut.left.numel()
    small = second.shape[1] ** 2 * cut.right.numel() <= entries
    return able and closed and few and small and entries >= _WORTHWHILE


_WORTHWHILE = 1 << 12  # entries of one cotangent


def pull_back_layer(
    cores: Cores,
    latent: Float[Tensor, " z"],
    features: Float[Tensor, "d n"],
    slope: Float[Tensor, "M n"],
    hidden: Float[Tensor, "M n"],
    second: Float[Tensor, "M C"],
    block_bytes: int | None = None,
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
        block_bytes: of cotangents held at a time, `sweep_bytes` if None; at least one sample's,
            and 8 samples' where those take no more than 4 blocks.

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
    numbers = layer.cut.left.numel() * outputs
    most = sweep_bytes(features.device) if block_bytes is None else block_bytes
    block = _samples_in_block(numbers * features.element_size(), most)
    leading = gradients[: layer.leading]
    for start in range(0, features.shape[1], block):
        part = slice(start, start + block)
        tail = None if below is None else below[..., part]
        layer.sweep(features[:, part], folded[..., part], tail, leading[..., part])
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
