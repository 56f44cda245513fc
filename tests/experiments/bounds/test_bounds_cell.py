import math

import pytest
import torch
from torch import nn

from ntklab.adapters import METHODS
from ntklab.bounds import exact_rademacher
from ntklab.errors import InputError
from ntklab.experiments.bounds import BOUNDS, BoundsConfig, bound_table, gauge_table
from ntklab.experiments.bounds.cell import _Bounded, _side, run_bounds_cell
from ntklab.experiments.run import record_of
from ntklab.experiments.spectrum import adapter_for, sampled_task
from ntklab.jacobians import jacobian
from ntklab.records import Cell, Record, check_record


def config(**changes):
    given = {"method": "lora", "task": "synthetic", "samples": 10, "steps": 30, "draws": 200}
    return BoundsConfig.of(**{**given, **changes})


def by_name(cell):
    return {part["name"]: part for part in cell.parts}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_every_bound_once_and_none_that_fails(method):
    sizes = {"width": 16} if method == "tensorguide" else {}
    cell = run_bounds_cell(config(method=method, **sizes))
    names = [part["name"] for part in cell.parts]
    assert len(names) == len(set(names)) == cell.row["bounds"] >= 17
    for part in cell.parts:
        assert (part["value"] is not None) or (part["vacuous"] and part["reason"])
        if "rademacher" in part["name"] or part["name"] == "fit":
            assert part["holds"] in (True, None), part


def test_the_margin_kernel_is_that_of_the_logit_difference():
    """Against autograd on the difference itself, which knows nothing of N·C rows."""
    one = config(method="tensorguide", width=16)
    task = sampled_task(one.kernel)
    adapter = adapter_for(one.kernel, task)
    side = _side(one.kernel, task, adapter, jacobian(adapter, task.train.features).dense())
    rows = []
    for x in task.train.features:
        outputs = adapter(x[None])[0]
        grads = torch.autograd.grad(outputs[1] - outputs[0], list(adapter.parameters()))
        rows.append(torch.cat([g.reshape(-1) for g in grads]))
    torch.testing.assert_close(side.J, torch.stack(rows), rtol=1e-12, atol=1e-14)
    assert set(side.targets.tolist()) == {-1.0, 1.0}
    assert torch.equal(side.targets > 0, task.train.labels == 1)


def test_the_complexity_is_the_enumerated_one_at_the_radius_of_the_fit():
    one = config()
    task = sampled_task(one.kernel)
    adapter = adapter_for(one.kernel, task)
    side = _side(one.kernel, task, adapter, jacobian(adapter, task.train.features).dense())
    K = side.J @ side.J.T
    left = side.targets - side.start
    radius = math.sqrt(float(left @ torch.linalg.solve(K, left)))  # K is regular here
    wanted = exact_rademacher(K, n_samples=10, radius=radius).value
    fit = by_name(run_bounds_cell(one))["fit"]
    assert fit["measured"] == pytest.approx(wanted, rel=1e-6)
    assert fit["value"] >= wanted


def test_residuals_are_measured_by_gradient_descent_on_the_adapter():
    """The linear probe's kernel cannot move, so its prediction must be met to the digit."""
    found = by_name(run_bounds_cell(config(method="linear-probe", steps=50)))
    prediction = found["descent-modes"]
    assert prediction["measured"] == pytest.approx(prediction["value"], rel=1e-9)
    assert found["descent-contraction"]["holds"]
    assert found["cross-entropy-gamma"]["holds"]


def test_the_risk_is_that_of_the_linearized_fit():
    """For the linear probe, the minimum-norm fit is least squares by the pseudo-inverse."""
    one = config(method="linear-probe")
    task = sampled_task(one.kernel)
    head = adapter_for(one.kernel, task)
    X, T = task.train.features, task.test.features
    with torch.no_grad():
        start, start_test = head(X), head(T)
    y = 2.0 * task.train.labels.double() - 1
    left = y - (start[:, 1] - start[:, 0])
    move = torch.linalg.pinv(X) @ left
    fitted = start_test[:, 1] - start_test[:, 0] + T @ move
    wanted = (fitted - (2.0 * task.test.labels.double() - 1)).abs().clamp_max(1).mean()
    risk = by_name(run_bounds_cell(one))["fit-risk"]
    assert risk["measured"] == pytest.approx(float(wanted), rel=1e-8)


def test_a_singular_kernel_makes_the_paper_s_rate_vacuous_with_the_reason():
    found = by_name(run_bounds_cell(config(method="linear-probe", samples=40)))  # d = 32 < 40
    for name in ("flow-lambda-min", "rademacher-lambda-min"):
        assert found[name]["value"] is None
        assert found[name]["vacuous"]
        assert "λ_min = 0" in found[name]["reason"]
    assert found["flow-projected"]["value"] > 0


def test_more_classes_have_all_outputs():
    torch.manual_seed(0)
    model = nn.Linear(3, 4)
    bounded = _Bounded(model, centred=True)  # anything that gives outputs
    outputs = bounded(torch.randn(5, 3))
    assert outputs.shape == (5, 4)
    assert outputs.sum(dim=1).abs().max() < 1e-6


def test_gauges_of_one_function_stand_in_one_row_with_a_certificate():
    one = config(gauge=True)
    cell = run_bounds_cell(one)
    provenance = {
        "versions": dict.fromkeys(("python", "torch", "numpy", "scipy", "ntklab"), "0"),
        "device": "cpu", "dtype": "float64", "threads": 1, "commit": None, "started": "",
        "seconds": 0.0,
    }  # fmt: skip
    record = record_of(BOUNDS, [one], [cell], {}, provenance)
    check_record(record.to_dict())
    (row,) = gauge_table(record)
    assert row["best"] >= max(row["given"], row["equal_norm"]) - 1e-12
    assert row["gap"] >= -1e-15
    assert row["given"] > 0


def test_a_head_without_cores_says_why_it_has_no_gauge():
    cell = run_bounds_cell(config(method="linear-probe", gauge=True))
    record = record_of(BOUNDS, [config()], [Cell({}, {}, {}, cell.parts)], {}, {})
    (row,) = gauge_table(record)
    assert "core" in row["reason"]


def test_equal_configurations_give_equal_rows():
    first, second = (run_bounds_cell(config(method="tt-lora")) for _ in range(2))
    assert first.parts == second.parts


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"delta": 1.0}, "delta = 1.0"),
        ({"unit": 0.0}, "unit = 0.0"),
        ({"draws": 1}, "draws = 1"),
        ({"steps": 0}, "steps = 0"),
        ({"samples": 0}, "samples = 0"),
    ],
)
def test_numbers_that_cannot_work_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        config(**changes)


def test_the_table_says_which_side_a_bound_is_on_and_why_one_may_break():
    common = {"kind": "bound", "assumptions": "not checked: the kernel stays", "reason": None}
    rows = [
        common | {"name": "a", "direction": "lower", "holds": True},
        common | {"name": "b", "direction": "upper", "holds": False},
        {"kind": "gauge", "name": "c"},
    ]
    below, broken = bound_table(Record("bounds", {}, {}, rows))
    assert (below["sign"], below["reason"]) == ("≥", None)
    assert (broken["sign"], broken["reason"]) == ("≤", "not checked: the kernel stays")
