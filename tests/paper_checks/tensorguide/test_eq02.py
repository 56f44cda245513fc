import pytest

from ntklab.claims import Effort, Measured, Verdict
from ntklab.tensor_train import contract
from paper_checks.tensorguide.eq02 import CHECK, compare


def world(contraction):
    rows = [compare(seed, contraction) for seed in range(4)]
    names = {"largest_error": "error", "largest_exact_error": "exact_error"}
    values = {name: max(row[of] for row in rows) for name, of in names.items()}
    return Measured({**values, "smallest_cut_error": min(row["cut_error"] for row in rows)}, rows)


def test_holds_for_the_library():
    finding = CHECK.judge(CHECK.measure(Effort()))
    assert finding.verdict is Verdict.OK


def test_a_contraction_that_joins_bonds_wrongly_is_found_out():
    def flipped(cores, latent):
        return contract([cores[0].flip(3), *cores[1:]], latent)

    assert CHECK.judge(world(contract)).verdict is Verdict.OK
    assert CHECK.judge(world(flipped)).verdict is Verdict.FALSE


def test_a_contraction_of_too_small_a_rank_is_found_out():
    def shortened(cores, latent):
        return contract([cores[0][..., :1], cores[1][:1], *cores[2:]], latent)

    assert CHECK.judge(world(shortened)).verdict is Verdict.FALSE


@pytest.mark.parametrize("name", ["largest_error", "largest_exact_error"])
def test_an_error_above_rounding_is_no_equality(name):
    measured = world(contract)
    worse = Measured({**measured.values, name: 1e-9}, measured.rows)
    assert CHECK.judge(worse).verdict is Verdict.FALSE
