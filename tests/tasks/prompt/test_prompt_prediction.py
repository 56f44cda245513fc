"""The kernel at the start predicts fine-tuning of a language model on new sentences, where lazy."""

import pytest
import torch

import ntklab
from ntklab.dynamics import difference_kernel, logit_difference


def margins(task, part):
    return logit_difference(task.model(**part.inputs))


# transformers takes Llama's root mean square in float32, whose rounding α multiplies.
@pytest.mark.parametrize(("architecture", "alpha"), [("gpt2", 1e6), ("llama", 1e3)])
def test_lazy_fine_tuning_follows_the_prediction_on_new_sentences(load, architecture, alpha):
    """α (z − z_0) trained by plain descent, squared loss, z the difference of the words' logits."""
    task = load(architecture, first=-2, shots=4, dtype=torch.float64)
    targets = {"gpt2": "c_attn", "llama": ["q_proj", "v_proj"]}[architecture]
    torch.manual_seed(0)
    ntklab.inject(task.model.model, "lora", target_modules=targets, layers="-2:", rank=2)
    train, test, labels = task.train, task.test, task.train.labels
    J, J_test = (ntklab.jacobian(task.model, part.inputs) for part in (train, test))
    K, cross = difference_kernel(J.gram()), difference_kernel(J_test.gram(J))
    lr, steps = float(len(train) / torch.linalg.eigvalsh(K)[-1]), 40
    none = [torch.zeros(len(part), 1) for part in (train, test)]
    predicted = ntklab.predict(K, cross, labels, *none, lr=lr, grid=[steps]).final

    start, start_test = (margins(task, part).detach() for part in (train, test))
    trained = [p for p in task.model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=lr / alpha**2)
    y = (2.0 * labels.double() - 1)[:, None]
    for _ in range(steps):
        optimizer.zero_grad()
        loss = 0.5 * (alpha * (margins(task, train) - start) - y).square().mean()
        loss.backward()
        optimizer.step()
    measured = alpha * (margins(task, test).detach() - start_test)
    assert predicted.abs().max() > 0.05
    assert (measured - predicted).abs().max() <= 0.01 * predicted.abs().max()
