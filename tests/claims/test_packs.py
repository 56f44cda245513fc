"""Packs of others: found by folder, and what their author gets wrong is one sentence."""

import re
from dataclasses import replace

import pytest

from ntklab.claims import (
    CHECKS,
    Effort,
    check_configs,
    find_check,
    find_checks,
    load_pack,
    new_pack,
    pack_names,
    records_of,
    run_check,
)
from ntklab.errors import InputError
from ntklab.experiments.run import run

PAPER = 'from ntklab.claims import Paper\nPAPER = Paper("A paper")\n'
CLAIM = """
from ntklab.claims import Check, Claim, Finding, Measured, Sample, Verdict

def measure(effort):
    return Measured({"gap": 1.0}, seeds=len(SAMPLE.seeds(effort)))

def judge(measured):
    return Finding(Verdict.OK, f"The gap is {measured.values['gap']}.")

SAMPLE = Sample("clouds", quick=2)
CHECK = Check(Claim("NAME", "A title", "Words."), measure, judge, sample=SAMPLE)
"""


@pytest.fixture
def pack_of(tmp_path):
    def write(name="mine", paper=PAPER, **files):
        """A pack on disk: file by file the text of a claim, or changes to the plain one."""
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text(paper)
        for stem, text in files.items():
            (folder / f"{stem}.py").write_text(text)
        return folder

    return write


def claim(name, *changes):
    text = CLAIM.replace("NAME", name)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def failure(folder):
    (config,) = check_configs(packs=[load_pack(folder)])
    return run_check(config).row["failed"]


def test_the_projects_packs_are_there():
    assert {"tensorguide", "tera", "tt_lora"} <= set(pack_names())
    assert load_pack("tera").full_id("rank") == "tera/rank"


@pytest.mark.parametrize("name", ["tensorguide/eq07", "eq07", "eq7", "tensorguide/eq7"])
def test_an_id_alone_does_where_it_is_unique(name):
    pack, check = find_check(name)
    assert pack.full_id(check.claim.id) == "tensorguide/eq07"


@pytest.mark.parametrize("name", ["tera_rank", "tt_lora_compression", "tt_lora_latency"])
def test_ids_of_old_records_are_still_understood(name):
    pack, check = find_check(name)
    assert f"{pack.name}_{check.claim.id}" == name


def test_an_id_of_two_packs_must_say_which(pack_of):
    both = [load_pack(pack_of("mine", first=claim("first"))), load_pack("tera")]
    assert find_check("first", both)[0].name == "mine"
    both[1] = load_pack(pack_of("yours", first=claim("first")))
    with pytest.raises(InputError, match=r"say which of mine/first, yours/first"):
        find_check("first", both)
    assert find_check("yours/first", both)[0].name == "yours"


def test_claims_come_once_and_in_reading_order(pack_of):
    names = ("eq10", "eq2", "table1", "alpha")
    pack = load_pack(pack_of(**{name: claim(name) for name in names}, _aside="", test_x=""))
    assert pack.ids == ("eq2", "eq10", "table1", "alpha")
    found = find_checks(["table1", "eq2", "mine/eq2"], [pack])
    assert [check.claim.id for _, check in found] == ["eq2", "table1"]


def test_a_pack_may_be_called_as_a_library_is_and_imports_its_own_files(pack_of):
    text = claim("first", ('"gap": 1.0', '"gap": GAP')) + "from ._gap import GAP\n"
    folder = pack_of("json", first=text, _gap="GAP = 2.5\n")
    (config,) = check_configs(packs=[load_pack(folder)])
    row = run_check(config).row
    assert (row["check"], row["verdict"], row["gap"]) == ("json/first", "OK", 2.5)


def test_other_processes_find_the_pack(pack_of):
    pack = load_pack(pack_of(first=claim("first"), second=claim("second")))
    record = run(CHECKS, check_configs(packs=[pack]), jobs=2)
    verdicts = [row["check"] for row in record.results if row["entry"] == "verdict"]
    assert verdicts == ["mine/first", "mine/second"]


