"""Rows of J for a hidden layer σ(φ W1) W2 whose weights a tensor train generates.

Output c of a sample has the cotangent φ ⊗ (W2[:, c] σ') by W1, which is rank one, and σ ⊗ e_c by
W2. The train is cut at a bond whose trailing modes, Q in all, divide M and M C (theory P2): hidden
unit j = g Q + q sees h_j = Σ_α F[g, α] right[α, q], F = φ left. What is left of a cotangent at the
cut, a number for each group g and bond index α, meets the last leading core by shifts
(`ntklab.tensor_train.ShiftedCore`).

Index names: n sample, c output, g group of hidden units, q place within it, α bond of the cut.
"""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor

from ntklab.adapters.activation import Activation
from ntklab.adapters.hidden_units import SecondShare, units_for
from ntklab.parallel import alone, run_pieces
from ntklab.tensor_train import Cut, Segment, ShiftedCore, pull_back_layer, shifts_pay
from ntklab.tensor_train.contraction import Cores
from ntklab.tensor_train.pullback import BLOCK_BYTES

#: Bytes that a thread holds at a time: less costs more calls, more leaves the second-level cache
#: (`ntklab bench --case block-size` measures other sizes).
CACHE_BYTES = 4 << 20


def layer_rows(
    cores: Cores,
    latent: Float[Tensor, " z"],
    cut: Cut,
    features: Float[Tensor, "n d"],
    second: Float[Tensor, "M C"],
    activation: Activation,
    scale: float,
    held_bytes: int = CACHE_BYTES,
) -> Float[Tensor, "n C P"]:
    """∂/∂cores of scale · σ(φ W1) W2 for a batch of samples.

    Args:
        cores: K tensors (r_{k-1}, n_k, m_k, r_k) that generate [vec W1; vec W2], or vec W1 alone
            when Π m_k = d M.
        latent: z, shape (Π n_k,).
        cut: `Cut.best` of the train for the width M.
        features: φ.
        second: W2.
        activation: σ.
        scale: of the outputs.
        held_bytes: what a thread may hold of its samples at a time, where they go by shifts; one
            sample at least.

    Returns:
        Parameters in the order of the cores, each flattened row-major.

    Cost: see `ShiftedCore` and `pull_back_layer`; which of the two is taken depends on sizes and
    device. For a collapsed width and a homogeneous σ nothing grows with M but with M/Q.

    Example:
        >>> import torch
        >>> from ntklab.adapters.activation import activation_named
        >>> cores = [torch.randn(1, 1, 6, 2), torch.randn(2, 1, 5, 1)]
        >>> z, features, second = torch.ones(1), torch.randn(3, 4), torch.randn(5, 2)
        >>> relu, cut = activation_named("relu"), Cut.best(cores, z, width=5)
        >>> layer_rows(cores, z, cut, features, second, relu, scale=1.0).shape
        torch.Size([3, 2, 22])
    """
    if shifts_pay(cores, cut, features, second):
        with alone() as threads:
            size = features.shape[1]
            layer = _ShiftedLayer(cores, latent, cut, size, second, activation, scale)
            return layer.rows(features, threads, held_bytes)
    above = cut.split(features.shape[1] * len(second))[0]
    preactivation = above.times(features).T.contiguous()
    slope, hidden = activation.derivative(preactivation), activation.function(preactivation)
    pulled = pull_back_layer(cores, latent, features.T.contiguous(), slope, hidden, second)
    pulled *= scale
    # A transposed matrix is copied by tiles; the same permutation of three axes is not.
    by_output = pulled.flatten(1).T.contiguous().unflatten(0, pulled.shape[1:])
    return by_output.transpose(0, 1).contiguous()


class _ShiftedLayer:
    """A layer with all that its samples share."""

    def __init__(
        self,
        cores: Cores,
        latent: Tensor,
        cut: Cut,
        features: int,
        second: Tensor,
        activation: Activation,
        scale: float,
    ) -> None:
        *before, core = cores[: cut.position]
        width, self.outputs = second.shape
        above, below = cut.split(features * width)
        rank, trailing = cut.right.shape
        groups = width // trailing
        self.projection = above.left.reshape(features, -1)
        # Every gradient is linear in W2 or, by W2, in the cores on one side of the cut.
        weights = scale * second.reshape(groups, trailing, self.outputs)
        share = SecondShare(below, weights.shape, scale) if len(below.left) else None
        after = Segment(cores[cut.position :], latent.new_ones(1), left=rank)
        self.units = units_for(activation, rank)(cut.right, weights, activation, share, after)
        self.before = Segment(before, latent)
        self.core = ShiftedCore(
            self.before.end.flatten(1),
            core.flatten(0, 1),
            blocks=features,
            size=groups,
            tail=len(below.left),
        )
        self.sizes = self.before.parameters, core.numel(), after.parameters

    def rows(
        self, features: Float[Tensor, "n d"], threads: int, held_bytes: int
    ) -> Float[Tensor, "n C P"]:
        """For all samples, block by block."""
        rows = features.new_empty(len(features), self.outputs, sum(self.sizes))

        def fill(block: tuple[int, int]) -> None:
            part, here = features[slice(*block)], rows[slice(*block)]
            flat, first = here.flatten(0, 1), self.sizes[0]
            through = self.units.at(part @ self.projection)
            cotangent = self.core.meet(part, through.filters, through.tail, here, first)
            self.before.pull_back(cotangent.flatten(0, 1), out=flat[:, :first])
            flat[:, sum(self.sizes[:2]) :] = through.by_trailing

        of_each = self.core.bytes_per_sample(self.outputs, features.element_size())
        most = min(held_bytes, BLOCK_BYTES // threads) // of_each
        threads = min(threads, -(-len(features) // _WORTH_A_THREAD))
        run_pieces(threads, _blocks(len(features), threads, most), fill)
        return rows


_WORTH_A_THREAD = 16  # samples


def _blocks(samples: int, threads: int, most: int) -> list[tuple[int, int]]:
    """Blocks of about equal size, as many for every thread, with no more than `most` samples."""
    if samples == 0:
        return []
    rounds = -(-samples // (threads * max(most, 1)))
    count = min(samples, threads * rounds)
    return list(pairwise(samples * k // count for k in range(count + 1)))
