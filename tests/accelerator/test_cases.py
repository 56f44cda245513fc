"""Every case on the pretended device, and every public function in a case."""

import pytest

from tests.accelerator import coverage
from tests.accelerator.pretended import pretended
from tests.accelerator.public import public_functions
from tests.accelerator.reached import watched

CASES = coverage.cases()
HOW = "write a case, then python -m tests.accelerator.coverage; or give the reason in coverage.py"


@pytest.mark.parametrize("name", CASES)
def test_case(name, tmp_path):
    device = pretended()
    claimed = {function for function, case in coverage.table().items() if case == name}
    functions = public_functions()
    with watched({name: functions[name] for name in claimed & functions.keys()}, device) as called:
        CASES[name](device, tmp_path)
    on_the_cpu = coverage.named(coverage.ON_THE_CPU)
    missed = {one for one in claimed if not called.get(one, False)} - (on_the_cpu & called.keys())
    assert not missed, f"no longer met a tensor of the device in this case: {sorted(missed)}"


def test_every_public_function_has_a_case_or_a_reason():
    functions, table = set(public_functions()), coverage.table()
    reasons = coverage.named(coverage.NOT_RUN)
    missing = functions - table.keys() - reasons
    assert not missing, f"no case runs {sorted(missing)} on the pretended device: {HOW}"
    assert table.keys() | reasons | coverage.named(coverage.ON_THE_CPU) <= functions, "gone"
    assert not table.keys() & reasons, "run, and yet there is a reason not to"
    assert set(table.values()) <= CASES.keys()


def test_a_new_function_without_a_case_is_noticed(monkeypatch):
    functions = public_functions()
    monkeypatch.setattr(
        "tests.accelerator.test_cases.public_functions",
        lambda: functions | {"ntklab.spectra.new.function": spectrum_of_nothing},
    )
    with pytest.raises(AssertionError, match=r"ntklab\.spectra\.new\.function"):
        test_every_public_function_has_a_case_or_a_reason()


def spectrum_of_nothing(kernel):
    """A function that no case knows."""