def test_records_lie_in_the_pack(pack_of):
    folder = pack_of()
    assert records_of(load_pack(folder)) is None
    (folder / "records").mkdir()
    assert records_of(load_pack(folder)) == folder / "records"
    assert records_of(load_pack("tera")) == records_of(load_pack("tensorguide"))


@pytest.mark.parametrize(
    ("paper", "said"),
    [
        ("", r"mine/__init__.py must define PAPER"),
        ("PAPER = 'A paper'", r"mine/__init__.py must define PAPER"),
        ("import nothing_there", r"mine/__init__.py, line 1 cannot be imported: ModuleNotFound"),
        ("PAPER = (", r"mine/__init__.py, line 1 cannot be imported: SyntaxError"),
    ],
)
def test_a_folder_that_is_no_pack(pack_of, paper, said):
    with pytest.raises(InputError, match=said):
        load_pack(pack_of(paper=paper))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", r"mine/first.py must define CHECK = Check\(\.\.\.\), or be named _first.py"),
        (claim("second"), r'mine/first.py says id "second": .* write Claim\(id="first"\)'),
        (claim("first", (", sample=SAMPLE", "")), r"mine/first.py has no sample"),
        (claim("first", ('"A title"', '" "')), r"the claim has no title"),
        (claim("first", ("quick=2", 'by="record"')), r"rests on a record, but names none"),
        (claim("first", ("judge(measured)", "judge(measured, effort)")), r"judge must take one"),
        (claim("first", ("measure(effort)", "measure()")), r"measure must take one argument"),
        (claim("first", ("judge, sample", "judge, draw=print, sample")), r"without a caption"),
        ("\n\nimport nothing_there", r"mine/first.py, line 3 cannot be imported: ModuleNotFound"),
        ("\nx = 1 / 0", r"mine/first.py, line 2 cannot be imported: ZeroDivisionError"),
        ("def (", r"mine/first.py, line 1 cannot be imported: SyntaxError"),
        ("from mine._gap import GAP", r"Inside a pack import relatively: from \._helpers"),
    ],
)
def test_what_an_author_forgets_is_one_sentence(pack_of, text, said):
    pack = load_pack(pack_of(first=text))
    with pytest.raises(InputError, match=said) as error:
        find_checks(packs=[pack])
    assert "\n" not in str(error.value)


def test_an_id_twice_is_named(pack_of):
    pack = load_pack(pack_of(first=claim("first"), second=claim("first")))
    with pytest.raises(InputError, match=r'second.py says id "first".*That id is another file'):
        find_checks(packs=[pack])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('{"gap": 1.0}', "{}"), r"measured nothing, and there is no verdict without numbers"),
        (("len(SAMPLE.seeds(effort))", "1"), r"measured 1 seeds, but its sample says 2"),
        (('{"gap": 1.0}', '{"gap": 1.0, "title": 2}'), r"measures 'title'.*report's own name"),
        (('{"gap": 1.0}', '{"gap": [1.0]}'), r"gap is a list, but must be a scalar"),
        (("return Measured", "Measured"), r"measure of first returned nothing"),
        (("return Finding", "Finding"), r"judge of first returned nothing, but must return Find"),
        (("f\"The gap is {measured.values['gap']}.\"", '""'), r"judge of first gives no reason"),
    ],
)
def test_what_a_run_refuses_is_one_sentence(pack_of, change, said):
    assert re.search(said, failure(pack_of(first=claim("first", change))))


READING = {
    "a file": ("import pathlib", "pathlib.Path(__file__).with_suffix('.txt').open()"),
    "a folder": ("import os", "os.listdir('.')"),
    "a process": ("import subprocess", "subprocess.run(['true'])"),
    "random numbers": ("import random", "random.random()"),
    "torch's random numbers": ("import torch", "torch.rand(1)"),
    "numpy's random numbers": ("import numpy", "numpy.random.rand()"),
}


