"""Times of every way to the kernel and of training steps, beside what they are to beat."""

from ntklab.bench.cases import (
    CASES,
    BlockCase,
    CheckCase,
    Curve,
    KernelCase,
    SpectrumCase,
    TrainingCase,
    cases_named,
)
from ntklab.bench.contenders import REFERENCE, Contender, all_contenders
from ntklab.bench.counting import Stage, kernel_routes, row_routes
from ntklab.bench.counts import Counts, counted
from ntklab.bench.curves import PowerLaw, fit_power
from ntklab.bench.floor import Floor, Speeds, floor
from ntklab.bench.kernels import Settings
from ntklab.bench.problem import Problem
from ntklab.bench.report import bench_markdown, bench_tables, check_marks, write_between_marks
from ntklab.bench.run import machine, run_bench
from ntklab.bench.scaled.roofline import PEAKS, ROOFLINE, roofline_markdown, roofline_rows
from ntklab.bench.timing import Timing, in_turns
from ntklab.bench.tutorial import jacobian_contraction, ntk_vector_products

__all__ = [  # noqa: RUF022 — grouped by use
    # the verb and how
    "run_bench",
    "Settings",
    # what is measured
    "CASES",
    "KernelCase",
    "SpectrumCase",
    "Curve",
    "TrainingCase",
    "BlockCase",
    "CheckCase",
    "Problem",
    "cases_named",
    # who runs
    "Contender",
    "REFERENCE",
    "all_contenders",
    "jacobian_contraction",
    "ntk_vector_products",
    # the floor
    "Stage",
    "kernel_routes",
    "row_routes",
    "Speeds",
    "Floor",
    "floor",
    # on paper, for a device that is not here
    "PEAKS",
    "ROOFLINE",
    "roofline_rows",
    "roofline_markdown",
    # counts, clocks and fits
    "Counts",
    "counted",
    "machine",
    "Timing",
    "in_turns",
    "PowerLaw",
    "fit_power",
    # pages
    "bench_markdown",
    "bench_tables",
    "check_marks",
    "write_between_marks",
]
