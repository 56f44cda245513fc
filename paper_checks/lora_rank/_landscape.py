"""The loss of LoRA in the kernel regime, its stationary points, and certificates for them.

One weight matrix of shape (m, n) is adapted by uvᵀ with u (m, r) and v (n, r). In the kernel regime
the outputs are linear in δ = uvᵀ: aᵢ = ⟨Gᵢ, δ⟩, one for each of q = K·N pairs of output and sample.
With Q = [u; v] of shape (m + n, r) the loss is

    F(Q) = ℓ(a(uvᵀ)) + (λ/2)‖Q‖²_F + ½⟨P, QQᵀ⟩ .

For convex ℓ it is a convex function of Z = QQᵀ ⪰ 0. With Mᵢ = Gᵢ weighted by ∂ℓ/∂aᵢ and summed, put

    S = λI + P + [[0, M], [Mᵀ, 0]] .

∇F(Q) = SQ. A stationary Q with S ⪰ 0 is a global minimum, of every rank; where S has a negative
eigenvalue, a larger rank would do better. Rank-deficient points of second order have S ⪰ 0
(Burer and Monteiro 2005; Boumal, Voroninski and Bandeira 2016).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: From outputs (q,) to the loss, its gradient (q,) and its Hessian (q, q).
Loss = Callable[[Array], tuple[float, Array, Array]]

#: A point counts as stationary and of second order within these, relative to the scale of S.
GRADIENT_TOLERANCE = 1e-7
CURVATURE_TOLERANCE = 1e-6
#: S counts as indefinite below this share of its norm; certificates in between decide nothing.
CERTIFICATE_TOLERANCE = 1e-4


def squared(targets: Array) -> Loss:
    """½ Σ (aᵢ − yᵢ)².

    Example:
        >>> squared(np.array([1.0]))(np.array([3.0]))[0]
        2.0
    """

    def loss(outputs: Array) -> tuple[float, Array, Array]:
        residual = outputs - targets
        return 0.5 * float(residual @ residual), residual, np.eye(len(targets))

    return loss


def cross_entropy(labels: NDArray[np.int64], classes: int) -> Loss:
    """Σ over samples of −log softmax(aₙ)[yₙ]; outputs are sample-major, q = N·classes.

    Example:
        >>> value, gradient, _ = cross_entropy(np.array([0]), 2)(np.zeros(2))
        >>> round(value, 4), gradient.tolist()
        (0.6931, [-0.5, 0.5])
    """
    onehot = np.eye(classes)[labels]

    def loss(outputs: Array) -> tuple[float, Array, Array]:
        logits = outputs.reshape(-1, classes)
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(shifted).sum(axis=1))
        value = float((log_sum - (shifted * onehot).sum(axis=1)).sum())
        p = np.exp(shifted - log_sum[:, None])
        hessian = np.zeros((outputs.size, outputs.size))
        for sample, row in enumerate(p):
            block = slice(sample * classes, (sample + 1) * classes)
            hessian[block, block] = np.diag(row) - np.outer(row, row)
        return value, (p - onehot).ravel(), hessian

    return loss


def logistic(signs: Array) -> Loss:
    """Σ log(1 + exp(−yᵢaᵢ)) with yᵢ = ±1: cross-entropy of two classes in the margin.

    Example:
        >>> round(logistic(np.array([1.0]))(np.zeros(1))[0], 4)
        0.6931
    """

    def loss(outputs: Array) -> tuple[float, Array, Array]:
        margins = signs * outputs
        wrong = np.exp(-np.logaddexp(0.0, margins))  # 1/(1 + e^margin) without overflow
        value = float(np.logaddexp(0.0, -margins).sum())
        return value, -signs * wrong, np.diag(wrong * (1 - wrong))

    return loss


@dataclass(frozen=True)
class Landscape:
    """F for one set of features.

    Attributes:
        features: G, shape (q, m, n).
        loss: ℓ of the outputs.
        decay: λ ≥ 0.
        perturbation: P, symmetric (m + n, m + n); zero if None.
    """

    features: Array
    loss: Loss
    decay: float = 0.0
    perturbation: Array | None = None

    @property
    def sizes(self) -> tuple[int, int, int]:
        """q, m and n."""
        q, m, n = self.features.shape
        return q, m, n

    def outputs(self, Q: Array) -> Array:
        """aᵢ = ⟨Gᵢ, uvᵀ⟩, shape (q,)."""
        u, v = self.split(Q)
        return self.features.reshape(len(self.features), -1) @ (u @ v.T).ravel()

    def split(self, Q: Array) -> tuple[Array, Array]:
        """u (m, r) and v (n, r) of Q (m + n, r)."""
        m = self.sizes[1]
        return Q[:m], Q[m:]

    def value(self, Q: Array) -> float:
        """F(Q)."""
        penalty = 0.5 * self.decay * float((Q * Q).sum())
        if self.perturbation is not None:
            penalty += 0.5 * float((Q * (self.perturbation @ Q)).sum())
        return self.loss(self.outputs(Q))[0] + penalty

    def slack(self, Q: Array) -> Array:
        """S at Q, shape (m + n, m + n)."""
        return self._slack(self.loss(self.outputs(Q))[1])

    def gradient(self, Q: Array) -> Array:
        """∇F(Q) = SQ, shape (m + n, r)."""
        return self.slack(Q) @ Q

    def hessian(self, Q: Array) -> Array:
        """∇²F(Q) on row-major vec(Q): S ⊗ I_r plus Jᵀ(∇²ℓ)J, shape ((m+n)r, (m+n)r)."""
        _, slope, curvature = self.loss(self.outputs(Q))
        u, v = self.split(Q)
        to_u = self.features @ v
        to_v = self.features.transpose(0, 2, 1) @ u
        J = np.concatenate([to_u, to_v], axis=1).reshape(len(slope), -1)
        return np.kron(self._slack(slope), np.eye(Q.shape[1])) + J.T @ curvature @ J

    def _slack(self, slope: Array) -> Array:
        _, m, n = self.sizes
        S = self.decay * np.eye(m + n)
        if self.perturbation is not None:
            S = S + self.perturbation
        M = np.tensordot(slope, self.features, axes=1)
        S[:m, m:] += M
        S[m:, :m] += M.T
        return S


@dataclass(frozen=True)
class Point:
    """The properties of one point.

    Attributes:
        Q: the point, shape (m + n, r).
        value: F(Q).
        gradient: ‖∇F(Q)‖_F over 1 + ‖S‖ ‖Q‖.
        curvature: least eigenvalue of ∇²F(Q) over 1 + ‖S‖.
        certificate: least eigenvalue of S over 1 + ‖S‖: at least 0 proves a global minimum.
    """

    Q: Array
    value: float
    gradient: float
    curvature: float
    certificate: float

    @property
    def second_order(self) -> bool:
        """Stationary, without a direction of descent of second order."""
        return self.gradient <= GRADIENT_TOLERANCE and self.curvature >= -CURVATURE_TOLERANCE

    @property
    def is_global(self) -> bool:
        """Stationary, and certified to be a global minimum over all ranks."""
        return self.gradient <= GRADIENT_TOLERANCE and self.certificate >= -CERTIFICATE_TOLERANCE

    @property
    def is_spurious(self) -> bool:
        """Of second order, while S has a clearly negative eigenvalue."""
        return self.second_order and self.certificate < -CERTIFICATE_TOLERANCE


def examine(landscape: Landscape, Q: Array) -> Point:
    """Gradient, curvature and certificate of a point.

    Example:
        >>> flat = Landscape(np.ones((1, 1, 1)), squared(np.zeros(1)), decay=1.0)
        >>> examine(flat, np.zeros((2, 1))).is_global
        True
    """
    S = landscape.slack(Q)
    scale = 1.0 + float(np.linalg.norm(S, 2))
    gradient = float(np.linalg.norm(S @ Q)) / (scale * (1.0 + float(np.linalg.norm(Q))))
    # Q of rank 0 has no direction to curve along.
    curvature = float(np.linalg.eigvalsh(landscape.hessian(Q))[0]) / scale if Q.size else 0.0
    certificate = float(np.linalg.eigvalsh(S)[0]) / scale
    return Point(Q, landscape.value(Q), gradient, curvature, certificate)


def descend(landscape: Landscape, Q: Array, *, steps: int = 400) -> Point:
    """From Q to a point of second order, by a trust region with the exact Hessian (scipy).

    Args:
        landscape: F.
        Q: where to begin, shape (m + n, r).
        steps: at most so many.

    Returns:
        The last point; `Point.second_order` says whether it got there.

    Cost: an eigenvalue problem of size (m + n)·r a step.
    """
    from scipy.optimize import minimize

    shape = Q.shape
    result = minimize(
        lambda x: landscape.value(x.reshape(shape)),
        Q.ravel(),
        jac=lambda x: landscape.gradient(x.reshape(shape)).ravel(),
        hess=lambda x: landscape.hessian(x.reshape(shape)),
        method="trust-exact",
        options={"maxiter": steps, "gtol": 1e-10},
    )
    return examine(landscape, result.x.reshape(shape))
