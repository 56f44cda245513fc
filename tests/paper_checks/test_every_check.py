"""What holds for every check, whatever it claims."""

import re
from collections import defaultdict
from pathlib import Path

import pytest
from latex2mathml.converter import convert

from ntklab.claims import (
    Check,
    Effort,
    Finding,
    Measured,
    Sample,
    Verdict,
    find_check,
    find_checks,
    load_packs,
)
from ntklab.claims.run import CHECKS, CheckConfig, run_check
from ntklab.experiments.run import run
from ntklab.records import Record
from paper_checks.tensorguide import eq14

RECORDS = Path(__file__).parents[2] / "figures" / "records"

NAMES = tuple(pack.full_id(check.claim.id) for pack, check in find_checks())
FULL = Effort(full=True)
#: Claims that runs on the prompt task decide.
PROMPT = (
    "tensorguide/thesis_lambda_min",
    *(f"condition_number/{name}" for name in ("condition_predicts", "across_methods")),
    *(f"kernel_view/{name}" for name in ("kernel_view", "linearized")),
    *(f"tt_lora/tt_lora_{name}" for name in ("accuracy", "shapes")),
    *(f"tera/tera_{name}" for name in ("accuracy", "sharing")),
    "lora_rank/kernel_regime",
)


def found(name):
    return find_check(name)[1]


DRAWING = [name for name in NAMES if found(name).sample.by == "seed"]
#: Two seeds of these take seconds; in a run they are held to their sample like all others.
SLOW = tuple(f"tensorguide/{name}" for name in ("eq04", "eq10", "eq13", "eq14"))


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_has_title_words_and_confidence(name):
    claim = found(name).claim
    assert claim.id == name.split("/")[1]
    assert claim.title
    assert claim.title == claim.title.strip().rstrip(".")
    assert claim.words.endswith(".")
    assert claim.confidence in "HML"


@pytest.mark.parametrize("name", [n for n in NAMES if found(n).claim.formula])
def test_formula_becomes_mathml(name):
    text = convert(found(name).claim.formula)
    assert text.startswith("<math")
    assert "\\" not in re.sub(r"<[^>]*>", "", text), "a command that the converter does not know"


@pytest.mark.parametrize("name", NAMES)
def test_caption_says_what_the_figure_shows(name):
    check = found(name)
    assert bool(check.draw) == bool(check.caption)


@pytest.mark.parametrize("name", NAMES)
def test_full_effort_means_30_seeds_wherever_anything_is_drawn(name):
    sample = found(name).sample
    assert sample is not None, "say on what it is tried, and let measure draw with sample.seeds"
    assert sample.on
    assert len(sample.seeds(FULL)) >= 30 or sample.by != "seed"


@pytest.mark.parametrize("name", ["pairs-table1", "pairs-table2", "pairs-table5"])
def test_records_on_the_quantum_dots_hold_30_seeds_of_every_variant(name):
    """Table 3's, which takes hours, is the exception, and its page says so."""
    record = Record.read(RECORDS / name)
    seeds = defaultdict(set)
    for row in record.results:
        seeds[row["settings"], row["variant"]].add(row["seed"])
    assert len(seeds) > 1
    assert all(len(drawn) >= 30 for drawn in seeds.values())


def test_what_draws_nothing_is_counts_and_records():
    others = {name: found(name).sample.by for name in NAMES if name not in DRAWING}
    assert others == {
        **{f"tensorguide/{name}": "record" for name in ("table1", "fig4", "fig5", "fig6")},
        **dict.fromkeys(PROMPT, "record"),
        **{f"tt_lora/{name}": "nothing" for name in ("latency", "published_counts")},
        **dict.fromkeys(("tensorguide/table4", "tera/parameters"), "nothing"),
    }


@pytest.mark.parametrize("name", [n for n in DRAWING if n not in SLOW and not found(n).shares])
def test_measure_draws_with_its_sample(name, monkeypatch):
    """Another number of seeds in the sample is another number of seeds in what was run."""
    check = found(name)
    wanted = 1 if check.sample.quick == 2 else 2
    monkeypatch.setitem(check.sample.__dict__, "quick", wanted)
    measure = getattr(check.measure, "__wrapped__", check.measure)  # keep no short run in a cache
    assert measure(Effort()).seeds == wanted


@pytest.mark.parametrize("full", [False, True])
def test_a_check_cut_short_has_no_verdict(monkeypatch, full, capsys):
    sample = Sample("clouds", quick=4)

    def measure(effort):
        seeds = range(3) if effort.full else sample.seeds(effort)
        return Measured({}, [{"x": seed} for seed in seeds], len(seeds))

    check = Check(found("eq01").claim, measure, lambda _: Finding(Verdict.OK, "So."), sample=sample)
    monkeypatch.setattr("ntklab.claims.run.find_check", lambda name, packs: (None, check))
    row = run_check(CheckConfig("tensorguide/eq01", full)).row
    if full:
        assert row["verdict"] is None
        assert "measured 3 seeds, but its sample says 30" in row["failed"]
    else:
        assert (row["verdict"], row["tried_on"], row["tried_seeds"]) == ("OK", "clouds", 4)


def test_checks_that_share_runs_compute_them_once(monkeypatch):
    """Given in turn to two processes they would be computed twice."""
    groups = {name.split("/")[1]: found(name).shares for name in NAMES if found(name).shares}
    assert groups == {"eq16": "eq14", "eq20": "eq15", "eq21": "eq15", "eq22": "eq10"}
    for name, root in groups.items():
        assert found(name).sample is found(root).sample
    counted = []

    def trained(case, seed):
        counted.append(seed)
        return real(case, seed)

    real = eq14.trained
    monkeypatch.setattr(eq14, "trained", trained)
    monkeypatch.setattr(eq14, "cases", lambda effort: small_cases())
    eq14.measure.cache_clear()
    claims = [f"tensorguide/{name}" for name in ("eq14", "eq01", "eq16")]
    record = run(CHECKS, [CheckConfig(claim) for claim in claims])
    eq14.measure.cache_clear()
    verdicts = [row for row in record.results if row["entry"] == "verdict"]
    assert [row["check"] for row in verdicts] == claims
    assert all(row["verdict"] for row in verdicts)
    assert counted == list(found("eq14").sample.seeds(Effort()))


def small_cases():
    return [eq14.Case(setting=eq14.SMALL, alpha=1000.0, steps=5)]


@pytest.mark.parametrize("pack", load_packs(), ids=lambda pack: pack.name)
def test_every_claim_of_a_pack_belongs_to_one_topic(pack):
    named = [name for topic in pack.paper.topics for name in topic.checks]
    assert len(named) == len(set(named))
    assert set(pack.ids) == set(named)
