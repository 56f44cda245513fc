"""Generalization bounds of a pair: by the kernel at the start, and by counting."""

from typing import Any

import scipy.linalg
import torch
from torch import Tensor, nn

from ntklab.adapters import Adapter
from ntklab.bounds import (
    Bound,
    counting_bound,
    fit_bound,
    fit_risk_bound,
    monte_carlo_rademacher,
    radius_grid,
    risk_bound,
)
from ntklab.spectra import Spectrum
from ntklab.training import Data, accuracy

#: Probability with which each bound may fail.
DELTA = 0.05
DRAWS = 2000
_DRAWS_FAIL = 0.01  # of those 5 %, what the sampling of signs takes

#: Columns with a verdict beside them, `<column>_vacuous`.
BOUNDS = ("fit_bound", "rademacher", "fit_risk_bound", "rademacher_risk_bound", "compression_bound")


def kernel_bounds(spectrum: Spectrum, residual: Tensor, seed: int) -> dict[str, Any]:
    """Complexity of the ball through the fit, bounded and sampled, and the risk that follows.

    They hold for the *linearized* model fitted to the one-hot labels (as far as the loss sees
    them), and of its clipped loss min(‖f − y‖, 1). A complexity is called vacuous where the risk
    bound that it enters is: alone it has no trivial value.

    Args:
        spectrum: of the kernel at the start, with eigenvectors.
        residual: y − f_0, shape (N, C).
        seed: of the random signs.

    Returns:
        `fit_bound` with `fit_radius` (eq 19 as a closed form), `rademacher` (Monte Carlo, eq 17)
        with `rademacher_error` (standard error), `fit_risk_bound` and `rademacher_risk_bound`
        (eqs 15, 20), each with whether vacuous.

    Cost: `DRAWS` · (N·C)² multiply-adds.

    Example:
        >>> from ntklab.spectra import spectrum
        >>> columns = kernel_bounds(spectrum(torch.eye(400), vectors=True), torch.ones(400, 1), 0)
        >>> columns["fit_bound"], columns["rademacher_vacuous"]
        (1.0, True)
    """
    samples = len(residual)
    fit = fit_bound(spectrum, residual, n_samples=samples)
    trace = fit_risk_bound(spectrum, residual, n_samples=samples, delta=DELTA)
    radius = fit.ingredients["radius"]
    cell = radius_grid(radius, DELTA - _DRAWS_FAIL)
    kernel = _kernel(spectrum, samples)
    sampled = monte_carlo_rademacher(
        kernel, n_samples=samples, radius=cell.radius, draws=DRAWS, seed=seed
    )
    risk = risk_bound(
        train_risk=trace.ingredients["train_risk"],
        complexity=sampled.as_bound(_DRAWS_FAIL),
        n_samples=samples,
        lipschitz=1.0,
        loss_range=1.0,
        delta=cell.delta,
        vector_outputs=spectrum.size > samples,
        trivial=1.0,
    )
    shrink = radius / cell.radius  # R_S is proportional to the radius of the ball
    return {
        "fit_bound": fit.value,
        "fit_bound_vacuous": trace.vacuous,
        "fit_radius": radius,
        "rademacher": shrink * sampled.value,
        "rademacher_error": shrink * sampled.standard_error,
        "rademacher_vacuous": risk.vacuous,
        **_judged("fit_risk_bound", trace),
        **_judged("rademacher_risk_bound", risk),
    }


def counting_columns(head: Adapter, model: nn.Module, data: Data) -> dict[str, Any]:
    """Occam's bound of the trained classifier itself (`ntklab.bounds.counting_bound`).

    Args:
        head: trained; it comes back as it was.
        model: the function that is judged, which holds the head.
        data: its training rows, and the first test set.

    Returns:
        `compression_bound` with whether vacuous; `effective_parameters` (P less what the gauge
        fixes), `compression_bits`, `compressed_train_error`, `compressed_test_error`.

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> data = Data(torch.randn(40, 8), torch.randint(2, (40,)))
        >>> head = build_adapter("lora", 8, 2, rank=1, generator=torch.Generator().manual_seed(0))
        >>> columns = counting_columns(head, head, data)
        >>> columns["effective_parameters"], columns["compression_bound_vacuous"]
        (9, True)
    """

    def errors() -> tuple[float, float | None]:
        tests = [_error(model, x, y) for x, y in list(data.tests.values())[:1]]
        return _error(model, data.inputs, data.targets), tests[0] if tests else None

    bound, code = counting_bound(head, errors, n_samples=data.n_samples, delta=DELTA)
    return {
        **_judged("compression_bound", bound),
        "effective_parameters": code.coordinates,
        "compression_bits": code.bits,
        "compressed_train_error": bound.ingredients["train_error"],
        "compressed_test_error": bound.measured,
    }


def _kernel(spectrum: Spectrum, samples: int) -> Tensor:
    """K from its eigenvectors, of `spectrum.size` rows.

    A centred kernel is that of C − 1 outputs, in an orthonormal basis of what is orthogonal to 1:
    for two classes a scalar function, whose complexity needs one sign a sample.
    """
    vectors = spectrum.eigenvectors
    assert vectors is not None
    vectors = vectors.cpu()  # where the eigenvalues are
    if spectrum.centred:
        basis = torch.from_numpy(scipy.linalg.helmert(len(vectors) // samples))
        blocks = vectors.reshape(samples, -1, vectors.shape[1])
        vectors = torch.einsum("kc,ncr->nkr", basis, blocks).flatten(0, 1)
    positive = spectrum.eigenvalues > 0
    values = spectrum.eigenvalues[positive].repeat_interleave(spectrum.multiplicity[positive])
    return (vectors * values) @ vectors.T


def _judged(name: str, bound: Bound) -> dict[str, Any]:
    return {name: bound.value, f"{name}_vacuous": bound.vacuous}


def _error(model: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return 1.0 - accuracy(model(x), y)
