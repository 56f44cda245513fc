import pytest
import torch

from ntklab.adapters import build_adapter
from ntklab.bounds import gauge_effects, in_gauge
from ntklab.errors import InputError
from ntklab.jacobians import ntk

SIZES = {"lora": {"rank": 3}, "tensorguide": {"width": 8}, "tt-lora": {}, "tt-delta": {}}


def built(method: str, **more):
    g = torch.Generator().manual_seed(0)
    head = build_adapter(method, 8, 2, generator=g, dtype=torch.float64, **SIZES[method], **more)
    return head, torch.randn(4, 8, generator=g, dtype=torch.float64)


@pytest.mark.parametrize("method", sorted(SIZES))
def test_same_outputs_another_kernel(method):
    head, x = built(method)
    before = [p.detach().clone() for p in head.parameters()]
    effects, best = gauge_effects(head, x)
    assert all(torch.equal(a, b) for a, b in zip(before, head.parameters(), strict=True))
    by_name = {effect.gauge: effect for effect in effects}
    given = torch.linalg.eigvalsh(ntk(head, x))
    torch.testing.assert_close(by_name["given"].spectrum.eigenvalues[0], given[-1])
    for effect in effects:
        if effect.spectrum is None:
            assert "ranks" in effect.reason
            assert effect.row()["reason"] == effect.reason
            continue
        assert effect.output_change < 1e-12
        assert effect.spectrum.rank == by_name["given"].spectrum.rank  # P4 changes values only
        row = effect.row()
        assert row["lambda_min"] == effect.spectrum.lambda_min
        if best.primal > 1e-10 and effect.gauge != "canonical":
            assert row["lambda_min_over_mean"] <= best.dual * (1 + 1e-9)
    top = by_name["best-scaling"].spectrum
    if best.primal > 1e-10:
        assert top.lambda_min / top.mean == pytest.approx(best.primal, rel=1e-6)


@pytest.mark.parametrize("method", sorted(SIZES))
def test_equal_norms_are_equal(method):
    head, x = built(method)
    moved = in_gauge(head, "equal-norm")
    torch.testing.assert_close(moved(x), head(x))
    if method != "tt-lora":  # two trains, each with its own common norm
        norms = torch.stack([p.detach().norm() for p in moved.parameters()])
        torch.testing.assert_close(norms, norms.mean().expand(len(norms)))


def test_canonical_lora_has_orthonormal_a():
    head, x = built("lora")
    moved = in_gauge(head, "canonical")
    torch.testing.assert_close(moved.A @ moved.A.T, torch.eye(3).double())
    torch.testing.assert_close(moved(x), head(x))


def test_refusals():
    head, x = built("lora", preset="paper")  # B = 0
    effects, _ = gauge_effects(head, x)
    refused = next(effect for effect in effects if effect.gauge == "equal-norm")
    assert refused.spectrum is None
    assert "norm" in refused.reason
    with pytest.raises(InputError, match="known"):
        in_gauge(head, "temporal")
    with pytest.raises(InputError, match="no cores"):
        gauge_effects(build_adapter("linear-probe", 8, 2), x)
