"""The loop against plain loops written out, its determinism, its watch."""

import math

import pytest
import torch
from torch.nn import functional as F

from ntklab.adapters import build_adapter
from ntklab.errors import InputError
from ntklab.jacobians import ntk
from ntklab.training import Data, LazyModel, TrainConfig, train
from ntklab.training.seeds import Minibatches


def head(method="lora", seed=0, **sizes):
    generator = torch.Generator().manual_seed(seed)
    return build_adapter(method, 12, 2, dtype=torch.float64, generator=generator, **sizes)


def guide(**options):
    return head("tensorguide", width=16, **options)


def test_gradient_descent_is_the_written_out_loop(data, flat):
    model, twin = head(), head()
    config = TrainConfig(optimizer="gd", lr=0.05, steps=20, loss="squared", reduction="sum")
    run = train(model, data, config)
    y = F.one_hot(data.targets, 2).double()
    for _ in range(20):
        loss = 0.5 * (twin(data.inputs) - y).square().sum()
        gradients = torch.autograd.grad(loss, list(twin.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(twin.parameters(), gradients, strict=True):
                parameter.sub_(0.05 * gradient)
    torch.testing.assert_close(flat(model), flat(twin), rtol=1e-12, atol=1e-14)
    assert run.steps == run.final["step"] == 20
    final = 0.5 * (twin(data.inputs) - y).square().sum().item()
    assert run.final["train_loss"] == pytest.approx(final, rel=1e-12)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam_on_minibatches_is_the_textbook(data, flat, weight_decay):
    """Kingma & Ba's algorithm 1, with L2 in the gradient, over the same batches."""
    model, twin = head(), head()
    config = TrainConfig(lr=0.01, epochs=3, batch=7, seed=5, weight_decay=weight_decay)
    train(model, data, config)
    batches = Minibatches(24, 7, 5, torch.device("cpu"))
    parameters = list(twin.parameters())
    m = [torch.zeros_like(p) for p in parameters]
    v = [torch.zeros_like(p) for p in parameters]
    for step in range(12):
        rows = batches.rows(step)
        loss = F.cross_entropy(twin(data.inputs[rows]), data.targets[rows])
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for k, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
                g = g + weight_decay * p  # noqa: PLW2901
                m[k] = 0.9 * m[k] + 0.1 * g
                v[k] = 0.999 * v[k] + 0.001 * g * g
                corrected = v[k] / (1 - 0.999 ** (step + 1))
                p.sub_(0.01 * (m[k] / (1 - 0.9 ** (step + 1))) / (corrected.sqrt() + 1e-8))
    torch.testing.assert_close(flat(model), flat(twin), rtol=1e-9, atol=1e-12)


def test_every_epoch_visits_every_sample_once_in_its_own_order():
    batches = Minibatches(10, 4, 3, torch.device("cpu"))
    epochs = [torch.cat([batches.rows(3 * e + b) for b in range(3)]) for e in range(4)]
    for order in epochs:
        assert order.sort().values.equal(torch.arange(10))
    assert not epochs[0].equal(epochs[1])


@pytest.mark.parametrize("latent", ["fixed", "redrawn"])
def test_two_runs_of_one_seed_are_bit_equal_and_another_seed_is_not(data, flat, latent):
    def run(seed):
        model = guide(preset="paper", seed=4)
        config = TrainConfig(epochs=3, batch=5, seed=seed, latent=latent, lr=0.01)
        return train(model, data, config).rows, flat(model)

    torch.manual_seed(1)
    first = run(0)
    torch.manual_seed(2)  # the global state must not matter
    second, other = run(0), run(1)
    assert first[0] == second[0]
    assert first[1].equal(second[1])
    assert not first[1].equal(other[1])


def test_dropout_follows_the_seed_and_the_global_state_is_left_alone(data, flat):
    def run():
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Linear(12, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 2)
        ).double()
        torch.manual_seed(99)
        before = torch.get_rng_state()
        train(model, data, TrainConfig(epochs=2, batch=8))
        assert torch.get_rng_state().equal(before)
        return flat(model)

    assert run().equal(run())


def test_the_mode_of_the_model_comes_back(data):
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(12), torch.nn.Linear(12, 2)).double()
    model[0].eval()
    train(model, data, TrainConfig(steps=2, batch=8))
    assert not model[0].training
    assert model[1].training
    assert not model[0].running_mean.equal(torch.zeros(12))  # steps ran in training mode


