"""How often an option climbs on its way from the command line to the cell that it decides.

Counted while a command runs, up to the start of its first cell. The option has a value that nothing
else has. Whenever a function of this project is called with something that holds the value, or
returns something that holds it, the value is handed over: from the caller's module to the called
one, or back. Below the command line the option lives in grids and configurations: there only they
count, not numbers that were read from them to compute with. A handing over is a climb where it goes
to a package on a higher floor of `tests/test_architecture.py`. What a configuration does with its
own fields (it is built, checked, resolved and read) is no handing over. Equal steps of two modules
count once.
"""

import sys
from dataclasses import fields, replace

import pytest

from ntklab.configuration import Configuration
from ntklab.experiments.grid import Grid
from ntklab.experiments.run import run as run_experiment
from tests.test_architecture import FLOOR


class Reached(Exception):
    """The first cell was reached."""


def holds(value, wanted, bare=True, depth=0):
    """Is the wanted value in it: itself, or in a list, a dictionary, a grid, a configuration?"""
    if isinstance(value, str | bool | int | float) or value is None:
        return bare and str(value) in wanted
    if depth > 5:
        return False
    if isinstance(value, list | tuple | set | frozenset):
        return any(holds(one, wanted, bare, depth + 1) for one in list(value)[:8])
    if isinstance(value, dict):
        return any(holds(one, wanted, bare, depth + 1) for one in list(value.values()))
    if isinstance(value, Configuration | Grid):
        return any(
            holds(getattr(value, one.name, None), wanted, True, depth + 1) for one in fields(value)
        )
    return False


def module_of(frame):
    """The module of the nearest frame of this project, or None."""
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith("ntklab."):
            return name
        frame = frame.f_back
    return None


def floor(module):
    return FLOOR[module.split(".")[1]]


def is_own_work(frame):
    """Is this a method of a configuration, or what builds one?"""
    code = frame.f_code
    first = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
    kind = first if isinstance(first, type) else type(first)
    return issubclass(kind, Configuration) or code.co_name.startswith("__")


def climbs(arguments, wanted, monkeypatch, call):
    """The steps to a higher floor, as (from, to)."""
    steps, wanted = set(), str(wanted).split()  # the text, and the value that it stands for

    def watch(frame, event, returned):
        if event not in ("call", "return"):
            return
        here = frame.f_globals.get("__name__", "")
        if not here.startswith("ntklab.") or is_own_work(frame):
            return
        other = module_of(frame.f_back)
        if other is None:
            return
        code = frame.f_code
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        names += tuple(code.co_varnames[len(names) :][:1]) if code.co_flags & 0x08 else ()
        handed = [frame.f_locals.get(name) for name in names] if event == "call" else [returned]
        ends = (other, here) if event == "call" else (here, other)
        bare = any(end.startswith("ntklab.cli.") for end in ends)
        if floor(ends[1]) > floor(ends[0]) and any(holds(one, wanted, bare) for one in handed):
            steps.add(ends)

    def stop(experiment, configs, **how):
        def cell(config, **more):
            raise Reached

        return run_experiment(replace(experiment, cell=cell), configs, **{**how, "jobs": 1})

    monkeypatch.setattr("ntklab.experiments.run.run", stop)
    sys.setprofile(watch)
    try:
        result = call(*arguments)
    finally:
        sys.setprofile(None)
    assert isinstance(result.exception, Reached), (result.exception, result.stderr)
    return steps


@pytest.fixture
def count(monkeypatch, run):
    return lambda arguments, wanted: climbs(arguments, wanted, monkeypatch, run)


SPECTRUM = {
    "--rank": (47, "--rank", "47"),
    "--width": (64, "--method", "tensorguide", "--width", "64"),
    "--samples": (47, "--samples", "47"),
    "--seeds": (4711, "--seeds", "4711"),
    "--preset": ("released", "--preset", "released"),
    "--data-seed": (4711, "--data-seed", "4711"),
    "--dtype": ("float32", "--dtype", "float32"),
    "--engine": ("loop", "--engine", "loop"),
    "--memory": (f"{4711 * 2**20} 4711MiB", "--memory", "4711MiB"),
    "--scale": (0.4711, "--scale", "0.4711"),
    "--device": ("cpu auto", "--device", "auto"),
    "--device cpu": ("cpu", "--device", "cpu"),
}


@pytest.mark.parametrize("option", SPECTRUM)
def test_an_option_of_spectrum_climbs_at_most_once(option, count):
    wanted, *words = SPECTRUM[option]
    steps = count(("spectrum", "--images", "60", "--samples", "40", *words), wanted)
    assert len(steps) <= 1, steps


PAIR = {
    "--epochs": (4711, "--epochs", "4711"),
    "--batch": (47, "--batch", "47"),
    "--seeds": (4711, "--seeds", "4711"),
    "--rank": (4711, "--rank", "4711"),
    "--samples": (47, "--samples", "47"),
    "--dtype": ("float32", "--dtype", "float32"),
}


@pytest.mark.parametrize("option", PAIR)
@pytest.mark.parametrize("table", [(), ("--table", "2"), ("--table", "5")])
def test_an_option_of_pair_climbs_at_most_twice(option, table, count):
    wanted, *words = PAIR[option]
    if table and option == "--rank":
        pytest.skip("a table decides the sizes")
    steps = count(("pair", "--quick", "--images", "60", *table, *words), wanted)
    assert len(steps) <= 2, steps
