"""From the options of train, dynamics and pair to cells, and from cells to a record."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntklab.cli import console
from ntklab.cli.options import CONDITION_NAMES
from ntklab.cli.parse import parse_rates, parse_seeds
from ntklab.cli.request import SIZES, given_fields, refuse_idle
from ntklab.errors import InputError, unknown

if TYPE_CHECKING:
    from ntklab.records import Cell, Record
    from ntklab.sweeps.pair_config import PairConfig

_VARYING = ("method", "seed", "settings", "data_condition")
_SCRIPT = ("preset", "lr", "batch", "rates")  # what settings and method decide

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
    from ntklab.sweeps.pair_config import PairConfig

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
    from ntklab.sweeps.pair_config import SETTINGS, STAND_INS, pair_methods
    from ntklab.sweeps.variants import table_variants

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
    from ntklab.sweeps.end_to_end import as_released
    from ntklab.sweeps.pair_config import STAND_INS, pair_methods

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
    from ntklab.sweeps.pair_config import STAND_INS, pair_methods

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
    configs: Sequence["PairConfig"],
    *,
    command: str,
    out: Path | None = None,
    force: bool = False,
    threads: int | None = None,
    run: "Callable[..., Cell] | None" = None,
) -> "Record":
    """Compute (or resume) the cells and write their record, if a folder is given.

    One thread unless told otherwise: heads are small, and more threads cost more than they give.

    Args:
        configs: the cells.
        command: what the record calls itself.
        out: folder of the run; nothing is kept if None.
        force: forget what is in the folder.
        threads: of torch.
        run: computes a cell; `ntklab.sweeps.pair.run_pair` if None.

    Raises:
        InputError: if the folder holds another run.
        KeyboardInterrupt: finished cells and the run in hand stay on disk.
    """
    from ntklab.cli.options import Run
    from ntklab.experiments.run import Experiment
    from ntklab.sweeps.pair import run_pair
    from ntklab.sweeps.pair_config import PairConfig

    experiment = Experiment(
        name=command,
        config=PairConfig,
        cell=run or run_pair,
        columns={},
        described=run_config,
        shared=run_config,
        long=True,
    )
    record = console.run(experiment, configs, Run(out=out, force=force, threads=threads))
    for row in record.results:
        if row["diverged"]:
            console.note(f"{row['variant']}, seed {row['seed']}: {row['reason']}")
    return record


def run_config(configs: Sequence["PairConfig"]) -> dict[str, Any]:
    """The configuration of a whole run."""
    resolved = configs[0].to_dict().items()
    own = (*_VARYING, *SIZES, *_SCRIPT)
    common = {name: value for name, value in resolved if name not in own}
    variants = {}
    for config in configs:
        told = {k: v for k, v in config.to_dict().items() if k in (*SIZES, *_SCRIPT)}
        variants[f"{config.settings}: {config.variant}"] = told
    return {
        **common,
        "seeds": list(dict.fromkeys(config.compute.seed for config in configs)),
        "settings": list(dict.fromkeys(config.settings for config in configs)),
        "data_condition": configs[0].data.condition,
        "variants": variants,
    }
