"""Each claim in a world where it holds and in one where it does not."""

from dataclasses import replace

import numpy as np
import pytest

from ntklab.claims import Effort, Verdict
from ntklab.errors import InputError
from paper_checks.lora_rank import (
    critical_constant,
    cross_entropy,
    dimension_count,
    generalization,
    low_rank_solution,
    no_spurious,
    rank_one_variance,
    threshold,
    without_perturbation,
)
from paper_checks.lora_rank._landscape import Landscape, examine, logistic, squared


def verdict(module, measured):
    return module.CHECK.judge(measured).verdict


# --- a solution of low rank


def gaussian(seed, count=3):
    rng = np.random.default_rng(seed)
    return Landscape(rng.normal(size=(count, 4, 4)), squared(rng.normal(size=count)), decay=0.1)


def test_the_bound_on_the_rank_holds_and_is_attained():
    rows = [low_rank_solution.row_of("Gaussian", gaussian(seed), seed) for seed in range(2)]
    rows.append(low_rank_solution.row_of("tight", low_rank_solution.tight(), 0))
    measured = low_rank_solution.collect(rows)
    assert verdict(low_rank_solution, measured) is Verdict.OK
    assert measured.values["tight"] >= 1
    assert measured.rows[-1]["rank"] == 2


def test_the_bound_fails_where_equations_are_not_counted():
    row = low_rank_solution.row_of("tight", low_rank_solution.tight(), 0, count=2)
    assert verdict(low_rank_solution, low_rank_solution.collect([row])) is Verdict.FALSE


def test_reducing_the_rank_keeps_outputs_and_loss():
    rng = np.random.default_rng(3)
    landscape = gaussian(3, count=2)
    # a minimum of full rank: outputs fitted exactly, without decay
    free = replace(landscape, decay=0.0)
    from paper_checks.lora_rank._landscape import descend

    point = descend(free, rng.normal(size=(8, 4)))
    reduced = low_rank_solution.reduce_rank(free, point.Q)
    assert reduced.shape[1] < 4
    assert reduced.shape[1] * (reduced.shape[1] + 1) // 2 <= 2
    np.testing.assert_allclose(free.outputs(reduced), free.outputs(point.Q), atol=1e-8)


def test_decay_that_leaves_nothing_gives_rank_zero():
    row = low_rank_solution.row_of("Gaussian", replace(gaussian(0), decay=100.0), 0)
    assert (row["rank"], row["certified"]) == (0, True)


def test_uncertified_minima_give_no_verdict():
    row = low_rank_solution.row_of("Gaussian", gaussian(0), 0) | {"certified": False}
    with pytest.raises(InputError, match="could be certified"):
        low_rank_solution.CHECK.judge(low_rank_solution.collect([row]))


# --- no spurious minima, with P and without


def test_with_p_nothing_spurious_above_the_threshold():
    rows = [no_spurious.trapped_row(rank, 0, with_p=True) for rank in (1, 3)]
    measured = no_spurious.collect(rows, 1)
    assert verdict(no_spurious, measured) is Verdict.OK
    assert measured.values["below_spurious"] == 1  # rank 1, KN = 2


def test_a_world_whose_perturbation_is_zero_is_a_counterexample():
    row = no_spurious.trapped_row(3, 0, with_p=False) | {"P": "P"}
    assert verdict(no_spurious, no_spurious.collect([row], 1)) is Verdict.FALSE


def test_without_p_an_integer_landscape_refutes_the_threshold():
    rows = [without_perturbation.constructed_row(3)]
    finding = without_perturbation.CHECK.judge(without_perturbation.collect(rows, 2, 2))
    assert finding.verdict is Verdict.FALSE
    assert "r = 3 and KN = 4" in finding.because


