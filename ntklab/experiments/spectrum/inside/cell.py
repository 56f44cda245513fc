"""One cell inside a model: a configuration in, a row and its eigenvalues out."""

import time
from math import sqrt
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ntklab.adapters.adapter import Adapter
from ntklab.adapters.inject import adapters_in, injection_of
from ntklab.adapters.spec import PEFT
from ntklab.experiments.peak_memory import taken_since
from ntklab.experiments.spectrum.config import SpectrumConfig
from ntklab.experiments.spectrum.inside.source import (
    Read,
    adapted_model,
    one_of_a_kind,
    plain_model,
    read,
    targets_of,
)
from ntklab.experiments.spectrum.parts import core_rows, layer_rows, ratio
from ntklab.jacobians import Jacobian, jacobian, kernel_error
from ntklab.jacobians.guards.derivative import DerivativeCheck, check_derivative
from ntklab.jacobians.guards.inside import single_inside
from ntklab.jacobians.guards.precision import twin_fits
from ntklab.jacobians.inputs import take
from ntklab.jacobians.memory import Progress, spans
from ntklab.jacobians.readout import TokenLogits
from ntklab.jacobians.vocabulary import VocabularyKernel, vocabulary_kernel
from ntklab.records import Cell, without_gaps
from ntklab.spectra import Spectrum, label_alignment, spectrum

Row = dict[str, Any]


def run_model_cell(config: SpectrumConfig, *, progress: Progress | None = None) -> Cell:
    """The spectrum of the NTK of adapters inside a model, on texts drawn by the seed.

    The row says besides what a head's row says: model, target, layers, readout and tokens; which
    engine was chosen and by which count; whether autograd's derivative is the function's
    (`derivative_gap`, `derivative_exact`: kernels of training follow autograd); and where a whole
    vocabulary is read, by how many passes (`vocabulary_route`, `vocabulary_passes`) and with which
    standard error (`vocabulary_error` = ‖standard errors‖_F / ‖K‖_F).

    Args:
        config: what to compute.
        progress: called with (samples done, N).

    Returns:
        As `ntklab.experiments.spectrum.cell.run_cell`; `seconds` leave out loading the model.

    Raises:
        InputError: for a model, targets, texts or sizes that do not fit.
    """
    texts = read(config)
    targets = [target.name for target in targets_of(config, plain_model(config).model)]
    start = time.perf_counter()
    model = adapted_model(config)
    derivative = _derivative(model, texts)
    parts: list[Row] = []
    if texts.readout is None:
        whole = _vocabulary(config, model, texts, progress)
        result = spectrum(whole.kernel)
        row = _vocabulary_row(whole, result, _parameters(model))
        first = take(texts.inputs, 0, 1)
        row |= _unbounded(single_inside(model, lambda: model(**first)))  # type: ignore[arg-type]
    else:
        J = jacobian(
            model, texts.inputs, readout=texts.readout, engine=config.engine,
            memory=config.memory, progress=progress,
        )  # fmt: skip
        result = spectrum(J, centred=config.centred)
        row = _row_of(config, J, result) | _labels(config, J, result, texts)
        row["single_inside"] = ", ".join(J.engine.functional.single_inside) or None
        trace = row["trace"]
        parts = core_rows(J, trace, centred=config.centred) if config.per_core else []
        if config.inside.per_layer:
            parts += layer_rows(J, trace, targets, centred=config.centred)
    row = _setting(config, model, texts) | row | _derivative_row(derivative)
    row["reason"] = _reason(row, derivative, texts)
    shared = {name: row[name] for name in _SHARED}
    lines = [without_gaps({**shared, **part} | {"reason": _part_reason(part)}) for part in parts]
    measured = taken_since(start, config.compute.device)
    arrays = {
        "eigenvalues": result.eigenvalues.numpy(),
        "multiplicity": result.multiplicity.numpy(),
    }
    return Cell(without_gaps(row), measured, arrays, tuple(lines))


_SHARED = (
    *("method", "task", "data_condition", "preset", "seed", "samples", "width", "tt_ranks"),
    *(
        "start",
        "effective_width",
        "model",
        "target",
        "layers",
        "readout",
        "engine",
        "output",
        "outputs",
    ),
)


def _setting(config: SpectrumConfig, model: nn.Module, texts: Read) -> Row:
    spec, foreign = config.inside, config.adapter.method.startswith(PEFT)
    adapters: list[Adapter] = [] if injection_of(model) is None else [*adapters_in(model).values()]
    ranks = [",".join(map(str, s.ranks)) for s in adapters[0].shapes.values()] if adapters else []
    return {
        "method": config.adapter.method,
        "task": "text",
        "data_condition": None,
        "preset": config.adapter.preset,
        "start": "peft" if foreign else config.adapter.preset,
        "seed": config.compute.seed,
        "samples": config.samples,
        "model": plain_model(config).name,
        "target": spec.target,
        "layers": spec.layers,
        "readout": spec.readout,
        "tokens": texts.length,
        "texts_cut": texts.cut,
        "width": adapters[0].width if adapters else None,
        "effective_width": None,
        "tt_ranks": ";".join(ranks) or None,
    }


def _row_of(config: SpectrumConfig, J: Jacobian, result: Spectrum) -> Row:
    summary = result.summary()
    single = config.compute.dtype == "float32"
    rows = J.n_samples * (J.n_outputs - 1) if config.centred else J.shape[0]
    return {
        "engine": J.engine.name,
        "choice": J.choice,
        "output": "full",
        "outputs": J.shape[0],
        "rank_bound": min(rows, J.shape[1]),
        **summary,
        "params": J.shape[1],
        "kernel_error": kernel_error(J) if single and twin_fits(J) else None,
        **result.over_mean,
    }


