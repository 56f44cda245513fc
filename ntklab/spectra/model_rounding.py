"""The model's own arithmetic as an error of singular values: Weyl's inequality on measured rows.

|σ_i(J) − σ_i(J₆₄)| ≤ ‖J − J₆₄‖₂ for every i, with J₆₄ the Jacobian in float64. The norm is measured
on the rows of a few samples and extended to all N. For blocks of rows, ‖D‖₂² ≤ Σ ‖D_n‖₂²; so if
the errors D of all samples point the same way, as those of a shared factor do, and are as large
as the measured ones beside their rows, then

    ‖D‖₂ = ‖D_s‖₂ · max(√(N/m), ‖J‖_F/‖J_s‖_F)

for m measured samples s; if they point in different ways, ‖D‖₂ is smaller. Twice that is taken,
for what m samples do not show. Where the rows of a sample do not fit the memory or there are very
many, ‖D_s‖_F stands for ‖D_s‖₂, measured on random combinations of them. A float64 model needs no
term: rows of heads and small networks err by 0.2 to 1.3 ε·σ_1, and the linear algebra's
max(NC, P, 10)·ε·σ_1 has room for that. One whose code goes through float32 inside, as the norms of
Llama do, is measured like a float32 model.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.jacobians.guards.precision import RowErrors, float64_twin, row_errors, twin_fits
from ntklab.jacobians.operator import Jacobian
from ntklab.jacobians.softmax_weighted import SoftmaxWeightedJacobian, weight_rows
from ntklab.jacobians.symmetric import gram_matrix
from ntklab.spectra.centre import CentredJacobian, compress_rows
from ntklab.spectra.operator import DenseJacobian, JacobianLike, jacobian_dtype
from ntklab.spectra.rounding import ModelRounding
from ntklab.spectra.shared import SharedJacobian

# What the measured samples do not show of the others.
SAFETY = 2.0


WITHIN = ModelRounding(0.0, "float64 model: its rounding lies within the linear algebra's")


def model_rounding(source: JacobianLike, size: float) -> ModelRounding | None:
    """δ for a Jacobian of ntklab, centred or weighted or not; of a `DenseJacobian` the given one.

    Args:
        source: the Jacobian that the spectrum is taken of.
        size: its Frobenius norm ‖J‖_F, known from the spectrum.

    Returns:
        None for a Jacobian that is given as floats, of which no model is known.

    Cost: rows of 8 samples in the model's arithmetic and in float64; for a float64 model one
    forward pass of one sample, which shows whether it goes through float32.

    Example:
        >>> from ntklab.jacobians import jacobian
        >>> J = jacobian(torch.nn.Linear(3, 2).bfloat16(), torch.full((4, 3), 0.1).bfloat16())
        >>> model_rounding(J, 1.0).sigma_error
        0.0
    """
    base = _base(source)
    if base is None or isinstance(base, DenseJacobian):
        return None if base is None else base.model
    coarse = base.engine.functional.single_inside
    if base.dtype == torch.float64 and not coarse:
        return WITHIN
    name = f"{', '.join(coarse)} in float32" if coarse else f"{_name(base.dtype)} arithmetic"
    remedy = "compute it under ntklab.jacobians.whole_float64()" if coarse else ModelRounding.remedy
    measured = row_errors(base)
    if measured is None:
        text = f"{name} not counted: its rows could not be measured"
        return ModelRounding(None, text, remedy)
    off, own = _norms(source, measured)
    count = len(measured.samples)
    ratio = (base.n_samples / count) ** 0.5
    if own > 0:
        ratio = max(ratio, size / own)
    rows = "combined rows" if measured.combined else "rows"
    of = f"{rows} of {count} of {base.n_samples} samples beside {measured.reference}"
    return ModelRounding(SAFETY * ratio * off, f"{name}, measured: {of}", remedy)


def decoupled_rounding(source: JacobianLike) -> ModelRounding | None:
    """δ where the kernel is known as S ⊗ I + S' ⊗ BBᵀ: from all samples' parts, without rows of J.

    A block is [shared, √β coupled], so its error is at most √(‖Δshared‖² + ‖Δ(√β coupled)‖²), where
    √β, a singular value of the output factor, is off by ‖Δfactor‖ at most.
    """
    base = _base(source)
    if base is None or isinstance(base, DenseJacobian):
        return None
    if base.dtype == torch.float64:
        return WITHIN
    if not twin_fits(base):
        text = f"{_name(base.dtype)} arithmetic not counted: a float64 copy does not fit the memory"
        return ModelRounding(None, text)
    engine, exact = float64_twin(base)
    twin = Jacobian(engine, exact, memory=base.memory)
    parts, reference = base.decoupled(), twin.decoupled()
    assert parts is not None
    assert reference is not None
    square = _largest(parts.shared.double() - reference.shared) ** 2
    if parts.coupled is not None and reference.coupled is not None and parts.factor is not None:
        assert reference.factor is not None
        strongest = _largest(parts.factor.double())
        off = strongest * _largest(parts.coupled.double() - reference.coupled)
        off += _largest(parts.factor.double() - reference.factor) * _largest(reference.coupled)
        square += off**2
    of = f"all {base.n_samples} samples beside a float64 copy of the model"
    return ModelRounding(square**0.5, f"{_name(base.dtype)} arithmetic, measured: {of}")


def measured_tolerance(model: ModelRounding | None, source: JacobianLike) -> tuple[float, float]:
    """ε and the least σ that a rank may count: float64's ε and δ where δ is known.

    By Weyl's inequality a singular value that is zero in float64 comes out at most as δ. Where δ
    is unknown, n·ε of the model's own precision stands in for it.
    """
    if model is not None and model.sigma_error is not None:
        return torch.finfo(torch.float64).eps, model.sigma_error
    base, dtype = _base(source), jacobian_dtype(source)
    if isinstance(base, Jacobian):
        dtype = base.engine.functional.coarsest_dtype
    return torch.finfo(dtype if dtype.is_floating_point else torch.float64).eps, 0.0


def _norms(source: JacobianLike, measured: RowErrors) -> tuple[float, float]:
    """‖D_s‖₂ (or a number above it) and ‖J_s‖_F, of rows as the source has them."""
    if measured.combined:
        # Projections make D no larger; the weights of softmax, whose squares are below diag p,
        # by √max p.
        scale = 1.0
        inner = source.jacobian if isinstance(source, CentredJacobian) else source
        if isinstance(inner, SoftmaxWeightedJacobian):
            scale = float(inner.probabilities.max()) ** 0.5
        return scale * float(measured.errors.norm()), scale * float(measured.rows.norm())
    errors, rows = (
        _as_seen(source, part, measured.samples) for part in (measured.errors, measured.rows)
    )
    return max(_largest(errors), measured.floor), float(rows.norm())


def _base(source: JacobianLike) -> Jacobian | DenseJacobian | None:
    while not isinstance(source, (Jacobian, DenseJacobian)):
        if not isinstance(source, (CentredJacobian, SharedJacobian, SoftmaxWeightedJacobian)):
            return None
        source = source.jacobian
    return source


def _as_seen(source: JacobianLike, rows: Tensor, samples: Tensor) -> Float[Tensor, "m P"]:
    """Rows of the model's outputs as the source has them: weighted, then without their mean."""
    if isinstance(source, CentredJacobian):
        inner = _as_seen(source.jacobian, rows, samples)
        return compress_rows(inner, rows.shape[1])
    if isinstance(source, SoftmaxWeightedJacobian):
        rows = weight_rows(rows, source.probabilities[samples].double())
    return rows.flatten(0, 1)


def _largest(matrix: Tensor) -> float:
    """The 2-norm, through the Gram matrix of the shorter side."""
    scale = float(matrix.abs().max()) if matrix.numel() else 0.0
    if scale == 0.0:
        return 0.0
    short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    # Squares of errors near 1e-200 would underflow.
    values = torch.linalg.eigvalsh(gram_matrix(short / scale))
    return scale * max(float(values[-1]), 0.0) ** 0.5


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
