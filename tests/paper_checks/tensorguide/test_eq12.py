from dataclasses import replace

import pytest

from ntklab.claims import Effort, Measured, Verdict
from paper_checks.tensorguide.eq11 import random_head
from paper_checks.tensorguide.eq12 import CHECK, library_map, tried


@pytest.fixture(scope="module")
def measured():
    return CHECK.measure(Effort())


def test_holds_for_the_library(measured):
    finding = CHECK.judge(measured)
    assert finding.verdict is Verdict.OK
    assert "gauge" in finding.because


def test_a_wrong_derivative_is_found_out():
    head = random_head(9, 2, 7, None, "identity", seed=1)
    row = tried(head, lambda adapter: library_map(adapter) * 1.001)
    values = {"difference": row["difference"], "euler": row["euler"], "trains": 1}
    assert CHECK.judge(Measured(values, [row])).verdict is Verdict.FALSE


def test_cores_are_put_back():
    head = random_head(9, 2, 7, None, "identity", seed=1)
    before = head.generate().clone()
    tried(head)
    assert head.generate().equal(before)


def test_an_injective_generator_would_have_no_gauge(measured):
    values = {**measured.values, "least_nullity": 0}
    assert "gauge" not in CHECK.judge(replace(measured, values=values)).because