def test_a_rate_above_the_limit_diverges_and_the_sentence_says_where(data):
    model = torch.nn.Linear(12, 2, bias=False).double()
    lambda_max = torch.linalg.eigvalsh(ntk(model, data.inputs))[-1].item()
    limit = 2 * data.n_samples / lambda_max  # mean loss

    def descend(factor):
        twin = torch.nn.Linear(12, 2, bias=False).double()
        config = TrainConfig(optimizer="gd", lr=factor * limit, steps=3000, loss="squared")
        return train(twin, data, config)

    stable, unstable = descend(0.99), descend(1.1)
    assert stable.divergence is None
    assert unstable.divergence.limit == pytest.approx(limit, rel=1e-5)
    assert unstable.divergence.step == unstable.steps - 1
    assert unstable.steps < 3000
    assert f"2/λ_max = {limit:.3g}" in str(unstable.divergence)
    assert unstable.divergence.loss > 1e6 * unstable.rows[0]["train_loss"]


def test_a_loss_that_is_not_finite_stops_the_run_at_its_step(data):
    class Breaks(torch.nn.Linear):
        calls = 0

        def forward(self, x):
            if self.training:
                self.calls += 1
            return super().forward(x) * (math.nan if self.calls > 5 and self.training else 1.0)

    run = train(
        Breaks(12, 2, dtype=torch.float64), data, TrainConfig(steps=50), lambda_max=lambda: 4.0
    )
    assert run.divergence.step == 5
    assert run.divergence.limit == 2 * 24 / (0.5 * 4.0)  # softmax's curvature is at most 1/2


def test_observers_see_every_logged_step_in_evaluation_mode(data):
    model, seen = head(), []

    def observer(moment):
        assert not moment.model.training
        seen.append(moment.step)
        return {"norm": moment.model.A.norm().item()}

    run = train(model, data, TrainConfig(steps=20), observers=[observer])
    assert seen == run.column("step")
    assert all(value > 0 for value in run.column("norm"))


def test_rows_hold_gaps_of_the_first_test_and_all_tests(data):
    tests = {"noisy": data.tests["test"], "clean": (data.inputs, data.targets)}
    run = train(head(), Data(data.inputs, data.targets, tests), TrainConfig(steps=5))
    row = run.final
    assert row["gap"] == row["noisy_loss"] - row["train_loss"]
    assert row["accuracy_gap"] == row["train_accuracy"] - row["noisy_accuracy"]
    assert row["clean_loss"] == row["train_loss"]


def test_fresh_latents_judge_and_put_the_own_latent_back(data):
    model = guide(preset="released")
    latent = model.latent.clone()
    run = train(model, data, TrainConfig(steps=5, lr=0.01, fresh_latents=7))
    assert model.latent.equal(latent)
    row = run.final
    assert row["test_fresh_worst"] <= row["test_fresh_accuracy"]
    assert {"test_accuracy", "test_fresh_ensemble"} <= row.keys()


def test_the_paper_preset_draws_a_latent_for_every_minibatch(data):
    model, drawn = guide(preset="paper"), []
    original = type(model).resample_latent

    def counted(self, generator=None):
        original(self, generator)
        drawn.append(self.latent.clone())

    type(model).resample_latent = counted
    try:
        config = TrainConfig(steps=6, batch=8, latent="redrawn", fresh_latents=1, logs_per_decade=1)
        run = train(model, data, config)
    finally:
        type(model).resample_latent = original
    assert len(drawn) == 6 + len(run.rows)
    assert len({tuple(z.tolist()) for z in drawn}) == len(drawn)


def test_a_model_without_latent_cannot_redraw_it(data):
    with pytest.raises(InputError, match="lora has no latent"):
        train(head(), data, TrainConfig(steps=5, latent="redrawn"))


@pytest.mark.parametrize(
    ("targets", "loss", "words"),
    [
        (torch.full((24,), 2), "cross-entropy", "labels must be 0 to 1"),
        (torch.zeros(24, 3), "squared", r"values of shape \(N, 2\)"),
        (torch.zeros(24, 2), "cross-entropy", "needs int64 labels"),
    ],
)
def test_targets_that_do_not_fit_are_refused(data, targets, loss, words):
    with pytest.raises(InputError, match=words):
        train(head(), Data(data.inputs, targets), TrainConfig(steps=2, loss=loss))


def test_alpha_scaling_starts_at_zero_and_its_kernel_grows_by_alpha_squared(data):
    model = head()
    lazy = LazyModel(model, 10.0)
    assert lazy(data.inputs).abs().max() == 0
    names = ["model.A", "model.B"]
    torch.testing.assert_close(
        ntk(lazy, data.inputs, params=names), 100 * ntk(model, data.inputs), rtol=1e-10, atol=1e-12
    )
