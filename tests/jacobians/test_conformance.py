"""Every engine on every kind of module: right to 1e-9, or refused in a sentence; nothing else."""

import warnings

import pytest
import torch

from ntklab.errors import InputError
from ntklab.jacobians import ENGINES, jacobian
from tests.jacobians.functional_kinds import OPERATIONS
from tests.jacobians.kinds import MODULES

KINDS = [*MODULES, *OPERATIONS]
SIZES = ((3, 2), (3, 3), (4, 4), (4, 1))
TOLERANCE = 1e-9


def explicit_rows(model, x):
    """One sample at a time and one `autograd.grad` an output, on the live parameters."""
    leaves, rows = list(model.parameters()), []
    for n in range(len(x)):
        for output in model(x[n : n + 1]).reshape(-1):
            grads = torch.autograd.grad(
                output, leaves, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            rows.append(torch.cat([grad.to_dense().reshape(-1) for grad in grads]))
    return torch.stack(rows).detach()


def distance(kind, engine, model, x, wanted):
    """How far an engine is off, relative to the largest entry; None where it declines by name."""
    try:
        rows = jacobian(model, x, engine=engine).dense()
    except InputError as sentence:
        text = str(sentence)
        assert engine not in ("auto", "loop"), f"{kind.name}: {text}"
        assert f"engine '{engine}'" in text, text
        assert text.endswith("."), text
        assert "\n" not in text, text
        return None
    return float((rows - wanted).abs().max() / wanted.abs().max())


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_each_kind_is_right_or_refused(kind):
    for samples, outputs in SIZES:
        torch.manual_seed(samples + 10 * outputs)
        model, x = kind.model(outputs), kind.inputs(samples)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if kind.refused is not None:
                for engine in ("auto", *ENGINES):
                    with pytest.raises(InputError, match=kind.refused):
                        jacobian(model, x, engine=engine)
                continue
            wanted = explicit_rows(model, x)
            assert float(wanted.abs().max()) > 0
            for engine in ("auto", *ENGINES):
                off = distance(kind, engine, model, x, wanted)
                assert off is None or off <= TOLERANCE, (engine, samples, outputs, off)
