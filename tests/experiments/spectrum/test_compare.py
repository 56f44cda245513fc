import pytest

from ntklab.experiments.spectrum.comparison import compare, differences


def rows(method, values, **extra):
    return [{"method": method, "seed": s, "trace": v, **extra} for s, v in enumerate(values)]


def test_rows_that_differ_in_more_than_the_seed_are_not_mixed():
    given_rows = [
        *rows("lora", [1.0, 2.0, 3.0], data_condition="clean"),
        *rows("lora", [10.0], data_condition="noisy"),
        *rows("tera", [5.0, 7.0], data_condition="clean"),
    ]
    found = compare(given_rows, ["trace"])
    assert [(r["method"], r["data_condition"], r["trace"], r["seeds"]) for r in found] == [
        ("lora", "clean", 2.0, 3),
        ("lora", "noisy", 10.0, 1),
        ("tera", "clean", 6.0, 2),
    ]
    assert [r["reason"] for r in found] == [None, "one seed has no interval (trace)", None]


def paired_rows(scale=1.0):
    values = {"lora": (1.0, 2.0, 4.0), "tera": (2.0, 5.0, 3.0), "tt-lora": (0.5, 1.0, 1.5)}
    return [
        {"method": method, "seed": seed, "rank": scale * value, "data_condition": "noisy"}
        for method, column in values.items()
        for seed, value in enumerate(column)
    ]


def test_differences_are_to_the_first_at_equal_seeds():
    tera, tt_lora = differences(paired_rows(), ["rank"])
    assert (tera["method"], tt_lora["method"]) == ("tera", "tt-lora")
    assert {tera["against"], tt_lora["against"]} == {"lora"}
    assert tera["mean"] == pytest.approx((1 + 3 - 1) / 3)
    assert (tera["wins"], tera["losses"], tera["seeds"]) == (2, 1, 3)
    assert tt_lora["losses"] == 3
    smallest, largest = sorted((tera, tt_lora), key=lambda row: row["wilcoxon_p"])
    assert smallest["holm_p"] == pytest.approx(min(1, 2 * smallest["wilcoxon_p"]))
    assert largest["holm_p"] >= smallest["holm_p"]


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_differences_of_small_eigenvalues_are_no_ties(scale):
    for plain, scaled in zip(
        differences(paired_rows(), ["rank"]), differences(paired_rows(scale), ["rank"]), strict=True
    ):
        assert (scaled["wins"], scaled["losses"]) == (plain["wins"], plain["losses"])
        assert scaled["mean"] == pytest.approx(scale * plain["mean"])
        assert scaled["mean_high"] == pytest.approx(scale * plain["mean_high"])


def test_every_data_condition_has_its_own_family():
    rows = paired_rows() + [row | {"data_condition": "clean"} for row in paired_rows()]
    tested = differences(rows, ["rank"])
    assert [row["data_condition"] for row in tested] == ["noisy", "noisy", "clean", "clean"]
    assert tested[0]["holm_p"] == tested[2]["holm_p"]


def test_a_seed_that_only_one_has_is_left_out():
    assert differences([*paired_rows()[:3], paired_rows()[3] | {"seed": 9}], ["rank"]) == []
