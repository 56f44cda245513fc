"""How long is the library, and how much of it serves version 0.1.0? `python tests/count_lines.py`

Lines of the modules of `ntklab/`, as `wc -l` counts them. A module serves what came after 0.1.0
where its path begins with an entry of `LATER`; all else counts as the behaviour of 0.1.0, also what
was added to it since, so that the second figure is an upper bound.
"""

import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "ntklab"

#: Folders and modules for what version 0.1.0 could not do; `claims` stood outside `ntklab/` then.
LATER = (
    *("accelerator", "arrays", "display/", "distributed/", "claims/", "bounds/listed"),
    *("adapters/inject/", "adapters/base_layer", "bench/inside/", "bench/scaled/", "bench/counts"),
    *("cli/by_task", "cli/prompts", "cli/info_model", "cli/commands/list", "cli/commands/show"),
    *("cli/commands/claims", "cli/commands/gpu_records", "dynamics/difference"),
    *("dynamics/prediction", "dynamics/predictors", "dynamics/ridge", "dynamics/sign"),
    *("dynamics/at_start", "experiments/spectrum/inside/", "experiments/training/prompt/"),
    *("experiments/training/panel", "figures/prompt/", "figures/layers"),
    *("jacobians/engines/layerwise/", "jacobians/guards/", "jacobians/shared/"),
    *("jacobians/readout", "jacobians/vocabulary", "jacobians/last_projection"),
    *("reproduce/gpu", "reproduce/prediction_page", "reproduce/progress", "reproduce/results"),
    *("spectra/model_rounding", "spectra/shared", "statistics/association"),
    *("statistics/equivalence", "tasks/prompt/", "testing/injected_checks"),
    *("training/comparison", "training/fine_tuning"),
)


def main() -> None:
    """Print the lines of all modules, and of those that serve version 0.1.0."""
    lines = {path: len(path.read_bytes().splitlines()) for path in PACKAGE.rglob("*.py")}
    names = {path: path.relative_to(PACKAGE).with_suffix("").as_posix() for path in lines}
    later = sum(count for path, count in lines.items() if names[path].startswith(LATER))
    unused = [entry for entry in LATER if not any(n.startswith(entry) for n in names.values())]
    sys.stdout.write(f"{sum(lines.values())} lines, {sum(lines.values()) - later} for 0.1.0\n")
    if unused:
        sys.exit(f"no module begins with: {', '.join(unused)}")


if __name__ == "__main__":
    main()
