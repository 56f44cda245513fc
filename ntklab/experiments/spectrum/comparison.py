"""Methods beside each other: medians over seeds with bootstrap intervals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ntklab.records import Record
from ntklab.statistics import PairedDifference, holm, median_interval, paired_difference

#: The output of the rows of `--weighted`.
WEIGHTED = "softmax-weighted"

#: Rows that agree on these differ in their seed alone.
GROUP = (
    *("task", "data_condition", "preset", "samples", "centred", "method"),
    *("width", "effective_width", "tt_ranks", "params", "outputs", "rank_bound"),
)

#: The figures that a comparison shows unless told.
FIGURES = (
    *("rank", "lambda_max", "lambda_min", "lambda_min_nonzero", "lambda_min_nonzero_over_mean"),
    *("condition", "trace", "effective_dimension", "kernel_target_alignment", "label_residual"),
    "seconds",
)

#: The figures whose differences are tested: one family, so few.
TESTED = (
    *("rank", "lambda_max", "lambda_min", "lambda_min_nonzero_over_mean", "condition"),
    "kernel_target_alignment",
)

_SETTING = ("task", "data_condition", "preset", "samples", "centred")


def compare(
    rows: Iterable[Mapping[str, Any]], figures: Sequence[str] = FIGURES
) -> list[dict[str, Any]]:
    """One row a group of rows that differ in their seed alone.

    Args:
        rows: of a spectrum record.
        figures: what to take medians of.

    Returns:
        For each group, in order of appearance: the fields of `GROUP`, `seeds`, and for each
        figure `<figure>`, `<figure>_low`, `<figure>_high` (95 % bootstrap), with a `reason`.

    Example:
        >>> rows = [{"method": "lora", "rank": r} for r in (3, 4, 5)]
        >>> compare(rows, ["rank"])[0]["rank"]
        4.0
    """
    groups = _groups(rows)
    compared = []
    for key, members in groups.items():
        line = dict(zip(GROUP, key, strict=True)) | {"seeds": len(members)}
        reasons: dict[str, list[str]] = {}
        for figure in figures:
            median = median_interval([row.get(figure) for row in members])
            line |= {figure: median.value}
            line |= {f"{figure}_low": median.low, f"{figure}_high": median.high}
            if median.reason:
                reasons.setdefault(median.reason, []).append(figure)
        sentences = [f"{reason} ({', '.join(names)})" for reason, names in reasons.items()]
        compared.append(line | {"reason": "; ".join(sentences) or None})
    return compared


def differences(
    rows: Iterable[Mapping[str, Any]], figures: Sequence[str] = TESTED
) -> list[dict[str, Any]]:
    """Every group less the first of its setting, seed by seed, with a paired test.

    Args:
        rows: of a spectrum record.
        figures: whose differences are tested.

    Returns:
        For each group but the first of its data and preset, and each figure that both have at a
        shared seed: the fields of `GROUP`, `against` (the first group's method), `figure`, and
        the columns of `PairedDifference`; p-values by Holm over all rows of one setting.

    Example:
        >>> rows = [{"method": m, "seed": s, "rank": 3 * s + r}
        ...         for s in range(3) for m, r in (("lora", 1), ("tera", 2))]
        >>> row = differences(rows, ["rank"])[0]
        >>> row["method"], row["against"], row["mean"], row["wins"], row["losses"]
        ('tera', 'lora', 1.0, 3, 0)
    """
    settings: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    groups = _groups(rows)
    for key in groups:
        settings.setdefault(key[: len(_SETTING)], []).append(key)
    tested = []
    for first, *others in settings.values():
        family = [
            (key, figure, pair)
            for key in others
            for figure in figures
            if (pair := _paired(groups[key], groups[first], figure)) is not None
        ]
        adjusted = holm([pair.wilcoxon_p for _, _, pair in family])
        against = dict(zip(GROUP, first, strict=True))["method"]
        for (key, figure, pair), p in zip(family, adjusted, strict=True):
            named = dict(zip(GROUP, key, strict=True)) | {"against": against, "figure": figure}
            judged = replace(pair, holm_p=p)
            tested.append(named | judged.as_row() | {"decided": judged.decided})
    return tested


def _groups(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[Any, ...], list[Mapping[str, Any]]]:
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row.get("core") is None:  # a part of a kernel is no further draw of it
            groups.setdefault(tuple(row.get(name) for name in GROUP), []).append(row)
    return groups


def _paired(
    members: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]], figure: str
) -> PairedDifference | None:
    values, compared = (
        {row["seed"]: float(row[figure]) for row in group if row.get(figure) is not None}
        for group in (members, others)
    )
    if not values.keys() & compared.keys():
        return None
    # Differences below 1e-12 count as ties, which suits shares; eigenvalues may be smaller.
    scale = max(map(abs, (*values.values(), *compared.values()))) or 1.0
    pair = paired_difference(
        *({k: v / scale for k, v in one.items()} for one in (values, compared))
    )
    ends = ("mean", "mean_low", "mean_high", "median", "median_low", "median_high")
    changed: dict[str, Any] = {
        end: None if getattr(pair, end) is None else scale * getattr(pair, end) for end in ends
    }
    return replace(pair, **changed)


def without_weighted(record: Record) -> Record:
    """The record without the rows of `--weighted`, which are of another kernel."""
    return replace(record, results=[row for row in record.results if row["output"] != WEIGHTED])


def compared(record: Record) -> Record:
    """The record of the comparison over seeds."""
    rows = compare(without_weighted(record).results)
    return Record("compare", record.config, record.provenance, rows)
