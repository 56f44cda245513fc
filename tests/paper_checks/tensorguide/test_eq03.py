from ntklab.adapters import TensorGuide
from ntklab.claims import Effort, Measured, Verdict
from ntklab.tensor_train import TTShape
from paper_checks.tensorguide.eq03 import CHECK, compare, latent_cosine, small_head, straddling


def world(generate=TensorGuide.generate, heads=3):
    rows = [compare(small_head(seed), generate) for seed in range(heads)]
    values = {
        "shapes": heads,
        "largest_error": max(row["error"] for row in rows),
        "cut_in_order": all(row["cut_in_order"] for row in rows),
        "fresh_latent_cosine": latent_cosine(0, draws=2),
    }
    return Measured(values, [straddling(1024)])


def test_holds_for_the_library():
    finding = CHECK.judge(CHECK.measure(Effort()))
    assert finding.verdict is Verdict.OK
    assert "fresh z" in finding.because
    assert "straddle" in finding.because


def test_weights_that_forget_the_latent_are_found_out():
    def without_latent(head):
        kept = head.latent.clone()
        head.latent.fill_(1.0)
        weights = head.generate()
        head.latent.copy_(kept)
        return weights

    assert CHECK.judge(world()).verdict is Verdict.OK
    assert CHECK.judge(world(without_latent)).verdict is Verdict.FALSE


def test_factors_out_of_order_are_found_out():
    measured = world()
    worse = Measured({**measured.values, "cut_in_order": False}, measured.rows)
    assert CHECK.judge(worse).verdict is Verdict.FALSE


def test_nothing_is_said_of_gaps_where_there_are_none():
    values = world().values | {"fresh_latent_cosine": 1.0}
    aligned = {**straddling(1024), "rows_split": 0, "factors_share_block": False}
    because = CHECK.judge(Measured(values, [aligned])).because
    assert "fresh z" not in because
    assert "straddle" not in because
    assert "both factors" not in because


def test_rows_that_straddle_are_counted_as_by_hand():
    row = straddling(4, in_features=5, outputs=1)
    shape = TTShape.plain(tuple(map(int, row["out_dims"].split(" × "))), (1,) * 5)
    block = shape.out_dims[2] * shape.out_dims[3]
    blocks = [[entry // block for entry in range(4 * r, 4 * r + 4)] for r in range(5)]
    assert row["rows_split"] == sum(len(set(b)) > 1 for b in blocks)
