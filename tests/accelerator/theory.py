"""Cases: what theory says of a kernel that lies on the device."""

import torch

from ntklab import bounds, dynamics
from ntklab.bounds.coding import coded
from ntklab.dynamics import CrossEntropyDynamics, KernelAtStart, SquaredDynamics, TangentObserver
from ntklab.jacobians import jacobian
from ntklab.spectra import label_alignment, spectrum
from ntklab.training import Data, LazyModel, TrainConfig, one_hot, train
from tests.accelerator.kernels import double, head


def bounds_of_a_kernel(device: torch.device, folder) -> None:
    """All bounds beside what they bound, equal to those of the CPU's kernel."""
    x, labels = double(6, 8), torch.tensor([0, 1, 1, 0, 1, 0])
    wanted, given = (_all_bounds(x.to(place), labels.to(place)) for place in ("cpu", device))
    assert [bound.name for bound in given] == [bound.name for bound in wanted]
    for mine, other in zip(given, wanted, strict=True):
        if other.value is not None and mine.value is not None:
            assert abs(mine.value - other.value) <= 1e-6 * abs(other.value) + 1e-9, other.name


def _all_bounds(x: torch.Tensor, labels: torch.Tensor) -> list:
    model = head("linear-probe").to(x.device)
    targets = one_hot(labels, 2, torch.float64)
    return list(bounds.side_by_side(jacobian(model, x), targets))


def bounds_of_a_spectrum(device: torch.device, folder) -> None:
    """Bounds that take the spectrum, a residual, a head."""
    model, x = head("lora").to(device), double(6, 8).to(device)
    labels = torch.tensor([0, 1, 1, 0, 1, 0], device=device)
    y = one_hot(labels, 2, torch.float64).flatten() - 0.5
    J = jacobian(model, x)
    found = spectrum(J, vectors=True)
    posterior = bounds.tangent_posterior(found, 2 * y)
    assert 0 <= posterior.gibbs_error(2 * y) <= 1
    residual = bounds.residual_modes(found, y)
    assert residual.energy.sum() > 0
    assert label_alignment(found, y).energy.sum() > 0
    level = bounds.critical_level(found, n_samples=6)
    assert bounds.local_rademacher(found, level, n_samples=6).value >= 0
    assert bounds.largest_feature_norm(J.gram(), 6) > 0
    kernels = J.core_grams()
    rates = dict.fromkeys(kernels, 1.0)
    assert bounds.scaled_kernel(kernels, rates).isfinite().all()
    with coded(model, 8) as code:
        assert code.bits > 0
    for effect in bounds.gauge_effects(head("tensorguide").to(device), x)[0]:
        assert effect.gauge


def dynamics_of_a_kernel(device: torch.device, folder) -> None:
    """Linearized training for both losses, and the certificate of a measured run."""
    x, labels = double(6, 8).to(device), torch.tensor([0, 1, 1, 0, 1, 0], device=device)
    for loss in ("squared", "cross-entropy"):
        model = head("lora").to(device)
        start = KernelAtStart.of(model, x, labels, loss=loss)
        assert start.residual().device == device
        lr = 0.5 * start.stability_limit()
        lazy = LazyModel(model, 10.0)
        config = TrainConfig(optimizer="gd", lr=lazy.rate(lr), steps=5, loss=loss)
        watch = TangentObserver(lazy, x, labels, loss=loss)
        run = train(lazy, Data(x, labels), config, observers=[watch])
        predicted = start.trajectory(run.column("step"), lr=lr)
        assert predicted.loss[-1] < predicted.loss[0]
        columns = dynamics.certificate(start, predicted, run.rows, optimizer="gd")
        assert columns["ntk_regime"] is not None
    flow = start.linearized()
    assert isinstance(flow, CrossEntropyDynamics)
    assert flow.flow([0.0, 1.0]).loss[1] < flow.flow([0.0, 1.0]).loss[0]
    K = jacobian(model, x).gram()
    run = SquaredDynamics.of(K, double(12).to(device)).flow([0.0, 1.0])
    assert run.change_at(K.cpu()).shape == (2, 12)
    assert dynamics.lazy_index(K, double(12).to(device), 1.0).index > 0


def prediction(device: torch.device, folder) -> None:
    """Outputs on new inputs, by every way, equal to those of the CPU's kernels."""
    x, new = double(6, 8), double(10, 8)[6:]
    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    for by in ("squared", "cross-entropy", "ridge"):
        wanted, given = (
            _predicted(head("tensorguide").to(place), x.to(place), new.to(place), labels, by)
            for place in ("cpu", device)
        )
        torch.testing.assert_close(given.outputs, wanted.outputs, rtol=1e-6, atol=1e-6)
        right = torch.tensor([0, 1, 0, 1], device=device)
        assert 0 <= given.accuracy(right)[0] <= 1
        assert given.mean_loss(right)[0] >= 0
    features = double(6, 4).to(device), double(4, 4).to(device)
    fit = dynamics.Ridge.of_features(*features)
    for away in (fit.outputs, fit.fitted, fit.left_out):
        assert away(double(6).to(device), torch.tensor([0.5])).device == device


def _predicted(model, x, new, labels, by: str) -> dynamics.Prediction:
    K, cross = jacobian(model, x), jacobian(model, new)
    with torch.no_grad():
        start, there = model(x), model(new)
    held_out = dynamics.HeldOut(cross.gram(K), there, labels[:4].to(x.device))
    options = {"by": by, "grid": [0.5, 0.1], "held_out": held_out}
    return dynamics.predict(K.gram(), cross.gram(K), labels.to(x.device), start, there, **options)


CASES = {
    "prediction": prediction,
    "bounds of a kernel": bounds_of_a_kernel,
    "bounds of a spectrum": bounds_of_a_spectrum,
    "dynamics of a kernel": dynamics_of_a_kernel,
}
