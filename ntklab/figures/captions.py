"""Words that captions share: sizes and seeds, what a band is, where numbers come from."""

from collections.abc import Iterable, Mapping
from typing import Any

from ntklab.records import Record

_SPREAD = "medians over {seeds} seeds with quartiles"
_ONE = "one seed, so no interval"


def interval(seeds: int) -> str:
    """A sentence that explains lines and bands.

    Example:
        >>> interval(5), interval(1)
        ('medians over 5 seeds with quartiles', 'one seed, so no interval')
    """
    return _ONE if seeds == 1 else _SPREAD.format(seeds=seeds)


def seeds_of(record: Record) -> int:
    """How many seeds a record holds."""
    return len({row["seed"] for row in record.results if row.get("seed") is not None})


def sizes_of(record: Record) -> str:
    """Task, N and seeds of a record of kernels.

    Example:
        >>> rows = [{"task": "t", "samples": 8, "outputs": 16, "seed": s} for s in (0, 1)]
        >>> sizes_of(Record("spectrum", {}, {}, rows))
        't, N = 8 samples (N·C = 16), medians over 2 seeds with quartiles'
    """
    row: Mapping[str, Any] = record.results[0]
    outputs = f" (N·C = {row['outputs']})" if row.get("outputs") is not None else ""
    samples = record.config.get("samples") or row.get("samples")
    return f"{row['task']}, N = {samples} samples{outputs}, {interval(seeds_of(record))}"


def sources(records: Mapping[str, Record]) -> str:
    """Which records a figure was drawn from, and with what they were made: one sentence each.

    Example:
        >>> made = {"commit": "ab8b61956f38", "dirty": False, "started": "2026-01-02T03:04"}
        >>> sources({"bounds": Record("bounds", {}, made, [])})
        'Record: `bounds` (ntklab bounds, commit ab8b619, 2026-01-02).'
    """
    named: Iterable[str] = (f"`{name}` ({_made(record)})" for name, record in records.items())
    word = "Record" if len(records) == 1 else "Records"
    return f"{word}: {', '.join(named)}."


def _made(record: Record) -> str:
    made = record.provenance
    commit = made.get("commit")
    parts = [f"ntklab {record.command}"]
    if commit:
        parts.append(f"commit {commit[:7]}" + (" with changes" if made.get("dirty") else ""))
    if made.get("started"):
        parts.append(made["started"][:10])
    return ", ".join(parts)
