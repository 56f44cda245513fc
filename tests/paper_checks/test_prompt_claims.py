"""Every claim that the prompt task decides, in worlds where it holds and where it does not."""

import pytest

from ntklab.claims import Verdict, find_check
from ntklab.claims.run import CheckConfig, run_check
from ntklab.experiments.training.panel import LAYERS, PANEL, SHAPES, SHARING
from tests.prompt_worlds import world

METHODS = 26


def judged(name, folder, record):
    """The finding of a claim on a record that lies in a folder, through the whole run."""
    check = find_check(name)[1]
    record.write(folder / check.records[0])
    cell = run_check(CheckConfig(name, records=str(folder)))
    assert cell.row["failed"] is None, cell.row["failed"]
    return Verdict(cell.row["verdict"]), cell.row


def many(change, count=METHODS):
    return [change(place) for place in range(count)]


def rank(place, count=METHODS):
    """0 to 1, not in the order of the parameters of a default row."""
    return ((place * 17) % count) / (count - 1)


def accurate(quality):
    """A method that is good, in all that is measured, by this much of 20 points."""
    return {
        "accuracy_adam": 0.65 + 0.2 * quality,
        "accuracy_sgd": 0.65 + 0.2 * quality,
        "steps_to_loss_adam": int(100 - 80 * quality),
        "steps_to_loss_sgd": int(100 - 80 * quality),
        "train_loss_adam": 0.5 - 0.4 * quality,
        "train_loss_sgd": 0.5 - 0.4 * quality,
    }


# --- without a record


@pytest.mark.parametrize(
    "name",
    [
        "tensorguide/thesis_lambda_min",
        "condition_number/condition_predicts",
        "condition_number/across_methods",
        "kernel_view/kernel_view",
        "kernel_view/linearized",
        "tt_lora/tt_lora_accuracy",
        "tt_lora/tt_lora_shapes",
        "tera/tera_accuracy",
        "tera/tera_sharing",
        "lora_rank/kernel_regime",
    ],
)
def test_without_a_record_a_claim_says_that_its_data_are_absent(name, tmp_path):
    row = run_check(CheckConfig(name, records=str(tmp_path))).row
    assert row["verdict"] == "DATA"
    assert row["absent"] == find_check(name)[1].records[0]
    assert row["recorded"] is False


# --- the thesis


def smallest(quality):
    return {
        "lambda_min": 0.001 + quality,
        "lambda_min_over_mean": 0.001 + quality,
        "centred_lambda_min": 0.001 + quality,
    }


def test_the_thesis_in_a_world_where_lambda_min_ranks_methods(tmp_path):
    record = world(PANEL, many(lambda k: accurate(rank(k)) | smallest(rank(k))))
    verdict, row = judged("tensorguide/thesis_lambda_min", tmp_path, record)
    assert verdict is Verdict.OK
    assert row["standing"] == row["tests"] == 12


def test_the_thesis_in_a_world_where_lambda_min_says_nothing(tmp_path):
    record = world(PANEL, many(lambda k: accurate(rank(k)) | smallest(rank((k * 5 + 3) % 26))))
    verdict, row = judged("tensorguide/thesis_lambda_min", tmp_path, record)
    assert verdict in (Verdict.FALSE, Verdict.DATA)
    assert row["standing"] == 0


def test_the_thesis_in_a_world_where_it_is_the_other_way_round(tmp_path):
    record = world(PANEL, many(lambda k: accurate(rank(k)) | smallest(1 - rank(k))))
    assert judged("tensorguide/thesis_lambda_min", tmp_path, record)[0] is Verdict.FALSE


def test_the_thesis_where_every_kernel_is_singular(tmp_path):
    zero = dict.fromkeys(smallest(0.0), 0.0)
    record = world(PANEL, many(lambda k: accurate(rank(k)) | zero))
    verdict, row = judged("tensorguide/thesis_lambda_min", tmp_path, record)
    assert verdict is Verdict.FALSE
    assert "same for all methods" in row["because"]


def test_the_thesis_where_the_number_of_parameters_decides_alone(tmp_path):
    """λ_min and accuracy both follow P, each with its own disorder."""

    def confounded(k):
        def quality(other):
            return min(1.0, max(0.0, k / 25 + 0.15 * (((k * other) % 11) / 5 - 1)))

        return (
            accurate(quality(3))
            | smallest(quality(7))
            | {"params": 1000 * (k + 1), "adapter_rank": k}
        )

    verdict, row = judged("tensorguide/thesis_lambda_min", tmp_path, world(PANEL, many(confounded)))
    assert verdict is Verdict.REGIME
    assert row["standing"] == 12
    assert row["standing_without_params"] < 12
    assert "not without P" in row["mended"]


