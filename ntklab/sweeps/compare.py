"""Methods beside each other: medians over seeds with bootstrap intervals."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ntklab.statistics import median_interval

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
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row.get("core") is None:  # a part of a kernel is no further draw of it
            groups.setdefault(tuple(row.get(name) for name in GROUP), []).append(row)
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
