"""From the options of train, dynamics and pair to cells, and from cells to a record."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ntklab.cli import console
from ntklab.cli.options import CONDITION_NAMES, Run
from ntklab.cli.parse import parse_rates, parse_seeds
from ntklab.cli.request import given_fields, refuse_idle
from ntklab.errors import InputError, unknown

if TYPE_CHECKING:
    from ntklab.experiments.run import Experiment
    from ntklab.experiments.training.config import PairConfig
    from ntklab.records import Record

#: What --quick asks for where the command line does not.
QUICK: dict[str, Any] = {"images": 200, "rates": "0.001,0.01", "watched": 16, "seeds": "0:3"}


def one_blas_thread() -> None:
    """Ask numpy for one thread, if it is not loaded yet: its products here are small.

    torch is told by `torch_threads`, but numpy's BLAS reads its number from the environment.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def base_config(options: Mapping[str, Any], **fixed: Any) -> "PairConfig":
    """One cell with everything that the options say, at the first method.

    Raises:
        InputError: for words and numbers that mean nothing.
    """
    from ntklab.experiments.training.config import PairConfig

    given = given_fields(PairConfig, {"device": "auto", **options})
    if "rates" in given:
        given["rates"] = parse_rates(given["rates"])
    condition = given.setdefault("data_condition", "noisy")
    if condition not in CONDITION_NAMES:
        raise unknown("data condition", condition, CONDITION_NAMES)
    return PairConfig.of(**given | fixed)


def pair_configs(options: Mapping[str, Any]) -> list["PairConfig"]:
    """A cell for each setting, variant and seed, in that order.

    Raises:
        InputError: for words and numbers that mean nothing.
    """
    from ntklab.experiments.training.config import SETTINGS, STAND_INS, pair_methods
    from ntklab.experiments.training.variants import table_variants

    options = dict(options)
    if options.get("quick"):
        options |= {key: value for key, value in QUICK.items() if options.get(key) is None}
    seeds = parse_seeds(options.get("seeds") or "0:10")
    methods = pair_methods(options["method"])
    refuse_idle(methods, options, STAND_INS)
    word = options.get("settings", "both")
    if word not in (*SETTINGS[:2], "both"):
        raise unknown("settings", word, (*SETTINGS[:2], "both"))
    configs = []
    for settings in SETTINGS[:2] if word == "both" else (word,):
        base = base_config(options, method=methods[0], settings=settings)
        cells = table_variants(options.get("table") or 1, base, methods)
        configs += [one.with_(seed=seed) for one in cells for seed in seeds]
    return configs


def train_configs(options: Mapping[str, Any]) -> list["PairConfig"]:
    """A measured run without a prediction for each method and seed.

    Raises:
        InputError: for words and numbers that mean nothing.
    """
    from ntklab.experiments.training.config import STAND_INS, pair_methods
    from ntklab.experiments.training.end_to_end import as_released

    methods = pair_methods(options["method"])
    refuse_idle(methods, options, STAND_INS)
    base = base_config(options, method=methods[0], settings="own", predict=False)
    if options.get("end_to_end"):
        base = as_released(base)
    cells = [base.for_method(method) for method in methods]
    return [one.with_(seed=s) for one in cells for s in parse_seeds(options["seeds"])]


def dynamics_configs(options: Mapping[str, Any]) -> list["PairConfig"]:
    """One method with its prediction at each seed; all its samples are watched unless told.

    Raises:
        InputError: for words and numbers that mean nothing.
    """
    from ntklab.experiments.training.config import STAND_INS, pair_methods

    methods = pair_methods([options["method"]])
    if len(methods) > 1:
        raise InputError("a prediction is of one method: choose one, or use ntklab pair.")
    refuse_idle(methods, options, STAND_INS)
    options = dict(options)
    if options.get("watched") is None:
        options["watched"] = options["samples"]
    if options.get("batch") is None:  # all samples a step, as the prediction has it
        options["batch"] = options["samples"]
    base = base_config(options, method=methods[0], settings="own")
    return [base.with_(seed=seed) for seed in parse_seeds(options["seeds"])]


def run_pairs(
    experiment: "Experiment[PairConfig]", configs: Sequence["PairConfig"], how: Run
) -> "Record":
    """The record of training runs, with a note on each that diverged.

    One thread unless told otherwise: heads are small, and more threads cost more than they give.

    Raises:
        InputError: if the folder holds another run.
        KeyboardInterrupt: finished cells and the run in hand stay on disk.
    """
    record = console.run(experiment, configs, how)
    for row in record.results:
        if row["diverged"]:
            console.note(f"{row['variant']}, seed {row['seed']}: {row['reason']}")
    return record
