"""Rows for what a kernel is the sum of: K = Σ_k K_k by parameter tensor, or Σ_l K_l by layer."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from ntklab.jacobians import Jacobian
from ntklab.spectra import Spectrum, parameter_spectra, spectrum
from ntklab.spectra.model_rounding import model_rounding


def ratio(part: float | None, whole: float) -> float | None:
    """part/whole; None where either says nothing.

    Example:
        >>> ratio(1.0, 4.0), ratio(1.0, 0.0)
        (0.25, None)
    """
    return None if part is None or whole == 0 else part / whole


def core_rows(J: Jacobian, trace: float, *, centred: bool) -> list[dict[str, Any]]:
    """A row a parameter tensor: the spectrum of its kernel, its share of the trace and of P.

    Args:
        J: the Jacobian.
        trace: of K, centred where the kernels are.
        centred: as for `spectrum`.

    Raises:
        InputError: the dense J does not fit its memory.
    """
    parts = parameter_spectra(J, trace, centred=centred).items()
    return [_row(J, name, params, part, trace) for name, (params, part) in parts]


def _row(J: Jacobian, core: str, params: int, part: Spectrum, trace: float) -> dict[str, Any]:
    return {
        **part.summary(),
        "core": core,
        "params": params,
        "rank_bound": min(J.shape[0], params),
        "trace_share": ratio(part.trace, trace),
        "parameter_share": params / J.shape[1],
    }


def layer_rows(
    J: Jacobian, trace: float, targets: Sequence[str], *, centred: bool = False
) -> list[dict[str, Any]]:
    """A row a layer: the spectrum of its kernel, its share of the trace and of P.

    Args:
        J: the Jacobian.
        trace: of K, centred where the kernels are.
        targets: names of the layers that got adapters. What a method puts beside them (prompts,
            shared vectors) has a row of its own.
        centred: as for `spectrum`.

    Returns:
        Rows as `core_rows` has them, with the layer's name for `core`, `block` (its number, None
        outside of blocks) and `module` (its last name).
        Kernels of one float64 model add up to K; of a model that computes in float32, all of it or
        inside, they are good to its rounding, which the rank of every row counts with.

    Raises:
        InputError: the kernels together are larger than the memory allowed.

    Example:
        >>> import torch
        >>> from ntklab.jacobians import jacobian
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 1))
        >>> J = jacobian(model, torch.randn(5, 3))
        >>> rows = layer_rows(J, float(J.gram().trace()), ["0", "1"])
        >>> [row["core"] for row in rows], round(sum(row["trace_share"] for row in rows), 5)
        (['0', '1'], 1.0)
    """
    f = J.engine.functional
    kernels: dict[str, Tensor] = {}
    for path, share in J.layer_grams().items():
        name = layer_of(path, targets)
        kernels[name] = kernels[name] + share if name in kernels else share
    params = dict.fromkeys(kernels, 0)
    for name, size in zip(f.names, f.sizes, strict=True):
        params[layer_of(name.rpartition(".")[0], targets)] += size
    rows = []
    # Columns of a layer are off by no more than all.
    rounding = model_rounding(J, trace**0.5) if f.single_inside else None
    for name, kernel in kernels.items():
        # The dtype of a kernel says how much of it is rounding.
        part = spectrum(kernel.to(J.dtype), model=rounding, centred=centred, n_outputs=J.n_outputs)
        place = {"block": block_number(name), "module": name.rpartition(".")[2]}
        rows.append(_row(J, name, params[name], part, trace) | place)
    return rows


def layer_of(path: str, targets: Iterable[str]) -> str:
    """The target that holds a module, or the module's own path.

    Example:
        >>> layer_of("base_model.model.h.0.q.lora_A.default", ["h.0.q", "h.0.v"])
        'h.0.q'
    """
    dotted = f".{path}."
    return next((target for target in targets if f".{target}." in dotted), path)


def block_number(name: str) -> int | None:
    """The first number in a dotted name.

    Example:
        >>> block_number("model.layers.3.self_attn.q_proj"), block_number("lm_head")
        (3, None)
    """
    return next((int(part) for part in name.split(".") if part.isdigit()), None)