def ranking(k, count):
    return accurate(k / (count - 1)) | smallest(k / (count - 1))


@pytest.mark.parametrize(("count", "verdict"), [(9, Verdict.DATA), (10, Verdict.OK)])
def test_too_few_methods_give_no_verdict(tmp_path, count, verdict):
    record = world(PANEL, many(lambda k: ranking(k, count), count))
    given, row = judged("tensorguide/thesis_lambda_min", tmp_path, record)
    assert given is verdict
    assert (row["possible"], row["ranked"]) == ((0, 9) if count == 9 else (12, 10))
    assert ("only 9 of at least 10 methods" in row["because"]) == (count == 9)
    assert ("fewer than 10 methods" in row["because"]) == (count == 9)


def test_sizes_of_a_method_are_no_methods(tmp_path):
    """Twenty variants of five methods rank nothing; choices of layers of one method do."""
    record = world(PANEL, many(lambda k: ranking(k, 20) | {"method": f"m{k % 5}"}, 20))
    verdict, row = judged("tensorguide/thesis_lambda_min", tmp_path, record)
    assert (verdict, row["ranked"]) == (Verdict.DATA, 5)
    layers = world(
        LAYERS, many(lambda k: accurate(rank(k)) | conditioned(rank(k)) | {"method": "lora"}, 12)
    )
    verdict, row = judged("condition_number/condition_predicts", tmp_path, layers)
    assert (verdict, row["ranked"]) == (Verdict.OK, 12)


def test_an_optimizer_that_waits_leaves_the_thesis_open(tmp_path):
    """All tests by Adam stand; of those by SGD the record has three methods."""
    waiting = {"accuracy_sgd": None, "train_loss_sgd": None, "steps_to_loss_sgd": None}
    record = world(PANEL, many(lambda k: accurate(rank(k)) | smallest(rank(k))))
    for row in record.results:
        row.update(waiting if int(row["variant"][1:]) >= 3 else {})
    verdict, row = judged("tensorguide/thesis_lambda_min", tmp_path, record)
    assert verdict is Verdict.REGIME
    assert (row["tests"], row["possible"], row["standing"]) == (12, 6, 6)
    assert "only 3 of at least 10 methods have both" in row["because"]


def test_noise_leaves_the_thesis_open(tmp_path):
    """Ten methods, a weak order: the interval reaches both ways."""
    record = world(
        PANEL,
        many(
            lambda k: accurate(0.5 + 0.05 * ((k * 3) % 10)) | smallest(((k * 7 + 2) % 10) / 10), 10
        ),
        noise=0.05,
    )
    verdict, row = judged("tensorguide/thesis_lambda_min", tmp_path, record)
    assert (verdict, row["possible"]) == (Verdict.DATA, 12)


# --- the condition number


def conditioned(quality):
    return {"lambda_min_nonzero": 100.0 / 10 ** (4 - 3 * quality), "lambda_max": 100.0} | {
        "centred_condition": 10 ** (4 - 3 * quality)
    }


@pytest.mark.parametrize(
    ("name", "record"),
    [("condition_predicts", LAYERS), ("across_methods", PANEL)],
)
def test_the_condition_number_on_both_sides(name, record, tmp_path):
    full = f"condition_number/{name}"
    good = world(record, many(lambda k: accurate(rank(k)) | conditioned(rank(k)), 12))
    verdict, row = judged(full, tmp_path / "good", good)
    assert verdict is Verdict.OK
    assert row["strong"] == row["tests"] == 8
    bad = world(record, many(lambda k: accurate(rank(k)) | conditioned(1 - rank(k)), 12))
    assert judged(full, tmp_path / "bad", bad)[0] is Verdict.FALSE


def test_a_condition_number_that_foretells_the_loss_alone_is_a_regime(tmp_path):
    def layers(k):
        same = {"accuracy_adam": 0.8, "accuracy_sgd": 0.8}
        return accurate(rank(k)) | same | conditioned(rank(k))

    verdict, row = judged(
        "condition_number/condition_predicts", tmp_path, world(LAYERS, many(layers, 14))
    )
    assert verdict is Verdict.REGIME
    assert "training loss" in row["mended"]
    assert "accuracy" not in row["mended"].split("training loss")[0]


# --- kernel against fine-tuning


