"""The table of training runs: a row a variant, each figure over its seeds with its interval."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ntklab.experiments.training.heads.bounds import BOUNDS
from ntklab.experiments.training.language.config import FROZEN, TRUNCATED
from ntklab.records import Record
from ntklab.statistics import (
    Interval,
    PairedDifference,
    by_seed,
    grouped,
    holm,
    mean_interval,
    median_interval,
    paired_difference,
)

Rows = Sequence[Mapping[str, Any]]

#: Columns that say which runs are one variant at several seeds.
VARIANT = ("settings", "variant")
ACCURACY = "test_accuracy"


@dataclass(frozen=True)
class Layout:
    """Which columns the table of a kind of training run has.

    Attributes:
        named: taken from the first run of a variant.
        figures: summarized over the seeds of a variant.
        interval: the summary.
        more: further columns, from the runs of a variant.
    """

    named: tuple[str, ...]
    figures: tuple[str, ...]
    interval: Callable[[Sequence[Any]], Interval]
    more: Callable[[Rows], dict[str, Any]]


def layout_of(record: Record) -> Layout:
    """That of language models where rows have a perplexity, of prompts, else that of heads."""
    if any("test_perplexity" in row for row in record.results):
        return LANGUAGE
    return PROMPTS if any(row.get("task") == "prompt" for row in record.results) else HEADS


def training_table(record: Record, figures: Sequence[str] = ()) -> list[dict[str, Any]]:
    """One row a setting and variant, in the record's order; searches of a rate are left out.

    Heads and prompts: medians over seeds with 95 % bootstrap intervals. Language models: means
    with Student's intervals, since three values cannot be resampled.

    Args:
        record: of `ntklab pair` or `ntklab train`.
        figures: what to summarize, if not all.

    Returns:
        What was trained; `seeds`; for each figure `<figure>`, `<figure>_low`, `<figure>_high`;
        `diverged` (count). Of heads also `<bound>_vacuous` and `in_regime` ("0 of 10") and a
        `reason`; of language models whether the variant is `frozen`, and `against_frozen`, its
        test perplexity less the frozen model's, with the sign of its interval.
    """
    layout, table = layout_of(record), []
    for rows in grouped(measured_rows(record), *VARIANT).values():
        line = {name: rows[0].get(name) for name in layout.named} | {"seeds": len(rows)}
        for figure in figures or layout.figures:
            if any(row.get(figure) is not None for row in rows):
                over = layout.interval([row.get(figure) for row in rows])
                line |= {figure: over.value, f"{figure}_low": over.low, f"{figure}_high": over.high}
        line["diverged"] = sum(bool(row.get("diverged")) for row in rows)
        table.append(line | layout.more(rows))
    return table


def measured_rows(record: Record) -> list[dict[str, Any]]:
    """The runs of a record, without those that helped choose a rate."""
    return [row for row in record.results if row.get("purpose", "measure") == "measure"]


def searched_rates(record: Record) -> list[dict[str, Any]]:
    """The searches: variant, rate, and the least validation perplexity that it reached."""
    names = ("variant", "lr", "valid_perplexity")
    searches = (row for row in record.results if row.get("purpose") == "search")
    return [{name: row.get(name) for name in names} for row in searches]


def _of_heads(rows: Rows) -> dict[str, Any]:
    vacuous = {f"{name}_vacuous": _count(rows, f"{name}_vacuous") for name in BOUNDS}
    return vacuous | {"in_regime": _count(rows, "ntk_regime"), "reason": _few(rows)}


def _few(rows: Rows) -> str | None:
    return None if len(rows) > 1 else "one seed has no interval"


def _of_language(rows: Rows) -> dict[str, Any]:
    below = mean_interval([row["test_perplexity"] - row["baseline_perplexity"] for row in rows])
    return {
        "frozen": rows[0]["method"] in (FROZEN, TRUNCATED),
        "against_frozen": below.value,
        "against_frozen_sign": below.sign,
    }


HEADS = Layout(
    named=(
        *("settings", "variant", "method", "width", "effective_width", "tt_ranks", "params"),
        *("params_with_conv1", "optimizer", "loss", "batch", "epochs", "end_to_end"),
    ),
    figures=(
        *("train_loss", "train_accuracy", "test_loss", "test_accuracy", "noisy_accuracy"),
        *("clean_accuracy", "gap", "accuracy_gap", "predicted_loss", "prediction_error"),
        *("lambda_max", "lambda_min", "mended_bound", *BOUNDS, "drift_max"),
        *("effective_parameters", "compression_bits", "compressed_train_error"),
        "compressed_test_error",
        *("linearization_error_max", "lazy_index", "lr", "steps_per_second", "seconds"),
    ),
    interval=median_interval,
    more=_of_heads,
)
PROMPTS = Layout(
    named=("variant", "params", "lr_adam", "lr_sgd"),
    figures=(
        *("lambda_min", "lambda_min_over_mean", "condition", "effective_dimension"),
        *("kernel_target_alignment", "label_alignment", "zero_shot_accuracy"),
        *("predicted_accuracy", "predicted_loss", "accuracy_adam", "accuracy_sgd", "loss_adam"),
        *("loss_sgd", "steps_adam", "steps_sgd", "drift_adam", "drift_sgd", "seconds_adam"),
        "seconds_sgd",
    ),
    interval=median_interval,
    more=lambda rows: {"reason": _few(rows)},
)
LANGUAGE = Layout(
    named=("variant", "params", "method", "head", "shapes", "lr"),
    figures=("test_loss", "test_perplexity", "valid_perplexity"),
    interval=mean_interval,
    more=_of_language,
)


def comparisons(record: Record, reference: str, figure: str = ACCURACY) -> list[dict[str, Any]]:
    """Every other variant minus the reference, at the same seeds and the same settings.

    Returns:
        Rows with `settings`, `variant`, `reference`, `figure` and the columns of
        `PairedDifference`, where the comparisons of one setting are a family to Holm; nothing for
        settings without the reference.
    """
    rows = []
    variants = dict.fromkeys((row["settings"], row["variant"]) for row in record.results)
    for settings in dict.fromkeys(settings for settings, _ in variants):
        base = by_seed(record.results, figure, settings=settings, variant=reference)
        family = []
        for variant in (v for s, v in variants if s == settings and v != reference):
            values = by_seed(record.results, figure, settings=settings, variant=variant)
            if values.keys() & base.keys():
                difference = paired_difference(values, base)
                named = {"settings": settings, "variant": variant, "reference": reference}
                family.append(named | {"figure": figure} | difference.as_row())
        adjusted = holm([comparison["wilcoxon_p"] for comparison in family])
        rows += [one | {"holm_p": p} for one, p in zip(family, adjusted, strict=True)]
    return rows


def difference_of(comparison: Mapping[str, Any]) -> PairedDifference:
    """The paired difference in a row of `comparisons`."""
    names = PairedDifference.__dataclass_fields__
    return PairedDifference(**{name: comparison[name] for name in names})


def smaller_and_larger(
    record: Record, method: str = "tensorguide", rival: str = "lora"
) -> list[dict[str, Any]]:
    """Each variant of a method beside each of a rival that trains more parameters, seed by seed.

    Only heads that are added to the projection.

    Args:
        record: of `ntklab train --task wikitext`.
        method: the one of fewer parameters.
        rival: the one of more.

    Returns:
        Rows with `variant`, `rival`, `params`, `rival_params`, `seeds`, `difference` (the first's
        test perplexity less the second's, a mean), `low`, `high` and `sign`.
    """
    added = [row for row in measured_rows(record) if row["head"] == "add"]
    pairs = []
    for (variant,), rows in grouped(added, "variant").items():
        for (other,), others in grouped(added, "variant").items():
            sizes = rows[0]["params"], others[0]["params"]
            methods = rows[0]["method"], others[0]["method"]
            if methods != (method, rival) or sizes[0] >= sizes[1]:
                continue
            x, y = (by_seed(part, "test_perplexity") for part in (rows, others))
            if shared := sorted(x.keys() & y.keys()):
                mean = mean_interval([x[seed] - y[seed] for seed in shared])
                pairs.append(
                    {
                        **{"variant": variant, "rival": other},
                        **{"params": sizes[0], "rival_params": sizes[1], "seeds": len(shared)},
                        **{"difference": mean.value, "low": mean.low, "high": mean.high},
                        "sign": mean.sign,
                    }
                )
    return pairs


def _count(rows: Sequence[Mapping[str, Any]], name: str) -> str | None:
    """For how many of the rows that were judged the answer is yes."""
    judged = [row[name] for row in rows if row.get(name) is not None]
    return f"{sum(map(bool, judged))} of {len(judged)}" if judged else None