def _vocabulary(
    config: SpectrumConfig, model: nn.Module, texts: Read, progress: Progress | None
) -> VocabularyKernel:
    return vocabulary_kernel(
        model,
        texts.inputs,
        passes=config.inside.passes,
        centred=config.centred,
        seed=config.compute.seed,
        progress=progress,
        engine=config.engine,
        memory=config.memory,
    )


def _vocabulary_row(whole: VocabularyKernel, result: Spectrum, params: int) -> Row:
    samples = len(whole.kernel)
    error = whole.standard_error
    norm = float(whole.kernel.norm())
    row = {
        "engine": "vocabulary",
        "choice": f"{whole.route}: {whole.passes} backward passes for {whole.outputs} outputs",
        "output": "trace",
        "outputs": samples,
        "rank_bound": min(samples, params),
        **result.summary(),
        "params": params,
        "centred": whole.centred,
        "kernel_error": None,
        "vocabulary_route": whole.route,
        "vocabulary_passes": whole.passes,
        "vocabulary_outputs": whole.outputs,
        "vocabulary_error": None if error is None or not norm else float(error.norm()) / norm,
        **result.over_mean,
    }
    if error is not None:
        # Weyl: an eigenvalue moves by at most the norm of what the draws left of the kernel.
        row["lambda_min_error"] = row["lambda_min_nonzero_error"] = None
        row["rank_decided"] = False
    return row


def _parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _derivative(model: nn.Module, texts: Read) -> DerivativeCheck:
    """Autograd beside finite differences, for the parameters of one layer of each kind.

    Whether a method hands autograd another derivative is a matter of its code, which its layers
    share. The last of each kind is taken, which moves the outputs most directly.
    """
    # Of a whole vocabulary two tokens speak for all: the projection behind is not differentiated.
    readout = texts.readout or TokenLogits((0, 1))
    return check_derivative(model, texts.inputs, one_of_a_kind(model), readout=readout)


def _derivative_row(derivative: DerivativeCheck) -> Row:
    return {
        "derivative_gap": derivative.gap,
        "derivative_exact": derivative.exact,
        "derivative_checked": derivative.checked,
    }


def _unbounded(modules: tuple[str, ...]) -> Row:
    """Bounds that hold for float64 say nothing of a model that rounds to float32 inside.

    Those of a Jacobian count it; the kernel of a whole vocabulary comes as a matrix.
    """
    if not modules:
        return {"single_inside": None}
    return {
        "single_inside": ", ".join(modules),
        "lambda_min_error": None,
        "lambda_min_nonzero_error": None,
    }


def _labels(config: SpectrumConfig, J: Jacobian, result: Spectrum, texts: Read) -> Row:
    y = texts.one_hot(J.n_outputs)
    if y is None:
        return {"kernel_target_alignment": None, "label_residual": None}
    pulled = _pulled(J, y)
    norm = sqrt(float((result.multiplicity * result.eigenvalues**2).sum()))
    alignment = ratio(float(pulled @ pulled), norm * float(y.square().sum()))
    residual = 0.0
    if result.rank < result.size:
        vectors = spectrum(J, centred=config.centred, vectors=True)
        residual = label_alignment(vectors, y).residual_fraction
    return {"kernel_target_alignment": alignment, "label_residual": residual}


def _pulled(J: Jacobian, y: Float[Tensor, "N C"]) -> Float[Tensor, " P"]:
    """Jᵀy by a backward pass a block of samples, in float64."""
    f = J.engine.functional
    params = {name: p.detach().requires_grad_() for name, p in f.params.items()}
    total = torch.zeros(f.parameter_count, dtype=torch.float64)
    for begin, end in spans(J.n_samples, J.chunk):
        x = take(J.x, begin, end)
        with torch.enable_grad():
            outputs = f.outputs(params, x)
            grads = torch.autograd.grad(
                outputs, list(params.values()), y[begin:end].to(outputs), allow_unused=True,
                materialize_grads=True,
            )  # fmt: skip
        total += torch.cat([grad.flatten().double().cpu() for grad in grads])
    return total


def _reason(row: Row, derivative: DerivativeCheck, texts: Read) -> str | None:
    reasons = [] if derivative.exact else [str(derivative).rstrip(".")]
    if row["lambda_min_nonzero"] is None:
        reasons.append("the kernel is zero, so λ_min⁺ and the condition number do not exist")
    if row.get("vocabulary_error") is not None:
        reasons.append(
            "a sketch of the vocabulary: eigenvalues below its standard error "
            f"({row['vocabulary_error']:.1e} of ‖K‖_F) are noise, and have no bound"
        )
    elif row["single_inside"]:
        known = "so no error bound is known" if row["lambda_min_error"] is None else "as errors say"
        reasons.append(
            f"{row['single_inside']} compute in float32 inside this float64 model, {known}, and "
            "eigenvalues below about 1e-14 of the largest are noise"
        )
    elif row["lambda_min_error"] is None:
        reasons.append("no error bound is known for this route")
    if not row["rank_decided"] and row.get("vocabulary_error") is None:
        reasons.append("rank undecided: no clear gap in the spectrum, or λ_min⁺ within its error")
    if texts.labels is None:
        reasons.append("no classes were read, so there is no alignment with them")
    if row["kernel_error"] is None and row.get("sigma_error") is None and texts.readout is not None:
        reasons.append("the errors leave out the model's own arithmetic, which was not measured")
    return "; ".join(reasons) or None


def _part_reason(part: Row) -> str | None:
    reasons = []
    if part.get("lambda_min_nonzero") is None:
        reasons.append("the kernel is zero, so λ_min⁺ and the condition number do not exist")
    if part.get("lambda_min_error") is None:
        reasons.append("no error bound is known for this route")
    return "; ".join(reasons) or None