def test_the_kernel_view_on_both_sides(tmp_path):
    def same(k):
        return {f"{name}": 0.8 for name in ("predicted_accuracy", "accuracy_adam", "accuracy_sgd")}

    verdict, row = judged(
        "kernel_view/kernel_view", tmp_path / "same", world(PANEL, many(same, 10))
    )
    assert verdict is Verdict.OK
    assert row["same"] == row["pairs"] == 20
    worse = world(PANEL, many(lambda k: same(k) | {"predicted_accuracy": 0.7}, 10))
    verdict, row = judged("kernel_view/kernel_view", tmp_path / "worse", worse)
    assert verdict is Verdict.FALSE
    assert row["worse"] == 20
    assert row["nine_tenths"] == 0
    some = many(lambda k: same(k) | ({"predicted_accuracy": 0.7} if k % 2 else {}), 10)
    verdict, row = judged("kernel_view/kernel_view", tmp_path / "some", world(PANEL, some))
    assert verdict is Verdict.REGIME
    assert "v0 (adam)" in row["mended"]
    few = world(PANEL, many(same, 9))
    verdict, row = judged("kernel_view/kernel_view", tmp_path / "few", few)
    assert (verdict, row["same"], row["pairs"]) == (Verdict.DATA, 18, 18)
    assert "waits for 10 of them; 9 are measured" in row["because"]


def test_fine_tuning_that_was_cut_off_is_no_accuracy_to_compare_with(tmp_path):
    """SGD that still gained at its last epoch is worse than the kernel, and refutes nothing."""
    same = {"predicted_accuracy": 0.8, "accuracy_adam": 0.8, "accuracy_sgd": 0.7}
    same |= {"steps_made_adam": 300, "steps_made_sgd": 200, "stopped_early_sgd": False}
    record = world(PANEL, many(lambda k: same, 10))
    for name in ("kernel_view/kernel_view", "kernel_view/linearized"):
        verdict, row = judged(name, tmp_path, record)
        assert verdict is Verdict.OK
        assert row.get("pairs", row.get("cases")) == 10
        assert (
            "gaining at their last epoch were v0 (sgd), v1 (sgd), v2 (sgd) and 7 more."
            in (row["because"])
        )
    ended = world(PANEL, many(lambda k: same | {"stopped_early_sgd": True}, 10))
    verdict, row = judged("kernel_view/kernel_view", tmp_path, ended)
    assert (verdict, row["pairs"]) == (Verdict.REGIME, 20)


def test_noisy_seeds_leave_the_kernel_view_open_and_say_what_could_be_seen(tmp_path):
    loud = world(PANEL, many(lambda k: {}, 10), noise=0.06)
    verdict, row = judged("kernel_view/kernel_view", tmp_path, loud)
    assert verdict is Verdict.DATA
    assert row["resolution"] > 0.02
    assert "could have shown equality within" in row["because"]


def test_linearization_that_recovers_half_the_gain(tmp_path):
    def gaining(linear):
        return lambda k: (
            {"accuracy_adam": 0.85, "accuracy_sgd": 0.85}
            | {"predicted_accuracy_cross_entropy": linear}
        )

    name = "kernel_view/linearized"
    good = world(PANEL, many(gaining(0.8), 10))
    assert judged(name, tmp_path / "good", good)[0] is Verdict.OK
    bad = world(PANEL, many(gaining(0.6), 10))
    assert judged(name, tmp_path / "bad", bad)[0] is Verdict.FALSE
    some = [*many(gaining(0.8), 9), gaining(0.6)(0) | {"variant": "odd", "method": "odd"}]
    verdict, row = judged(name, tmp_path / "some", world(PANEL, some))
    assert verdict is Verdict.REGIME
    assert "odd" in row["mended"]


# --- TT-LoRA


def trains(*accuracies):
    return [
        {"method": "tt-delta", "variant": f"tt-{k}", "params": 500 + k}
        | {"accuracy_adam": value, "accuracy_sgd": value}
        for k, value in enumerate(accuracies)
    ]


LORA = {"method": "lora", "params": 8000, "variant": "lora-r8"}
LORA |= {"accuracy_adam": 0.8, "accuracy_sgd": 0.8}


def test_tt_lora_accuracy_on_both_sides(tmp_path):
    name = "tt_lora/tt_lora_accuracy"
    verdict, row = judged(name, tmp_path / "ok", world(PANEL, [*trains(0.8, 0.82), LORA]))
    assert verdict is Verdict.OK
    assert row["pairs"] == 4
    assert row["most_fewer"] == 16
    verdict, _ = judged(name, tmp_path / "false", world(PANEL, [*trains(0.7, 0.72), LORA]))
    assert verdict is Verdict.FALSE
    verdict, row = judged(name, tmp_path / "mix", world(PANEL, [*trains(0.7, 0.8), LORA]))
    assert verdict is Verdict.REGIME
    assert "tt-1" in row["mended"]
    assert "tt-0" not in row["mended"]


def test_a_lora_of_as_many_parameters_is_not_compared(tmp_path):
    record = world(PANEL, [*trains(0.7), LORA | {"params": 900}])
    verdict, row = judged("tt_lora/tt_lora_accuracy", tmp_path, record)
    assert (verdict, row["pairs"]) == (Verdict.DATA, 0)


