import re
from xml.etree import ElementTree

import pytest

from ntklab.errors import InputError
from ntklab.figures import drawing
from ntklab.records import collect, now
from paper_checks.harness import Check, Claim, Finding, Measured, Sample, Verdict, check_names
from paper_checks.harness.run import CheckConfig, check_record, run_check
from paper_checks.report import html_report, markdown_report, page_of, write_reports
from paper_checks.report.drawing import svg_of
from paper_checks.report.page import MOST_ROWS
from paper_checks.report.summary import TOPICS, sentences

MADE = {"device": "cpu", "dtype": "float64", "threads": 1, "seconds": 1.0}


def picture(measured):
    from matplotlib import pyplot as plt

    with drawing():
        figure, axes = plt.subplots()
        axes.plot(measured.column("x"))
    return figure


SAMPLE = Sample("dots", on_quick="clouds", quick=2, why="Dots would hide it.")


def judge(measured):
    word = Verdict.OK if measured.values["gap"] > 0 else Verdict.FALSE
    return Finding(word, f"The gap is {measured.values['gap']}.", "a < b", r"a < b")


def check_of(measure, **more):
    claim = Claim("eq01", "A title", "Words & <signs>.", r"\lambda_{\min} > 0")
    return Check(claim, measure, judge, {"gap": "the gap"}, {"x": "x|y", "idle": "idle"}, **more)


@pytest.fixture
def page(monkeypatch):
    def measure(effort):
        return Measured({"gap": 1.5}, [{"x": k, "idle": None} for k in range(MOST_ROWS + 2)])

    return page_with(monkeypatch, check_of(measure, draw=picture, caption="A caption."))


def page_with(monkeypatch, check):
    monkeypatch.setattr("paper_checks.harness.run.find_check", lambda name: check)
    monkeypatch.setattr("paper_checks.report.page.find_check", lambda name: check)
    configs = [CheckConfig("eq01")]
    cells = [run_check(one) for one in configs]
    return page_of(check_record(configs, cells, collect(started=now(), **MADE)))


def test_html_holds_formula_figure_and_numbers_and_nothing_from_outside(page):
    text = html_report(page)
    assert text.count("<math") == 2
    assert "<svg" in text
    assert "1.5" in text
    assert "Words &amp; &lt;signs&gt;." in text
    assert not re.search(r'(src|href)="(https?:)?//', text)
    assert "2 rows more" in text
    assert "idle" not in text


def test_markdown_tells_the_same(page):
    text = markdown_report(page)
    assert "## eq01\n\n**A title: OK.**" in text
    assert "| the gap | 1.5 |" in text
    assert "x\\|y" in text
    assert "**What holds:** a < b" in text


def test_page_says_on_what_and_at_how_many_seeds(monkeypatch):
    def measure(effort):
        seeds = SAMPLE.seeds(effort)
        return Measured({"gap": 1.5, "recorded_seeds": 3}, [{"x": k} for k in seeds], len(seeds))

    page = page_with(monkeypatch, check_of(measure, sample=SAMPLE))
    for text in (html_report(page), markdown_report(page)):
        assert "Tried on clouds; seeds: 2, 3 recorded. Dots would hide it." in text
        assert "tried on" in text
    assert "| clouds | 2, 3 recorded | OK |" in markdown_report(page)


def test_page_of_a_record_without_samples_has_no_such_column(page):
    for text in (html_report(page), markdown_report(page)):
        assert "ried on" not in text


def test_two_pictures_do_not_share_names(page):
    section = page.sections[0]
    svg = svg_of(section.check, section.measured)
    ElementTree.fromstring(svg)
    names = re.findall(r'\bid="([^"]*)"', svg)
    assert names
    assert all(name.startswith("eq01-") for name in names)
    assert svg == svg_of(section.check, section.measured)


def test_numbers_of_an_older_check_are_one_sentence():
    def drawn(measured):
        return measured.rows[0]["new"]

    check = check_of(lambda effort: None, draw=drawn)
    with pytest.raises(InputError, match=r"no 'new'.*run ntklab check eq01 again"):
        svg_of(check, Measured({}, [{"old": 1}]))


def test_a_check_that_cannot_run_says_why_and_gives_no_verdict(monkeypatch, capsys):
    def measure(effort):
        raise ArithmeticError("nothing to divide")

    page = page_with(monkeypatch, check_of(measure))
    assert page.counts == {"could not run": 1}
    assert "nothing to divide" in html_report(page)
    assert "nothing to divide" in markdown_report(page)
    assert page.summary == []


def test_every_check_belongs_to_one_topic_of_the_first_page():
    assert len(TOPICS) == 10
    named = [name for topic in TOPICS for name in topic.checks]
    assert len(named) == len(set(named))
    assert set(check_names()) <= set(named)


def test_first_page_follows_the_findings():
    good = sentences({"eq13": Finding(Verdict.OK, "Larger at 5 of 5 seeds.")})
    bad = sentences({"eq13": Finding(Verdict.FALSE, "Smaller.")})
    assert "stands as stated: Larger at 5 of 5" in good[0].text
    assert "does not stand" in bad[0].text
    assert bad[0].verdicts == {"eq13": "FALSE"}


def test_a_sentence_of_two_claims_tells_both_outcomes():
    """Width and TT-ranks stand in one sentence and may come out apart."""
    wide, rank = Finding(Verdict.FALSE, "No wider one."), Finding(Verdict.OK, "With every rank.")
    both = sentences({"table2": wide, "table5": rank})[0]
    assert "hidden layer makes it more expressive does not stand: no wider one" in both.text
    assert "larger TT-ranks make it more accurate stands as stated: with every rank." in both.text
    assert both.verdicts == {"table2": "FALSE", "table5": "OK"}
    alone = sentences({"table2": wide})[0]
    assert "TT-ranks" not in alone.text


def test_pages_of_a_record_can_be_made_again(page, tmp_path):
    written = write_reports(page, tmp_path)
    assert [path.name for path in written] == ["report.html", "report.md"]
    assert "eq01" in written[1].read_text(encoding="utf-8")