def test_without_p_random_features_alone_would_not_refute_it():
    rows = [without_perturbation.constructed_row(2)]  # KN = 3: not above the threshold
    rows += [without_perturbation.gaussian_row(3, 5, seed, 2) for seed in range(2)]
    measured = without_perturbation.collect(rows, 0, 2)
    assert verdict(without_perturbation, measured) is Verdict.OK


# --- the sharp threshold


def sharp_rows():
    rows = [threshold.pinned_row(rank, 0) for rank in (1, 2)]
    return rows + [threshold.planted_row(2, count, 0, 10) for count in (3, 4)]


def test_the_mended_threshold_is_where_spurious_points_begin():
    measured = threshold.collect(sharp_rows())
    assert verdict(threshold, measured) is Verdict.MEND
    assert measured.values["at_spurious"] == 2
    assert measured.values["largest_curvature"] < 0


def test_the_threshold_as_stated_in_a_world_with_spurious_points_below_the_mended_one():
    rows = sharp_rows()
    rows[-1] = rows[-1] | {"spurious": 1}
    assert verdict(threshold, threshold.collect(rows)) is Verdict.OK
    none = [row | {"spurious": 0} for row in rows]
    assert verdict(threshold, threshold.collect(none)) is Verdict.FALSE


def test_planted_points_are_stationary_and_not_global():
    rng = np.random.default_rng(0)
    for _ in range(5):
        point = threshold._planted(2, 4, rng)
        assert point.gradient < 1e-12
        assert point.certificate < -1e-3


# --- the count of dimensions


def test_the_count_of_dimensions_is_a_regime():
    rows = [
        dimension_count.gaussian_row((1, 6, 6, 8), decay, seed, 6)
        for decay in (0.0, 0.1)
        for seed in range(3)
    ]
    measured = dimension_count.collect([*rows, dimension_count.padded_row(20, 0)], 3)
    assert verdict(dimension_count, measured) is Verdict.REGIME
    assert measured.values["second_paper_decay"] > 0
    assert measured.values["padded"] == 1


def test_the_count_of_dimensions_holds_where_nothing_is_spurious():
    rows = [dimension_count.gaussian_row((1, 6, 6, 2), 0.0, seed, 3) for seed in range(3)]
    assert verdict(dimension_count, dimension_count.collect(rows, 3)) is Verdict.OK


def test_the_count_of_dimensions_is_false_where_it_is_told_wrong():
    rows = [dimension_count.gaussian_row((1, 6, 6, 13), 0.0, seed, 6) for seed in range(2)]
    wrong = [row | {"second_paper": True} for row in rows]
    assert verdict(dimension_count, dimension_count.collect(wrong, 2)) is Verdict.FALSE


@pytest.mark.parametrize(
    ("ends", "wanted"),
    [(1.05, Verdict.MEND), (1.33, Verdict.OK), (1.6, Verdict.FALSE), (0.0, Verdict.FALSE)],
)
def test_the_constant_is_read_off_where_spurious_minima_end(ends, wanted):
    rows = [
        {
            "rank": 1,
            "shape": "6 × 6",
            "KN": count,
            "ratio": 11 / count,
            "spurious": 11 / count <= ends,
        }
        for count in (7, 8, 9, 10, 11, 12)
    ]
    assert verdict(critical_constant, critical_constant.collect(rows, 1)) is wanted


# --- cross-entropy


def test_cross_entropy_has_spurious_minima_at_rank_one():
    landscape, Q = cross_entropy.trapped_by_labels()
    point = examine(landscape, Q)
    assert point.is_spurious
    assert cross_entropy.escape(landscape, Q) < point.value - 0.5
    rows = [cross_entropy.constructed_row(0), cross_entropy.gaussian_row(12, 0.1, 0, 4)]
    assert verdict(cross_entropy, cross_entropy.collect(rows)) is Verdict.FALSE


