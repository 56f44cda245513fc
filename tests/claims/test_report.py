import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from ntklab.claims import Check, Claim, Finding, Measured, Sample, Topic, Verdict, load_pack
from ntklab.claims.report import (
    html_index,
    html_page,
    markdown_index,
    markdown_page,
    report_of,
    write_reports,
)
from ntklab.claims.report.drawing import svg_of
from ntklab.claims.report.page import MOST_ROWS
from ntklab.claims.report.summary import sentences
from ntklab.claims.run import CHECKS, CheckConfig, described, run_check
from ntklab.errors import InputError
from ntklab.experiments.run import record_of
from ntklab.figures import drawing
from ntklab.records import Record, collect, now

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
def report(monkeypatch):
    def measure(effort):
        return Measured({"gap": 1.5}, [{"x": k, "idle": None} for k in range(MOST_ROWS + 2)])

    return report_with(monkeypatch, check_of(measure, draw=picture, caption="A caption."))


def report_with(monkeypatch, check, records=""):
    """A report of one claim, which takes the place of TensorGuide's equation 1."""
    pack = load_pack("tensorguide")
    monkeypatch.setattr("ntklab.claims.run.find_check", lambda name, packs: (pack, check))
    monkeypatch.setattr("ntklab.claims.report.page.find_check", lambda name, packs: (pack, check))
    configs = [CheckConfig("tensorguide/eq01", records=str(records))]
    cells = [run_check(one) for one in configs]
    provenance = collect(started=now(), **MADE)
    return report_of(record_of(CHECKS, configs, cells, described(configs), provenance))


def html(report):
    return html_page(report.pages[0])


def markdown(report):
    return markdown_page(report.pages[0])


def test_html_holds_formula_figure_and_numbers_and_nothing_from_outside(report):
    text = html(report)
    assert text.count("<math") == 2
    assert "<svg" in text
    assert "1.5" in text
    assert "Words &amp; &lt;signs&gt;." in text
    assert not re.search(r'(src|href)="(https?:)?//', text)
    assert "2 rows more" in text
    assert "idle" not in text


def test_markdown_says_the_same(report):
    text = markdown(report)
    assert "## eq01\n\n**A title: OK.**" in text
    assert "| the gap | 1.5 |" in text
    assert "x\\|y" in text
    assert "**What holds:** a < b" in text


def test_page_says_on_what_and_at_how_many_seeds(monkeypatch):
    def measure(effort):
        seeds = SAMPLE.seeds(effort)
        return Measured({"gap": 1.5, "recorded_seeds": 3}, [{"x": k} for k in seeds], len(seeds))

    report = report_with(monkeypatch, check_of(measure, sample=SAMPLE))
    for text in (html(report), markdown(report)):
        assert "Tried on clouds; seeds: 2, 3 recorded. Dots would hide it." in text
    assert "| claim | what it says | tried on | seeds | verdict |" in markdown(report)
    assert "| clouds | 2, 3 recorded | OK |" in markdown(report)


@pytest.mark.parametrize(
    ("device", "says"),
    [("cuda:0", "On cuda:0, by itself: FALSE. The gap is -1."), ("cpu", None), (None, None)],
)
def test_a_record_of_a_gpu_is_judged_apart(monkeypatch, tmp_path, device, says):
    """Neither verdict sees the other's runs; a trial on a CPU is no measurement of a GPU."""
    for name, gap, where in (("runs", 1.5, "cpu"), ("runs-gpu", -1, device)):
        if where is not None:
            made = collect(started=now(), **MADE | {"device": where})
            Record("pair", {}, made, [{"gap": gap}]).write(tmp_path / name)

    def measure(effort):
        (row,) = effort.record("runs").results
        return Measured({"gap": row["gap"], "gpu": "not yet measured on GPU"})

    labels = {"gap": "the gap", "gpu": "GPU"}
    check = replace(check_of(measure, records=("runs",)), labels=labels)
    report = report_with(monkeypatch, check, tmp_path)
    for text in (html(report), markdown(report)):
        assert (says in text) if says else (", by itself:" not in text)
        assert ("not yet measured on GPU" in text) is (says is None)
    assert "**A title: OK.**" in markdown(report)


def test_records_of_a_gpu_that_cannot_be_judged_leave_the_verdict(monkeypatch, tmp_path):
    for name, row, where in (("runs", {"gap": 1.5}, "cpu"), ("runs-gpu", {"k": 1}, "cuda:0")):
        made = collect(started=now(), **MADE | {"device": where})
        Record("pair", {}, made, [row]).write(tmp_path / name)
    check = check_of(
        lambda effort: Measured({"gap": effort.record("runs").results[0]["gap"]}),
        records=("runs",),
    )
    text = markdown(report_with(monkeypatch, check, tmp_path))
    assert "**A title: OK.**" in text
    assert "On cuda:0, by itself: could not be judged. KeyError: 'gap'" in text


def test_page_of_a_record_without_samples_has_no_such_column(report):
    for text in (html(report), markdown(report)):
        assert "ried on" not in text


def test_two_pictures_do_not_share_names(report):
    section = report.pages[0].sections[0]
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

    report = report_with(monkeypatch, check_of(measure))
    assert report.pages[0].counts == {"could not run": 1}
    assert "nothing to divide" in html(report)
    assert "nothing to divide" in markdown(report)
    assert report.pages[0].summary == []


EIGENVALUES = Topic("The claim of a larger eigenvalue", "eq13")
TWO = Topic(
    "The claim that a wider hidden layer makes it more expressive",
    "table2",
    also=("the claim that larger TT-ranks make it more accurate", "table5"),
)


def test_sentences_follow_the_findings():
    good = sentences({"eq13": Finding(Verdict.OK, "Larger at 5 of 5 seeds.")}, [EIGENVALUES])
    bad = sentences({"eq13": Finding(Verdict.FALSE, "Smaller.")}, [EIGENVALUES])
    assert "stands as stated: Larger at 5 of 5" in good[0].text
    assert "does not stand" in bad[0].text
    assert bad[0].verdicts == {"eq13": "FALSE"}


def test_a_sentence_of_two_claims_says_both_outcomes():
    """Width and TT-ranks stand in one sentence and may come out apart."""
    wide, rank = Finding(Verdict.FALSE, "No wider one."), Finding(Verdict.OK, "With every rank.")
    both = sentences({"table2": wide, "table5": rank}, [TWO])[0]
    assert "hidden layer makes it more expressive does not stand: no wider one" in both.text
    assert "larger TT-ranks make it more accurate stands as stated: with every rank." in both.text
    assert both.verdicts == {"table2": "FALSE", "table5": "OK"}
    alone = sentences({"table2": wide}, [TWO])[0]
    assert "TT-ranks" not in alone.text


def test_pages_of_a_record_can_be_made_again(report, tmp_path):
    written = write_reports(report, tmp_path)
    names = ["index.html", "index.md", "tensorguide.html", "tensorguide.md"]
    assert [path.name for path in written] == names
    assert "eq01" in written[3].read_text(encoding="utf-8")


def test_the_index_leads_to_every_page(report):
    assert "[tensorguide](tensorguide.md)" in markdown_index(report)
    assert 'href="tensorguide.html"' in html_index(report)
