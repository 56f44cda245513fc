"""The Gauss–Newton (GGN) spectrum of cross-entropy: Jᵀ (diag p − ppᵀ) J, sample by sample.

Softmax's cross-entropy has the Hessian H_n = diag p_n − p_n p_nᵀ by the logits of sample n. With
R_n = diag(√p_n) (I − 1 p_nᵀ), R_nᵀ R_n = H_n, so the rows R_n J_n make a Jacobian J̃ whose kernel
J̃ J̃ᵀ and dual Gram J̃ᵀJ̃ = Σ_n J_nᵀ H_n J_n every solver takes. R_n 1 = 0: what the outputs share
is gone, as in the centred kernel.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters import Adapter, FactorAdapter, FactorTangents
from ntklab.errors import InputError
from ntklab.host_memory import format_memory
from ntklab.jacobians.dual import inner_width
from ntklab.jacobians.engines.vjp_jvp import VjpJvp
from ntklab.jacobians.memory import chunk_size, spans
from ntklab.jacobians.operator import Jacobian
from ntklab.jacobians.symmetric import mirror

# Entries of T2 multiplied at a time: 2^23 float64 numbers are 64 MiB.
_BLOCK = 1 << 23


class SoftmaxWeightedJacobian:
    """J̃, the Jacobian weighted by the softmax of each sample; shape (N·C, P) as J.

    It has what `ntklab.spectra.spectrum` and `top_k` need; nothing is computed before it is asked
    for. With many outputs `spectrum` takes `dual_gram`, which for adapters with factors goes
    through the weights; for many outputs and many parameters (LoRA) give J with the engine
    `vjp-jvp` and ask `top_k`.

    Args:
        jacobian: J.
        probabilities: p, shape (N, C), rows that sum to 1; `torch.softmax(logits, 1)`.

    Raises:
        InputError: probabilities of another shape, negative, or that do not sum to 1.

    Example:
        >>> from ntklab.jacobians import jacobian
        >>> model, x = torch.nn.Linear(3, 2).double(), torch.randn(4, 3).double()
        >>> p = torch.softmax(model(x).detach(), 1)
        >>> G = SoftmaxWeightedJacobian(jacobian(model, x), p).dual_gram()
        >>> J = jacobian(model, x).dense().reshape(4, 2, -1)
        >>> torch.allclose(G, sum(j.T @ (torch.diag(q) - q.outer(q)) @ j for j, q in zip(J, p)))
        True
    """

    def __init__(self, jacobian: Jacobian, probabilities: Float[Tensor, "N C"]) -> None:
        self.jacobian, self.shape = jacobian, jacobian.shape
        self.n_samples, self.n_outputs = jacobian.n_samples, jacobian.n_outputs
        self.memory, self.dtype, self.device = jacobian.memory, jacobian.dtype, jacobian.device
        self.probabilities = _checked(probabilities, (self.n_samples, self.n_outputs)).to(
            self.device, jacobian.accumulate
        )

    @property
    def T(self) -> "_Transposed":
        """J̃ᵀ."""
        return _Transposed(self)

    def __matmul__(self, v: Tensor) -> Tensor:
        """J̃ v for v (P,) or (P, k)."""
        product = self._push(v.reshape(len(v), -1))
        return self._weighted(product).reshape(self.shape[0], *v.shape[1:])

    def rows(self, start: int, stop: int) -> Float[Tensor, "n C P"]:
        """The weighted rows of samples start..stop."""
        rows = self.jacobian.rows(start, stop).to(self.probabilities.dtype)
        return weight_rows(rows, self.probabilities[start:stop])

    def dense(self, dtype: torch.dtype | None = None) -> Float[Tensor, "NC P"]:
        """J̃ as a matrix."""
        return self._weighted(self.jacobian.dense(self.probabilities.dtype)).to(
            dtype or self.probabilities.dtype
        )

    def gram(self) -> Float[Tensor, "NC NC"]:
        """R K Rᵀ."""
        return mirror(self._weighted(self._weighted(self.jacobian.gram()).T).T)

    def dual_gram(self) -> Float[Tensor, "P P"]:
        """Σ_n J_nᵀ H_n J_n.

        Raises:
            InputError: the matrix alone is larger than the Jacobian's memory.

        Cost: through the weights M² N C P + M C P (M + P) multiply-adds; by rows N C P².
        """
        size = self.shape[1]
        if (needed := 2 * size * size * self.probabilities.element_size()) > self.memory:
            raise InputError(
                f"the {size} × {size} matrix of the weighted kernel takes {format_memory(needed)}, "
                f"more than the {format_memory(self.memory)} allowed: allow more, or ask top_k of "
                "a Jacobian with the engine vjp-jvp."
            )
        # Only an engine that vouches for its adapter: here nothing is compared with `loop`.
        engine = self.jacobian.engine
        adapter = getattr(engine, "adapter", None) if engine.vouches() else None
        if isinstance(adapter, Adapter) and self._tangents_fit(adapter):
            assert isinstance(self.jacobian.x, Tensor)
            with torch.no_grad():
                return mirror(softmax_weighted_gram(adapter, self.jacobian.x, self.probabilities))
        gram = self.probabilities.new_zeros(size, size)
        for start, stop in spans(self.n_samples, self.jacobian.chunk):
            rows = self.rows(start, stop).flatten(0, 1)
            gram.addmm_(rows.T, rows)
        return mirror(gram)

    def _push(self, columns: Float[Tensor, "P k"]) -> Float[Tensor, "NC k"]:
        if not isinstance(self.jacobian.engine, VjpJvp):
            return self.jacobian @ columns
        parts = [self.jacobian.matvec(*span, columns) for span in self._spans(columns)]
        return torch.cat(parts).flatten(0, 1)

    def _pull(self, blocks: Float[Tensor, "N C k"]) -> Float[Tensor, "P k"]:
        if not isinstance(self.jacobian.engine, VjpJvp):
            return self.jacobian.T @ blocks.flatten(0, 1)
        parts = self._spans(blocks)
        pulled = [self.jacobian.rmatvec(*span, blocks[slice(*span)]) for span in parts]
        return torch.stack(pulled).sum(0)

    def _spans(self, columns: Tensor) -> Iterator[tuple[int, int]]:
        """Samples at a time for products without rows: their outputs and tangents count."""
        each = 4 * self.n_outputs * columns.shape[-1] * columns.element_size()
        chunk = chunk_size(each, self.memory // 4, self.n_samples)
        return spans(self.n_samples, chunk)

    def _tangents_fit(self, adapter: Adapter) -> bool:
        if adapter.moving is None:
            return False
        width = inner_width(adapter)
        sizes = adapter.in_features, width, adapter.out_features
        count = FactorTangents.count(*sizes, adapter.moving)
        return count * self.probabilities.element_size() <= self.memory

    def _weighted(self, columns: Float[Tensor, "NC k"]) -> Float[Tensor, "NC k"]:
        blocks = columns.reshape(self.n_samples, self.n_outputs, -1)
        weighted = weight_rows(blocks.to(self.probabilities.dtype), self.probabilities)
        return weighted.reshape(self.shape[0], -1)


class _Transposed:
    def __init__(self, weighted: SoftmaxWeightedJacobian) -> None:
        self.T = weighted
        self.shape = weighted.shape[::-1]

    def __matmul__(self, u: Tensor) -> Tensor:
        """Jᵀ Rᵀ u, with R_nᵀ u = √p ∘ u − p (√p · u)."""
        J, p = self.T, self.T.probabilities.unsqueeze(-1)
        rooted = p.sqrt() * u.reshape(J.n_samples, J.n_outputs, -1).to(p.dtype)
        pulled = rooted - p * rooted.sum(1, keepdim=True)
        return J._pull(pulled).reshape(J.shape[1], *u.shape[1:])


def weight_rows(
    rows: Float[Tensor, "n C k"], probabilities: Float[Tensor, "n C"]
) -> Float[Tensor, "n C k"]:
    """R_n A_n = √p_n ∘ (A_n − p_nᵀ A_n): each output beside the mean that softmax expects.

    Example:
        >>> weight_rows(torch.tensor([[[1.0], [5.0]]]), torch.tensor([[0.25, 0.75]])).flatten()
        tensor([-1.5000,  0.8660])
    """
    p = probabilities.unsqueeze(-1)
    return p.sqrt() * (rows - (p * rows).sum(1, keepdim=True))


def softmax_weighted_gram(
    adapter: Adapter, features: Float[Tensor, "N d"], probabilities: Float[Tensor, "N C"]
) -> Float[Tensor, "P P"]:
    """Σ_n J_nᵀ (diag p_n − p_n p_nᵀ) J_n through the weights: no row of J is formed.

    With T1 = ∂W1/∂θ, T2 = ∂W2/∂θ, h = σ(φ W1), s = σ'(φ W1), a_nj = s_nj Σ_i φ_ni T1[i, j] and
    Z_nk = Σ_c p_nc T2[k, c], the matrix / scale² is (all sums over c in one sweep of blocks)

        Σ_n a_nᵀ (W2 H_n W2ᵀ) a_n
      + X + Xᵀ,  X = Σ_njk a_nj h_nk (Σ_c p_nc W2[j, c] T2[k, c] − (W2 p_n)_j Z_nk)
      + Σ_c T2[:, c]ᵀ (Σ_n p_nc h_n h_nᵀ) T2[:, c] − Σ_n (h_n·Z_n)(h_n·Z_n)ᵀ.

    Rounding is that of Σ_n J_nᵀ diag(p_n) J_n, from which the rest is subtracted: where softmax is
    so sure that little is left (1 − max p near ε), weight rows instead (`rows`).

    Args:
        adapter: a head with factor tangents.
        features: Φ.
        probabilities: p; the matrix has their dtype.

    Cost: M² N C P2 + M C P2 (M + P2) multiply-adds; memory M (d P1 + C P2) + a block of N M² P2.

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> head = build_adapter("tensorguide", 6, 3, width=4, dtype=torch.float64)
        >>> x = torch.randn(5, 6, dtype=torch.float64)
        >>> p = torch.softmax(head(x).detach(), 1)
        >>> softmax_weighted_gram(head, x, p).shape == 2 * (head.parameter_count,)
        True
    """
    tangents, dtype = adapter.factor_tangents(), probabilities.dtype
    width, size = tangents.second.shape[0], tangents.by_second.shape[2]
    one, two = tangents.first_columns, tangents.second_columns
    gram = probabilities.new_zeros(adapter.parameter_count, adapter.parameter_count)
    gram[two, two] += _by_second(adapter, tangents, features.to(dtype), probabilities)
    numbers = width * width * size + width * tangents.by_first.shape[2]
    for start, stop in spans(len(features), chunk_size(numbers, _BLOCK, len(features))):
        part = features[start:stop].to(dtype), probabilities[start:stop]
        by_first, cross, expected = _of_samples(adapter, tangents, *part)
        gram[one, one] += by_first
        gram[one, two] += cross
        gram[two, one] += cross.T
        gram[two, two] -= expected.T @ expected
    return gram * adapter.scale**2


def _hidden(adapter: Adapter, first: Tensor, phi: Tensor) -> tuple[Tensor, Tensor]:
    """σ(φ W1) and σ'(φ W1)."""
    inner = phi @ first.to(phi)
    if isinstance(adapter, FactorAdapter):
        return adapter.activation.function(inner), adapter.activation.derivative(inner)
    return inner, torch.ones_like(inner)