def test_a_world_without_saddle_and_traps_would_be_true():
    """One feature, far from the origin and from loss 0: ½‖∇F‖² ≥ μF there."""
    landscape = Landscape(np.ones((1, 1, 1)), logistic(np.ones(1)))
    ratio = cross_entropy.pl_ratio(landscape, np.ones((2, 1)), 0.0)
    assert ratio > 0.1
    row = cross_entropy.gaussian_row(3, 0.1, 0, 3)
    row |= {"pl_near_origin": ratio, "spurious": 0, "pl_far": None}
    assert verdict(cross_entropy, cross_entropy.collect([row])) is Verdict.OK
    assert verdict(cross_entropy, cross_entropy.collect([row | {"spurious": 1}])) is Verdict.REGIME
    low = cross_entropy.collect([row | {"pl_near_origin": 0.0}])
    assert verdict(cross_entropy, low) is Verdict.MEND


# --- generalization


def test_the_bound_on_the_risk_is_vacuous_for_few_samples():
    measured = generalization.collect([generalization.row_of(32, 0, 4.0)])
    assert verdict(generalization, measured) is Verdict.VACUOUS
    assert measured.values["zero"] == 1  # 32 < smallest N that moves
    assert generalization.smallest_sample_that_moves() > 200


def test_the_bound_on_the_risk_in_other_worlds():
    row = generalization.row_of(32, 0, 4.0)
    useful = row | {"bound": row["untrained"] / 2, "excess": 0.0}
    assert verdict(generalization, generalization.collect([useful])) is Verdict.OK
    broken = row | {"excess": row["bound"] + 1}
    assert verdict(generalization, generalization.collect([broken])) is Verdict.FALSE


def test_decay_above_the_slope_keeps_the_update_at_zero():
    decay = generalization.told_decay(generalization.smallest_sample_that_moves() - 1)
    assert decay >= 1.0
    assert generalization.told_decay(generalization.smallest_sample_that_moves()) < 1.0


# --- rank one


def world_rows(worse):
    """Errors at ranks 1 to 4 in every world; rank one loses where `worse` says so."""
    return [
        {
            **{"classes": classes, "teacher": teacher, "seed": seed, "rank": rank},
            "error": 0.3 * (rank == 1 and worse(classes, teacher)) + 0.01 * rank + 0.001 * seed,
            "complexity": float(rank),
        }
        for classes, teacher in rank_one_variance.WORLDS
        for seed in range(4)
        for rank in rank_one_variance.RANKS
    ]


@pytest.mark.parametrize(
    ("worse", "wanted"),
    [
        (lambda classes, teacher: classes > 2, Verdict.OK),
        (lambda classes, teacher: teacher > 1, Verdict.REGIME),
        (lambda classes, teacher: False, Verdict.FALSE),
        (lambda classes, teacher: classes == 2 and teacher == 1, Verdict.FALSE),
    ],
)
def test_what_makes_rank_one_lose_decides(worse, wanted):
    measured = rank_one_variance.collect(world_rows(worse))
    assert verdict(rank_one_variance, measured) is wanted


def test_complexity_is_that_of_enumerated_signs():
    rng = np.random.default_rng(0)
    G = rng.normal(size=(3, 3, 2))
    signs = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T
    exact = np.mean(
        [np.linalg.norm(np.tensordot(s.astype(float), G, axes=1)) / 3 for s in signs]
    )  # full rank: the Frobenius norm
    drawn = rank_one_variance.complexity(G, 2, rng)
    assert drawn == pytest.approx(exact, rel=0.15)
    assert rank_one_variance.complexity(G, 1, rng) <= exact


def test_two_classes_share_one_margin():
    rng = np.random.default_rng(0)
    features, _, _, _ = rank_one_variance.draw_world(2, 1, 5, rng)
    np.testing.assert_array_equal(features[0::2], -features[1::2])


@pytest.mark.parametrize("module", [threshold, low_rank_solution, without_perturbation])
def test_quick_runs_draw_as_often_as_their_sample_says(module):
    assert module.CHECK.measure(Effort()).seeds == module.SAMPLE.quick
