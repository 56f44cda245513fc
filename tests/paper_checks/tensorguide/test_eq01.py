from dataclasses import replace

import pytest

from ntklab.claims import Effort, Measured, Verdict
from paper_checks.tensorguide.eq01 import CHECK


@pytest.fixture(scope="module")
def measured():
    return CHECK.measure(Effort())


def test_holds_for_the_library(measured):
    assert CHECK.judge(measured).verdict is Verdict.OK


def test_a_wrong_product_is_found_out(measured):
    worse = replace(measured, values={"largest_error": 1e-6})
    assert CHECK.judge(worse).verdict is Verdict.FALSE


def test_an_update_above_its_rank_is_found_out(measured):
    rows = [{**row, "update_rank": row["r"] + 1} for row in measured.rows]
    assert CHECK.judge(Measured(measured.values, rows)).verdict is Verdict.FALSE