def _by_second(adapter: Adapter, tangents: FactorTangents, phi: Tensor, p: Tensor) -> Tensor:
    """Σ_c T2[:, c]ᵀ Q_c T2[:, c], Q_c = Σ_n p_nc h_n h_nᵀ, some outputs at a time."""
    hidden, _ = _hidden(adapter, tangents.first, phi)
    width, size = hidden.shape[1], tangents.by_second.shape[2]
    pairs = (hidden.unsqueeze(2) * hidden.unsqueeze(1)).flatten(1)
    gram = p.new_zeros(size, size)
    for start, stop in spans(p.shape[1], chunk_size(width * size, _BLOCK, p.shape[1])):
        below = tangents.by_second[:, start:stop].to(p).transpose(0, 1)
        moments = (p[:, start:stop].T @ pairs).reshape(-1, width, width)
        gram.addmm_(below.flatten(0, 1).T, (moments @ below).flatten(0, 1))
    return gram


def _of_samples(
    adapter: Adapter, tangents: FactorTangents, phi: Tensor, p: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of some samples: the block of W1, the cross block, and h_n·Z_n row by row."""
    hidden, slope = _hidden(adapter, tangents.first, phi)
    second = tangents.second.to(p)
    width, size = second.shape[0], tangents.by_second.shape[2]
    moved = torch.einsum("ni,ijp->njp", phi, tangents.by_first.to(p)) * slope.unsqueeze(2)
    pairs = second.unsqueeze(1) * second.unsqueeze(0)
    mean = p @ second.T
    hessian = (p @ pairs.flatten(0, 1).T).reshape(-1, width, width)
    hessian = hessian - mean.unsqueeze(2) * mean.unsqueeze(1)
    by_first = moved.flatten(0, 1).T @ (hessian @ moved).flatten(0, 1)
    # One more row of ones beside W2, so that Z comes out of the same product.
    weights = torch.cat([second, second.new_ones(1, second.shape[1])])
    sums = p.new_zeros(len(phi) * (width + 1), width * size)
    for start, stop in spans(p.shape[1], chunk_size(width * size, _BLOCK, p.shape[1])):
        weighted = p[:, None, start:stop] * weights[:, start:stop]
        below = tangents.by_second[:, start:stop].to(p).transpose(0, 1)
        sums.addmm_(weighted.flatten(0, 1), below.flatten(1))
    through = torch.einsum("nk,njkq->njq", hidden, sums.reshape(-1, width + 1, width, size))
    expected = through[:, -1]
    cross = through[:, :-1] - mean.unsqueeze(2) * expected.unsqueeze(1)
    return by_first, moved.flatten(0, 1).T @ cross.flatten(0, 1), expected


def _checked(probabilities: Tensor, shape: tuple[int, int]) -> Tensor:
    if tuple(probabilities.shape) != shape:
        raise InputError(
            f"probabilities have shape {tuple(probabilities.shape)}, but the Jacobian has "
            f"{shape[0]} samples of {shape[1]} outputs: give one row a sample."
        )
    wrong: Any = (probabilities.sum(1) - 1).abs().max()
    tolerance = 100 * torch.finfo(probabilities.dtype).eps ** 0.5
    if not (float(wrong) <= tolerance and float(probabilities.min()) >= 0):
        raise InputError(
            f"probabilities must be at least 0 and sum to 1 in each row (least "
            f"{float(probabilities.min()):.3g}, sums off by up to {float(wrong):.3g}): give "
            "torch.softmax(logits, 1)."
        )
    return probabilities