@pytest.mark.parametrize("what", READING)
def test_a_judge_that_reads_anything_but_numbers_has_no_verdict(pack_of, what):
    top, line = READING[what]
    text = claim("first", ("def judge(measured):", f"def judge(measured):\n    {line}"))
    said = failure(pack_of(first=f"{top}\n{text}"))
    assert re.search(r"judge of first (reads|draws).*measured numbers alone", said), said


def test_a_judge_that_changes_its_mind_has_no_verdict(pack_of):
    change = ("Verdict.OK,", "Verdict.OK if CALLS.append(1) or len(CALLS) % 2 else Verdict.FALSE,")
    said = failure(pack_of(first="CALLS = []\n" + claim("first", change)))
    assert "of the same numbers as the record gives them back" in said


def test_a_judge_may_import_late_and_others_may_open_files_again(pack_of, tmp_path):
    line = "def judge(measured):\n    import fractions, statistics, xml.dom.minidom"
    assert failure(pack_of(first=claim("first", ("def judge(measured):", line)))) is None
    assert (tmp_path / "mine" / "first.py").read_text()


def test_without_its_record_a_claim_is_measured_and_not_judged(pack_of, tmp_path):
    change = ("sample=SAMPLE", 'sample=SAMPLE, records=("runs", "more")')
    folder = pack_of(first=claim("first", change))
    (tmp_path / "kept" / "more").mkdir(parents=True)
    (tmp_path / "kept" / "more" / "record.json").write_text("{}")
    (config,) = check_configs(packs=[load_pack(folder)], records=tmp_path / "kept")
    row = run_check(config).row
    assert (row["verdict"], row["absent"], row["gap"]) == ("DATA", "runs", 1.0)
    assert "Not judged" in row["because"]
    (tmp_path / "kept" / "runs").mkdir()
    (tmp_path / "kept" / "runs" / "record.json").write_text("{}")
    row = run_check(config).row
    assert row["verdict"] == "OK"
    assert "absent" not in row


def test_verdicts_of_the_project_without_records_say_so():
    """In a wheel: the claims that rest on training records are not judged, and no other changes."""
    waiting = {check.claim.id for _, check in find_checks() if check.records}
    prompts = {"thesis_lambda_min", "condition_predicts", "across_methods", "kernel_view"}
    prompts |= {"linearized", "tt_lora_accuracy", "tt_lora_shapes", "tera_accuracy"}
    prompts |= {"tera_sharing", "kernel_regime"}
    assert waiting == {"table1", "table3", "table5", "fig4", "fig5", "fig6"} | prompts
    (config,) = check_configs(["fig4"])
    row = run_check(replace(config, records="")).row
    assert (row["verdict"], row["absent"]) == ("DATA", "pairs-table1")


def test_a_new_pack_runs_and_its_one_line_turns_the_verdict(tmp_path):
    verdicts = []
    for name, line in (("as-written", ""), ("edited", " - rank**2")):
        folder = tmp_path / name
        new_pack(folder)
        path = folder / "kernel_rank.py"
        path.write_text(path.read_text().replace("+ outputs)\n", f"+ outputs){line}\n"))
        (config,) = check_configs(packs=[load_pack(folder)])
        verdicts.append(run_check(config).row["verdict"])
        assert name in (folder / "README.md").read_text()
    assert verdicts == ["FALSE", "OK"]


def test_the_tests_of_a_new_pack_pass(tmp_path):
    new_pack(tmp_path / "mine")
    path = tmp_path / "mine" / "tests" / "test_kernel_rank.py"
    names = {"__file__": str(path)}
    exec(compile(path.read_text(), str(path), "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 3
    for test in tests:
        test()


@pytest.mark.parametrize("name", ["1st", "a b", "mine.py"])
def test_what_cannot_be_a_name(tmp_path, name):
    with pytest.raises(InputError, match="cannot be called"):
        new_pack(tmp_path / name)


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not an empty folder"):
        new_pack(tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_records_are_read_by_name(tmp_path):
    assert Effort(records=tmp_path).record("absent") is None
    assert not Effort(records=tmp_path).has_record("absent")