def test_tt_lora_shapes_on_both_sides(tmp_path):
    name = "tt_lora/tt_lora_shapes"
    verdict, row = judged(name, tmp_path / "ok", world(SHAPES, trains(0.7, 0.75, 0.8, 0.72)))
    assert verdict is Verdict.OK
    assert row["span_adam"] == pytest.approx(0.1, abs=0.01)
    same = world(SHAPES, trains(0.8, 0.8, 0.8, 0.8))
    assert judged(name, tmp_path / "false", same)[0] is Verdict.FALSE
    loud = world(SHAPES, trains(0.8, 0.8, 0.8), noise=0.05)
    assert judged(name, tmp_path / "data", loud)[0] is Verdict.DATA


# --- TeRA


def tera(accuracy, **more):
    row = {"method": "tera", "variant": "tera", "params": 300, "shared": True}
    return row | {"accuracy_adam": accuracy, "accuracy_sgd": accuracy} | more


FULL = {"method": "full", "variant": "full", "params": 10**6}
FULL |= {"accuracy_adam": 0.8, "accuracy_sgd": 0.8}


def test_tera_accuracy_on_both_sides(tmp_path):
    name, weak = "tera/tera_accuracy", FULL | {"method": "peft:oft", "variant": "oft"}
    weak |= {"accuracy_adam": 0.7, "accuracy_sgd": 0.7}
    assert judged(name, tmp_path / "ok", world(PANEL, [tera(0.81), FULL, weak]))[0] is Verdict.OK
    vera = FULL | {"method": "peft:vera", "variant": "vera", "params": 500}
    bad = world(PANEL, [tera(0.7), FULL, vera])
    assert judged(name, tmp_path / "bad", bad)[0] is Verdict.FALSE
    verdict, row = judged(name, tmp_path / "mix", world(PANEL, [tera(0.71), FULL, weak, vera]))
    assert verdict is Verdict.REGIME
    assert row["mended"] == "It is worse than full (adam), full (sgd)."


def test_tera_is_not_refuted_where_it_trains_far_less(tmp_path):
    name, vera = "tera/tera_accuracy", FULL | {"method": "peft:vera", "variant": "vera"}
    for which, rows in (
        ("less", [tera(0.7), FULL, vera | {"params": 700}]),
        ("unknown", [tera(0.7), FULL]),
        (
            "small",
            [tera(0.81), tera(0.7, variant="tera-0", params=30), FULL, vera | {"params": 500}],
        ),
    ):
        verdict, row = judged(name, tmp_path / which, world(PANEL, rows))
        assert (verdict, row["refuting"]) == (Verdict.DATA, 0), which


def test_tera_sharing_on_both_sides(tmp_path):
    name, own = "tera/tera_sharing", tera(0.8, shared=False, variant="tera-own")
    assert judged(name, tmp_path / "ok", world(SHARING, [tera(0.8), own]))[0] is Verdict.OK
    assert judged(name, tmp_path / "bad", world(SHARING, [tera(0.7), own]))[0] is Verdict.FALSE
    loud = world(SHARING, [tera(0.8), own], noise=0.05)
    assert judged(name, tmp_path / "data", loud)[0] is Verdict.DATA


# --- what is said of all claims


@pytest.mark.parametrize("seeds", [4, 5])
def test_fewer_than_five_seeds_conclude_nothing(tmp_path, seeds):
    same = dict.fromkeys(("predicted_accuracy", "accuracy_adam", "accuracy_sgd"), 0.8)
    rows = [same | one for one in (LORA, tera(0.8), FULL, trains(0.8)[0])]
    record = world(PANEL, rows, seeds=seeds)
    names = ("kernel_view/kernel_view", "kernel_view/linearized", "lora_rank/kernel_regime")
    names += ("tt_lora/tt_lora_accuracy", "tera/tera_accuracy")
    for name in names:
        verdict, row = judged(name, tmp_path, record)
        wide = not name.startswith("kernel_view")  # of all methods, and here are four
        assert (verdict is Verdict.OK) == (seeds == 5 and wide), name
        assert ("fewer than 5 seeds" in row["because"]) == (seeds == 4)
        assert "4 of the panel's 26 variants" in row["because"]


def test_a_rate_at_the_end_of_what_was_tried_is_said(tmp_path):
    rows = [{"lr_at_end_adam": True}, {"lr_at_end_adam": False, "lr_at_end_sgd": None}]
    _, row = judged("kernel_view/kernel_view", tmp_path, world(PANEL, rows))
    assert "beyond those that were tried for v0 (adam)." in row["because"]
