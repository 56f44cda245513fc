import torch

from ntklab.claims import Verdict
from paper_checks.tensorguide.eq18 import CHECK, draw, exact_row, measured_of, sampled_row


def judged(*rows):
    return CHECK.judge(measured_of(list(rows))).verdict


def kernels():
    J = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return J @ J.T, torch.eye(6, dtype=torch.float64), torch.ones(6, 6, dtype=torch.float64)


def test_holds_for_kernels_singular_or_not():
    rows = [exact_row("planted", "planted", K, 6) for K in kernels()]
    assert judged(*rows) is Verdict.OK
    assert min(row["ratio"] for row in rows) >= 0.5**0.5


def test_a_complexity_above_the_trace_form_refutes():
    row = exact_row("planted", "planted", kernels()[0], 6)
    assert judged({**row, "complexity": 2 * row["upper"]}) is Verdict.FALSE


def test_a_complexity_below_khintchine_is_no_equality():
    row = exact_row("planted", "planted", kernels()[0], 6)
    assert judged({**row, "complexity": 0.5 * row["lower"]}) is Verdict.MEND


def test_a_matrix_that_is_no_kernel_of_signs():
    """σᵀKσ is constant for the identity, so the bound is attained."""
    assert exact_row("planted", "planted", kernels()[1], 6)["ratio"] == 1.0


def test_random_signs_agree_with_all_signs():
    exact = exact_row("planted", "planted", kernels()[0], 6)
    sampled = sampled_row("planted", "planted", kernels()[0], 6)
    assert abs(exact["complexity"] - sampled["complexity"]) <= 1.5 * sampled["doubt"]


def test_figure_has_a_line_a_group():
    rows = [exact_row("planted", "lora", K, 6) for K in kernels()]
    assert len(draw(measured_of(rows)).axes[0].get_yticklabels()) == 1


def test_one_kernel_of_many_refutes_and_the_rows_keep_its_ratio():
    row = exact_row("planted", "lora", kernels()[0], 6)
    bad = {**row, "complexity": 2 * row["upper"], "ratio": 2.0}
    measured = measured_of([row, row, bad])
    assert measured.seeds == measured.rows[0]["seeds"] == 3
    assert measured.rows[0]["ratio"] == row["ratio"]
    assert measured.rows[0]["largest"] == 2.0
    assert CHECK.judge(measured).verdict is Verdict.FALSE
