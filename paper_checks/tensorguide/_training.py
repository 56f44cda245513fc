"""Paired differences of committed training records, and their outcome."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from ntklab.claims.claim import Effort, Verdict
from ntklab.errors import InputError
from ntklab.experiments.training.table import comparisons, difference_of
from ntklab.records import Record
from ntklab.statistics import by_seed

STANDS, FALLS, OPEN = "stands", "falls", "undecided"
NO_GPU = "not yet measured on GPU"
ABSENT = "There is no training record here, so nothing is said of training."

ROW_LABELS = {
    **{"settings": "settings", "variant": "variant", "params": "P"},
    **{"params_with_conv1": "P with conv1", "seeds": "seeds", "mean": "mean"},
    **{"difference": "minus the reference", "low": "95 %, low", "high": "95 %, high"},
    **{"wins": "wins", "losses": "losses", "ties": "ties", "p": "Wilcoxon p", "p_holm": "p (Holm)"},
    **{"effect_size": "d_z", "says": "says"},
}


@dataclass(frozen=True)
class Comparison:
    """A claim on variants beside a reference, and the record in which they were trained.

    Attributes:
        record: its name among the committed records.
        reference: the variant that the others stand against.
        wanted: variant → "more" or "less", what the claim says of its accuracy.
        against: the reference in words.
        condition: when the claim would stand and when it would fall.
    """

    record: str
    reference: str
    wanted: Mapping[str, str]
    against: str
    condition: str

    def read(self, effort: Effort) -> Record | None:
        """The record, or None where there is none."""
        return effort.record(self.record)


def outcome_labels(
    statistics: Mapping[str, str] | None = None, said: str = "the claim"
) -> dict[str, str]:
    """Labels of what every comparison measures, in the order of the report.

    Args:
        statistics: labels of what decided, between the seeds and the outcomes.
        said: what stands or falls under each setting.
    """
    return {
        "recorded_seeds": "seeds in the training record",
        **(statistics or {}),
        "outcome_matched": f"matched settings: {said}",
        "outcome_released": f"released settings: {said}",
        "resolution": "widest half interval of a difference in accuracy",
        "device": "device of the record",
        "gpu": "GPU",
    }


def difference_rows(record: Record, reference: str, figure: str) -> list[dict[str, Any]]:
    """Every variant beside the reference at the same settings and seeds, a row each.

    `says` is "more" or "less" where the 95 % bootstrap interval of the mean difference leaves
    zero out and Wilcoxon's p, adjusted by Holm over the comparisons of one setting, is below
    0.05; else "no difference seen".
    """
    differences = comparisons(record, reference, figure)
    beside = {(one["settings"], one["variant"]): one for one in differences}
    rows = []
    for settings, variant in _variants(record):
        values = by_seed(record.results, figure, settings=settings, variant=variant)
        if not values:
            continue
        row = _described(record, settings, variant) | {"mean": fmean(values.values())}
        row |= {"figure": figure, "seeds": len(values), "reference": variant == reference}
        rows.append(row | _told(beside.get((settings, variant))))
    return rows


def _told(one: Mapping[str, Any] | None) -> dict[str, Any]:
    if one is None:
        names = ("difference", "low", "high", "wins", "losses", "ties", "p", "p_holm")
        return dict.fromkeys((*names, "effect_size")) | {"says": "the reference"}
    word = {0: "no difference seen", 1: "more", -1: "less"}[difference_of(one).decided]
    return {
        **{"difference": one["mean"], "low": one["mean_low"], "high": one["mean_high"]},
        **{"wins": one["wins"], "losses": one["losses"], "ties": one["ties"]},
        **{"p": one["wilcoxon_p"], "p_holm": one["holm_p"]},
        **{"effect_size": one["effect_size"], "says": word},
    }


def outcome(rows: Iterable[Mapping[str, Any]], wanted: Mapping[str, str]) -> dict[str, str]:
    """By settings: whether all variants named in `wanted` say the word wanted of them.

    Args:
        rows: of `difference_rows`, of one or more figures.
        wanted: variant → "more" or "less", what the claim says it is against the reference.

    Returns:
        "stands" if all say so, "falls" if one says the opposite, else "undecided".
    """
    by_settings: dict[str, list[int]] = {}
    for row in rows:
        if row["variant"] in wanted:
            sign = {"more": 1, "less": -1}.get(row["says"], 0)
            right = 1 if wanted[row["variant"]] == "more" else -1
            by_settings.setdefault(row["settings"], []).append(sign * right)
    return {
        settings: STANDS if min(signs) > 0 else FALLS if min(signs) < 0 else OPEN
        for settings, signs in by_settings.items()
    }


def recorded_verdict(values: Mapping[str, Any]) -> Verdict:
    """The verdict by the outcomes among these values; DATA without a record."""
    return verdict_of(outcomes_in(values)) if values["recorded"] else Verdict.DATA


def verdict_of(outcomes: Mapping[str, str]) -> Verdict:
    """From the outcomes of all settings to a word.

    OK if it stands in all; FALSE if it falls somewhere and stands nowhere; REGIME if it stands
    under some settings and falls under others; DATA while the seeds do not say.
    """
    words = set(outcomes.values())
    if words == {STANDS}:
        return Verdict.OK
    if FALLS in words:
        return Verdict.REGIME if STANDS in words else Verdict.FALSE
    return Verdict.DATA


def outcome_values(outcomes: Mapping[str, str]) -> dict[str, Any]:
    """As flat values, `outcome_<settings>`."""
    return {f"outcome_{settings}": word for settings, word in outcomes.items()}


def outcomes_in(values: Mapping[str, Any]) -> dict[str, str]:
    """Back from flat values."""
    stem = "outcome_"
    return {name.removeprefix(stem): v for name, v in values.items() if name.startswith(stem)}


def resolution(rows: Iterable[Mapping[str, Any]]) -> float | None:
    """The widest half interval: differences below it could not have been seen by all."""
    halves = [(row["high"] - row["low"]) / 2 for row in rows if row["low"] is not None]
    return max(halves, default=None)


def provenance_values(record: Record | None) -> dict[str, Any]:
    """Where the runs were made, and that no GPU has."""
    if record is None:
        return {"recorded": False, "device": None, "gpu": NO_GPU}
    device = str(record.provenance.get("device", "unknown"))
    seeds = len({row.get("seed") for row in record.results})
    gpu = "yes" if device.startswith("cuda") else NO_GPU
    backbone = any(row.get("end_to_end") for row in record.results)
    return {
        **{"recorded": True, "device": device, "gpu": gpu, "recorded_seeds": seeds},
        "runs": "through the backbone" if backbone else "frozen features, conv1 not trained",
    }


def runs_text(values: Mapping[str, Any]) -> str:
    """The kind of runs, in words."""
    if not values["recorded"]:
        return f"GPU: {values['gpu']}."
    return f"Runs: {values['runs']}, {values['device']}; GPU: {values['gpu']}."


def sentence(row: Mapping[str, Any], *, percent: bool = True) -> str:
    """One comparison in short: difference, interval, corrected p."""
    mean, low, high = (
        f"{100 * row[name]:+.1f}" if percent else f"{row[name]:+.3f}"
        for name in ("difference", "low", "high")
    )
    unit = " points" if percent else ""
    name = row["variant"].split()[-1].replace("=", " = ")
    return f"{name} {mean}{unit} [{low}, {high}], p = {row['p_holm']:.2g}"


def statistics_text(
    rows: Sequence[Mapping[str, Any]], chosen: Iterable[str], *, percent: bool = True
) -> str:
    """The chosen comparisons, setting by setting; of many, those that decide."""
    wanted = set(chosen)
    parts = []
    for settings in dict.fromkeys(row["settings"] for row in rows):
        differences = [
            row
            for row in rows
            if row["settings"] == settings and row["variant"] in wanted and row["low"] is not None
        ]
        shown = [
            row for row in differences if len(differences) <= 3 or row["says"] in ("more", "less")
        ]
        words = [sentence(row, percent=percent) for row in shown]
        if len(shown) < len(differences):
            words.append(_open_text([row for row in differences if row not in shown], percent))
        if words:
            parts.append(f"{settings}: {'; '.join(words)}")
    return ". ".join(parts)


def _open_text(rows: Sequence[Mapping[str, Any]], percent: bool) -> str:
    means = [row["difference"] * (100 if percent else 1) for row in rows]
    places = ".1f" if percent else ".3f"
    ends = f"{min(means):+{places}} to {max(means):+{places}}"
    return f"no difference seen for {len(rows)}, their means from {ends}"


def outcome_text(outcomes: Mapping[str, str]) -> str:
    """Which settings said what."""
    if not outcomes:
        return "no setting has the variants compared"
    return ", ".join(f"{word} under {settings} settings" for settings, word in outcomes.items())


def _described(record: Record, settings: str, variant: str) -> dict[str, Any]:
    row = next(
        r for r in record.results if (r.get("settings"), r.get("variant")) == (settings, variant)
    )
    names = ("params", "params_with_conv1", "effective_width", "width", "tt_ranks")
    return {"settings": settings, "variant": variant} | {name: row.get(name) for name in names}


def _variants(record: Record) -> list[tuple[str, str]]:
    pairs = [(row.get("settings"), row.get("variant")) for row in record.results]
    if any(None in pair for pair in pairs):
        raise InputError("a row of the record names no settings or no variant.")
    return list(dict.fromkeys(pairs))  # type: ignore[arg-type]
