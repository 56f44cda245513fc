"""Predictions on new points against linear models that loops train, refit and cut short."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab import jacobian, ntk, predict
from ntklab.adapters import build_adapter
from ntklab.dynamics import (
    HeldOut,
    Modes,
    difference_kernel,
    logit_difference,
    sign_descent,
    sign_kernel,
    sign_rows,
)
from ntklab.errors import InputError
from ntklab.training import LazyModel

SHAPES = {
    "samples": st.integers(2, 6),
    "outputs": st.integers(1, 3),
    "features": st.integers(1, 25),
    "seed": st.integers(0, 10**6),
}
LOSSES = st.sampled_from(["squared", "cross-entropy"])


class Linear:
    """f = f_0 + J θ on training samples and new points: the linearized model, kept as it is."""

    def __init__(self, samples, outputs, features, seed, others=4):
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape):
            return torch.randn(*shape, dtype=torch.float64, generator=generator)

        self.C = outputs
        self.J, self.J_new = draw(samples * outputs, features), draw(others * outputs, features)
        self.f0, self.f0_new = draw(samples, outputs), draw(others, outputs)
        most = max(outputs, 2)
        self.labels = torch.randint(0, most, (samples,), generator=generator)
        self.new_labels = torch.randint(0, most, (others,), generator=generator)
        self.K, self.cross = self.J @ self.J.T, self.J_new @ self.J.T
        self.lr = 0.5 * samples / float(torch.linalg.matrix_norm(self.J, 2)) ** 2

    def predict(self, **how):
        return predict(self.K, self.cross, self.labels, self.f0, self.f0_new, **how)

    def held_out(self):
        return HeldOut(self.cross, self.f0_new, self.new_labels)

    def loss(self, f, labels, loss):
        """Mean loss of outputs (N, C), written out."""
        if loss == "squared":
            hot = torch.nn.functional.one_hot(labels, max(self.C, 2)).double()
            y = 2 * hot[:, 1:] - 1 if self.C == 1 else hot
            return 0.5 * (f - y).square().sum(1).mean()
        if self.C == 1:
            return torch.nn.functional.binary_cross_entropy_with_logits(f[:, 0], labels.double())
        return torch.nn.functional.cross_entropy(f, labels)

    def train(self, steps, lr, loss, start=1.0):
        """Gradient descent on θ by autograd; outputs at the new points after each wanted step."""
        theta = torch.zeros(self.J.shape[1], dtype=torch.float64, requires_grad=True)
        kept = {}
        for step in range(max(steps) + 1):
            if step in steps:
                moved = (self.J_new @ theta.detach()).view_as(self.f0_new)
                kept[step] = start * self.f0_new + moved
            f = start * self.f0 + (self.J @ theta).view_as(self.f0)
            (slope,) = torch.autograd.grad(self.loss(f, self.labels, loss), theta)
            with torch.no_grad():
                theta -= lr * slope
        return torch.stack([kept[step] for step in steps])


def centred(outputs):
    """Outputs as softmax sees them; a single one as it is."""
    return outputs if outputs.shape[-1] == 1 else outputs - outputs.mean(-1, keepdim=True)


@settings(max_examples=25, deadline=None)
@given(**SHAPES, loss=LOSSES, start=st.sampled_from([0, 0.3, 1]))
def test_descent_is_the_loop_over_the_linear_model(samples, outputs, features, seed, loss, start):
    model, steps = Linear(samples, outputs, features, seed), [0, 1, 3, 40]
    run = model.predict(by=loss, lr=model.lr, grid=steps, start=start)
    looped = model.train(steps, model.lr, loss, start)
    see = centred if loss == "cross-entropy" else (lambda f: f)
    torch.testing.assert_close(see(run.outputs), see(looped), rtol=1e-8, atol=1e-8)
    assert run.chosen_by == "last"
    assert torch.equal(run.final, run.outputs[-1])


@settings(max_examples=8, deadline=None)
@given(**SHAPES, loss=LOSSES)
def test_flow_is_descent_of_many_small_steps(samples, outputs, features, seed, loss):
    model = Linear(samples, outputs, features, seed)
    small, steps = model.lr / 500, [0, 500, 2000]
    run = model.predict(by=loss, grid=[small * step for step in steps])
    fine = model.predict(by=loss, grid=steps, lr=small)
    for name in ("outputs", "train_outputs"):
        see = centred if loss == "cross-entropy" else (lambda f: f)
        a, b = see(getattr(run, name)), see(getattr(fine, name))
        torch.testing.assert_close(a, b, rtol=5e-3, atol=5e-3)


@settings(max_examples=25, deadline=None)
@given(**SHAPES, power=st.integers(-3, 2), start=st.sampled_from([0, 1]))
def test_ridge_solves_its_system_and_leaves_samples_out(
    samples, outputs, features, seed, power, start
):
    model, mu, C = Linear(samples, outputs, features, seed), 10.0**power, outputs
    run = model.predict(by="ridge", grid=[mu, 2 * mu], start=start)
    hot = torch.nn.functional.one_hot(model.labels, max(C, 2)).double()
    y = 2 * hot[:, 1:] - 1 if C == 1 else hot
    r = (y - start * model.f0).reshape(-1)

    def fit(rows, new):
        K = model.K[rows][:, rows] + mu * torch.eye(len(rows)).double()
        return new[:, rows] @ torch.linalg.solve(K, r[rows])

    every = torch.arange(samples * C)
    expected = start * model.f0_new + fit(every, model.cross).view_as(model.f0_new)
    torch.testing.assert_close(run.outputs[0], expected, rtol=1e-7, atol=1e-8)
    fitted = start * model.f0 + fit(every, model.K).view_as(model.f0)
    torch.testing.assert_close(run.train_outputs[0], fitted, rtol=1e-7, atol=1e-8)
    left = torch.stack(
        [
            start * model.f0[n] + fit(every[every // C != n], model.K[n * C : (n + 1) * C])
            for n in range(samples)
        ]
    )
    assert run.chosen_by == "leave-one-out"
    assert run.loss[0].item() == pytest.approx(
        model.loss(left, model.labels, "squared").item(), rel=1e-6
    )


@settings(max_examples=25, deadline=None)
@given(samples=st.integers(2, 8), seed=st.integers(0, 10**6), power=st.integers(-2, 2))
def test_ridge_of_a_kernel_that_is_not_symmetric_is_regression_on_its_columns(samples, seed, power):
    generator, mu = torch.Generator().manual_seed(seed), 10.0**power
    A = torch.randn(samples, samples, dtype=torch.float64, generator=generator)
    new = torch.randn(3, samples, dtype=torch.float64, generator=generator)
    labels = torch.randint(0, 2, (samples,), generator=generator)
    zero, zero_new = torch.zeros(samples, 1), torch.zeros(3, 1)
    run = predict(A, new, labels, zero, zero_new, by="ridge", grid=[mu])
    y = 2.0 * labels.double() - 1

    def weights(rows):
        eye = mu * torch.eye(samples).double()
        return torch.linalg.solve(A[rows].T @ A[rows] + eye, A[rows].T @ y[rows])

    every = torch.arange(samples)
    torch.testing.assert_close(run.final[:, 0], new @ weights(every), rtol=1e-7, atol=1e-9)
    left = torch.stack([A[n] @ weights(every[every != n]) for n in range(samples)])
    assert run.loss[0].item() == pytest.approx((0.5 * (left - y).square()).mean().item(), rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(samples=st.integers(2, 6), features=st.integers(1, 9), seed=st.integers(0, 10**6))
def test_sign_prediction_is_sign_descent_a_sample_at_a_time(samples, features, seed):
    model, eta, epochs = Linear(samples, 1, features, seed), 0.01, 7
    theta = torch.zeros(features, dtype=torch.float64, requires_grad=True)
    for _ in range(epochs):
        for n in range(samples):
            f = model.f0[n : n + 1] + (model.J[n : n + 1] @ theta)[:, None]
            loss = model.loss(f, model.labels[n : n + 1], "cross-entropy")
            (slope,) = torch.autograd.grad(loss, theta)
            with torch.no_grad():
                theta -= eta * slope.sign()
    looped = model.f0_new + (model.J_new @ theta.detach())[:, None]
    K, cross = sign_kernel(model.J), sign_kernel(model.J_new, model.J)
    run = predict(
        K,
        cross,
        model.labels,
        model.f0,
        model.f0_new,
        by="sign",
        grid=[eta * epochs],
        reduction="sum",
    )
    torch.testing.assert_close(run.final, looped, rtol=1e-9, atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(**SHAPES, loss=LOSSES)
def test_full_batch_sign_descent_is_adam_without_memory(samples, outputs, features, seed, loss):
    model, lr, steps = Linear(samples, outputs, features, seed), 0.003, [0, 5, 30]
    moved = sign_descent(
        model.J, model.J_new, model.f0, model.labels, steps, lr, loss=loss, tolerance=1e-13
    )[1]
    theta = torch.zeros(features, dtype=torch.float64, requires_grad=True)
    adam, kept = torch.optim.Adam([theta], lr=lr, betas=(0.0, 0.0), eps=1e-300), []
    for step in range(31):
        if step in steps:
            kept.append(model.J_new @ theta.detach())
        adam.zero_grad()
        model.loss(model.f0 + (model.J @ theta).view_as(model.f0), model.labels, loss).backward()
        adam.step()
    torch.testing.assert_close(moved, torch.stack(kept), rtol=1e-7, atol=1e-7)


def test_signs_of_rounding_count_as_zero_in_each_tensor():
    rows = torch.tensor([[1.0, 1e-9, 1e-9, -2e-9], [0.0, 0.0, 3.0, 1e-12]])
    assert sign_rows(rows, sizes=[2, 2]).tolist() == [[1, 0, 1, -1], [0, 0, 1, 0]]
    with pytest.raises(InputError, match="sizes add up to 3, but rows have 4 columns"):
        sign_rows(rows, sizes=[1, 2])
    assert sign_kernel(rows, symmetric=True)[0, 0].item() == 1.0


def test_a_jacobian_gives_the_sign_kernel_of_its_rows():
    head = build_adapter("lora", 6, 1, rank=1, dtype=torch.float64)
    x, new = torch.randn(5, 6).double(), torch.randn(3, 6).double()
    J, J_new = jacobian(head, x), jacobian(head, new)
    expected = J_new.dense() @ J.dense().sign().T
    torch.testing.assert_close(sign_kernel(J_new, J, tolerance=1e-13), expected)
    two = build_adapter("lora", 6, 2, rank=1, dtype=torch.float64)
    with pytest.raises(InputError, match="one output a sample, not 2"):
        sign_kernel(jacobian(two, x))


@settings(max_examples=15, deadline=None)
@given(samples=st.integers(2, 6), features=st.integers(1, 12), seed=st.integers(0, 10**6))
def test_two_logits_and_their_difference_say_the_same_by_cross_entropy(samples, features, seed):
    pair = Linear(samples, 2, features, seed)
    run = pair.predict(by="cross-entropy", grid=[0.0, 0.3, 5.0])
    z = predict(
        difference_kernel(pair.K), difference_kernel(pair.cross), pair.labels,
        logit_difference(pair.f0), logit_difference(pair.f0_new), by="cross-entropy",
        grid=[0.0, 0.3, 5.0],
    )  # fmt: skip
    both = run.outputs[..., 1:] - run.outputs[..., :1]
    torch.testing.assert_close(z.outputs, both, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        z.mean_loss(pair.new_labels), run.mean_loss(pair.new_labels), rtol=1e-5, atol=1e-6
    )
    assert torch.equal(z.accuracy(pair.new_labels), run.accuracy(pair.new_labels))


@pytest.mark.parametrize("by", ["squared", "cross-entropy", "ridge", "sign"])
def test_the_place_of_the_grid_is_chosen_by_held_out_points(by):
    model = Linear(8, 1, 30, 3, others=40)
    run = model.predict(by=by, held_out=model.held_out())
    assert run.chosen_by == "held-out"
    accuracy, loss = run.accuracy(model.new_labels), run.mean_loss(model.new_labels)
    torch.testing.assert_close(accuracy, 1 - run.error)
    best = accuracy == accuracy.max()
    assert best[run.chosen]
    assert loss[run.chosen] == loss[best].min()
    by_loss = model.predict(by=by, held_out=model.held_out(), choose="loss")
    assert by_loss.loss[by_loss.chosen] == loss.min()


def test_modes_are_taken_apart_once_and_values_are_targets():
    model = Linear(4, 1, 9, 0)
    values = torch.randn(4, 1).double()
    for by in ("squared", "ridge"):
        runs = [
            predict(K, model.cross, values, model.f0, model.f0_new, by=by, grid=[0.5])
            for K in (model.K, Modes.of(model.K))
        ]
        torch.testing.assert_close(runs[0].outputs, runs[1].outputs)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"by": "svm"}, "unknown way to predict"),
        ({"choose": "luck"}, "unknown choice"),
        ({"reduction": "median"}, "must be 'mean' or 'sum'"),
        ({"lr": 0.1, "by": "ridge"}, "goes with squared and cross-entropy"),
        ({"lr": -1.0}, "goes with squared"),
        ({"grid": []}, "non-empty list"),
        ({"grid": [-1.0]}, "non-empty list"),
        ({"cross": torch.zeros(3, 3)}, r"cross kernel of shape \(3, 3\) does not fit"),
        ({"kernel": torch.eye(3)}, r"give \(N·C, N·C\) = \(4, 4\)"),
        ({"targets": torch.tensor([0, 1, 2])}, r"targets have shape \(3,\)"),
        ({"targets": torch.tensor([0, 7])}, "with 2 outputs give 0 to 1"),
        ({"targets": torch.zeros(2, 2), "by": "cross-entropy"}, "needs labels"),
        ({"targets": torch.zeros(2, 3)}, r"give values \(2, 2\) or labels"),
        ({"outputs": torch.zeros(4)}, r"give f_0 as \(N, C\) everywhere"),
        ({"by": "sign"}, "one output a sample, not 2"),
    ],
)
def test_wrong_input_gets_a_sentence(change, sentence):
    given = {
        "kernel": torch.eye(4),
        "cross": torch.zeros(2, 4),
        "targets": torch.tensor([0, 1]),
        "outputs": torch.zeros(2, 2),
        "test_outputs": torch.zeros(1, 2),
    }
    with pytest.raises(InputError, match=sentence):
        predict(**{**given, **change})


def test_a_difference_needs_two_outputs():
    with pytest.raises(InputError, match=r"needs two, \(N, 2\)"):
        logit_difference(torch.zeros(3, 3))
    with pytest.raises(InputError, match=r"give \(2M, 2N\)"):
        difference_kernel(torch.zeros(3, 4))


def descend(outputs, parameters, labels, lr, steps):
    """Plain gradient descent on the mean squared loss of one output with targets ±1."""
    y = (2.0 * labels.double() - 1)[:, None]
    for _ in range(steps):
        slopes = torch.autograd.grad(0.5 * (outputs() - y).square().mean(), parameters)
        with torch.no_grad():
            for parameter, slope in zip(parameters, slopes, strict=True):
                parameter.sub_(lr * slope)


def within(measured, predicted, share):
    assert (measured - predicted).norm() <= share * predicted.norm(), (measured, predicted)
    assert predicted.norm() > 0.1


@pytest.mark.parametrize("method", ["lora", "tt-delta", "tera", "linear-probe"])
def test_a_lazy_head_follows_its_prediction_on_new_inputs(method):
    torch.manual_seed(0)
    head = build_adapter(method, 12, 1, dtype=torch.float64)
    x, new, labels = torch.randn(6, 12).double(), torch.randn(5, 12).double(), torch.arange(6) % 2
    K, cross = ntk(head, x), ntk(head, new, x)
    zero, zero_new = torch.zeros(6, 1), torch.zeros(5, 1)
    alpha, steps = 1e4, 60
    lr = float(6 / torch.linalg.eigvalsh(K)[-1])
    run = predict(K, cross, labels, zero, zero_new, lr=lr, grid=[steps])
    lazy = LazyModel(head, alpha)
    parameters = [p for p in lazy.parameters() if p.requires_grad]
    descend(lambda: lazy(x), parameters, labels, lazy.rate(lr), steps)
    within(lazy(new).detach(), run.final, 0.01)
