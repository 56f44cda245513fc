"""K = Σ_k K_k: a row for the kernel of every core, from the rows of J that are there already."""

from typing import Any

import torch

from ntklab.jacobians import Jacobian
from ntklab.spectra import CentredJacobian, DenseJacobian, spectrum
from ntklab.spectra.model_rounding import model_rounding

# What a part shares with the whole: where it came from, not what was measured of the whole.
_SHARED = (
    *("method", "task", "data_condition", "preset", "seed", "samples", "width", "tt_ranks"),
    *("effective_width", "engine", "output", "outputs"),
)


def core_rows(J: Jacobian, whole: dict[str, Any], *, centred: bool = False) -> list[dict[str, Any]]:
    """Rows like the whole kernel's, one a parameter tensor, with its share of trace and of P.

    Args:
        J: the Jacobian.
        whole: the row of K.
        centred: as for the whole.

    Raises:
        InputError: the Jacobian does not fit its memory.

    Cost: one dense J, and a singular value problem for every core's columns.

    Example:
        >>> from ntklab.jacobians import jacobian
        >>> J = jacobian(torch.nn.Linear(3, 2), torch.randn(4, 3))
        >>> rows = core_rows(J, {"trace": float(J.gram().trace())})
        >>> [row["core"] for row in rows], round(sum(row["trace_share"] for row in rows), 6)
        (['weight', 'bias'], 1.0)
    """
    functional = J.engine.functional
    columns = J.dense(torch.float64).split(functional.sizes, dim=1)
    # Errors of some columns are at most those of all.
    model = model_rounding(CentredJacobian(J) if centred else J, whole["trace"] ** 0.5)
    shared = {name: whole[name] for name in _SHARED if name in whole}
    rows = []
    for name, block in zip(functional.names, columns, strict=True):
        own_rows = DenseJacobian(block, J.n_outputs, memory=J.memory, model=model)
        part = spectrum(own_rows, centred=centred)
        share = part.trace / whole["trace"] if whole["trace"] else None
        own = {
            "core": name,
            "params": block.shape[1],
            "rank_bound": min(block.shape),
            "trace_share": share,
            "parameter_share": block.shape[1] / J.shape[1],
        }
        rows.append({**shared, **part.summary(), **own})
    return rows
