import pytest
import torch

from ntklab.claims import Effort, Measured, Verdict
from paper_checks.tensorguide.eq11 import CHECK, compared, library_map, random_head


@pytest.fixture(scope="module")
def head():
    return random_head(12, 2, 8, (1, 2, 2, 1, 1), "relu", seed=3)


def judged(row):
    values = {name: row[name] for name in ("by_autodiff", "by_structured", "cross_class")}
    return CHECK.judge(Measured(values | {"heads": 1}, [row]))


def test_all_routes_agree_on_every_shape():
    finding = CHECK.judge(CHECK.measure(Effort()))
    assert finding.verdict is Verdict.OK


def test_a_generator_that_forgets_a_core_is_found_out(head):
    def forgets(adapter):
        J = library_map(adapter).clone()
        J[:, -3:] = 0
        return J

    assert judged(compared(head, 0)).verdict is Verdict.OK
    assert judged(compared(head, 0, forgets)).verdict is Verdict.FALSE


def test_outputs_share_parameters(head):
    assert compared(head, 0)["cross_class"] > 0.01


def test_a_head_of_one_output_has_a_scalar_kernel():
    one = random_head(6, 1, 4, None, "tanh", seed=0)
    row = compared(one, 1)
    assert row["cross_class"] == 0.0
    assert torch.tensor([row["by_autodiff"], row["by_structured"]]).max() < 1e-12
