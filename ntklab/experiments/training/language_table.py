"""Table 3: methods on a language model's last layer, and what the numbers say of its claim."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ntklab.experiments.training.language_config import FROZEN, TRUNCATED, LanguageConfig
from ntklab.records import Record
from ntklab.statistics import by_seed, mean_interval

CLAIM = "TensorGuide reaches consistently lower perplexity than LoRA at smaller budgets"

WIDTHS = (1, 2, 3, 4)

#: Widths and ranks of heads that replace the projection: the ends show what the rank decides.
REPLACING = (1, 4)

#: TT-ranks of TensorGuide: the released ones, and larger ones.
TT_RANKS = ((1, 2, 2, 1, 1), (1, 8, 8, 4, 1))

#: The others, with the starts that their papers give (LoRA: B = 0).
_RIVALS: tuple[dict[str, Any], ...] = (
    *({"method": "lora", "rank": r, "preset": "paper"} for r in WIDTHS),
    {"method": "tt-lora"},
    {"method": "tt-delta", "rank": 4},
    {"method": "tera"},
)
_FIGURES = ("test_loss", "test_perplexity", "valid_perplexity")


def table3_configs(base: LanguageConfig, seeds: Sequence[int]) -> list[LanguageConfig]:
    """Every run of Table 3, baselines first; rates are left to a search.

    Added to the projection: TensorGuide M = 1..4 over TT-ranks, LoRA r = 1..4, TT-LoRA, TT-delta,
    TeRA. In its place (`replace`): TensorGuide and LoRA at 1 and 4: logits of rank at most M,
    beside the projection itself cut to that rank. The frozen model.

    Args:
        base: texts, updates and device; its method and sizes do not count.
        seeds: of the trained runs.

    Example:
        >>> configs = table3_configs(LanguageConfig.of(method="frozen"), [0])
        >>> len(configs), configs[3].variant
        (22, 'tensorguide M=1 ranks=1,2,2,1,1')
    """
    runs = [base.with_(method=FROZEN)]
    runs += [base.with_(method=TRUNCATED, rank=r) for r in REPLACING]
    guides = [{"width": m, "tt_ranks": ranks} for m in WIDTHS for ranks in TT_RANKS]
    variants = [base.with_(method="tensorguide", **sizes) for sizes in guides]
    variants += [base.with_(**rival) for rival in _RIVALS]
    variants += [base.with_(method="tensorguide", width=m, head="replace") for m in REPLACING]
    variants += [base.with_(head="replace", method="lora", rank=r) for r in REPLACING]
    return runs + [one.with_(seed=seed) for one in variants for seed in seeds]


def language_table(record: Record) -> list[dict[str, Any]]:
    """One row a variant, in the record's order: sizes, rate, and means over seeds with intervals.

    Args:
        record: of `ntklab train --task wikitext`.
    """
    table = []
    for variant, rows in _measured(record).items():
        line = {"variant": variant, "params": rows[0]["params"], "seeds": len(rows)}
        line |= {name: rows[0].get(name) for name in ("method", "head", "shapes", "lr")}
        line["frozen"] = not _trained(rows[0])
        for figure in _FIGURES:
            mean = mean_interval([row[figure] for row in rows])
            line |= {figure: mean.value, f"{figure}_low": mean.low, f"{figure}_high": mean.high}
        below = mean_interval([r["test_perplexity"] - r["baseline_perplexity"] for r in rows])
        line |= {"against_frozen": below.value, "against_frozen_sign": below.sign}
        line["diverged"] = sum(bool(row.get("diverged")) for row in rows)
        table.append(line)
    return table


def claim_comparisons(record: Record) -> list[dict[str, Any]]:
    """Each TensorGuide beside each LoRA that trains more parameters, at the same seeds.

    Only heads that are added to the projection. `difference` is TensorGuide's test perplexity less
    LoRA's: below zero the claim holds of the two.

    Returns:
        Rows with `variant`, `rival`, `params`, `rival_params`, `seeds`, `difference`, `low`,
        `high` and `sign`.
    """
    added = {k: v for k, v in _measured(record).items() if _added(v[0])}
    pairs = []
    for variant, rows in added.items():
        for rival, others in added.items():
            sizes = rows[0]["params"], others[0]["params"]
            if (rows[0]["method"], others[0]["method"]) == ("tensorguide", "lora") and (
                sizes[0] < sizes[1]
            ):
                x, y = (by_seed(part, "test_perplexity") for part in (rows, others))
                shared = sorted(x.keys() & y.keys())
                if shared:
                    mean = mean_interval([x[seed] - y[seed] for seed in shared])
                    pairs.append(
                        {
                            "variant": variant,
                            "rival": rival,
                            "params": sizes[0],
                            "rival_params": sizes[1],
                            "seeds": len(shared),
                            "difference": mean.value,
                            "low": mean.low,
                            "high": mean.high,
                            "sign": mean.sign,
                        }
                    )
    return pairs


def claim_verdict(record: Record) -> str:
    """The sentence that the evidence supports; its first word is yes, no, or undecided.

    `Yes` needs every pair of a smaller TensorGuide and a larger LoRA decided for TensorGuide; one
    pair decided for LoRA makes it `no`; else it is `undecided`.

    Example:
        >>> def world(tensorguide, lora):
        ...     sizes = {"tensorguide": 300, "lora": 50000}
        ...     values = {"tensorguide": tensorguide, "lora": lora}
        ...     rows = [{"task": "wikitext", "method": m, "variant": m, "head": "add", "seed": s,
        ...              "purpose": "measure", "params": sizes[m], "baseline_perplexity": 24.0,
        ...              "test_perplexity": values[m] + s / 100, "reason": None}
        ...             for m in sizes for s in range(3)]
        ...     return claim_verdict(Record("train", {}, {}, rows))
        >>> world(21.0, 22.0).split(":")[0], world(23.0, 22.0).split(":")[0]
        ('Yes', 'No')
    """
    pairs = claim_comparisons(record)
    if not pairs:
        return "Undecided: the record has no TensorGuide beside a LoRA with more parameters."
    signs = [pair["sign"] for pair in pairs]
    lower, higher = signs.count(-1), signs.count(1)
    word = "Yes" if lower == len(signs) else "No" if higher else "Undecided"
    seeds = min(pair["seeds"] for pair in pairs)
    best = {m: _best(record, m) for m in ("tensorguide", "lora")}
    told = "; ".join(
        f"lowest of {name}: {one['test_perplexity']:.2f} ({one['variant']}, {one['params']} "
        "parameters)"
        for name, one in best.items()
    )
    return (
        f"{word}: of {len(pairs)} pairs of a TensorGuide and a LoRA with more parameters, "
        f"TensorGuide's test perplexity is lower in {lower}, higher in {higher}, and not told "
        f"apart in {signs.count(0)} (95 % intervals of paired differences over {seeds} seeds); "
        f"{told}."
    )


def _best(record: Record, method: str) -> dict[str, Any]:
    rows = [{"variant": v, **_mean(rows)} for v, rows in _measured(record).items()]
    added = (row for row in rows if row["method"] == method and row["head"] == "add")
    return min(added, key=lambda row: row["test_perplexity"])


def _mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    perplexity = mean_interval([row["test_perplexity"] for row in rows]).value
    return {**rows[0], "test_perplexity": perplexity}


def baseline_sentence(record: Record) -> str:
    """How many trained variants end below the frozen model, by their intervals."""
    trained = [row for row in language_table(record) if not row["frozen"]]
    groups = []
    for head, words in (("add", "added to the projection"), ("replace", "in its place")):
        rows = [row for row in trained if row["head"] == head]
        if rows:
            signs = [row["against_frozen_sign"] for row in rows]
            groups.append(
                f"{words}, {signs.count(-1)} of {len(rows)} variants end below the frozen model's "
                f"perplexity and {signs.count(1)} above it"
            )
    return f"{'; '.join(groups)}.".capitalize()


def searched_rates(record: Record) -> list[dict[str, Any]]:
    """The searches: variant, rate, and the least validation perplexity that it reached."""
    return list(_searches(record))


def _searches(record: Record) -> Iterator[dict[str, Any]]:
    for row in record.results:
        if row.get("purpose") == "search":
            yield {name: row.get(name) for name in ("variant", "lr", "valid_perplexity")}


def _measured(record: Record) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in record.results:
        if row.get("purpose") == "measure":
            found.setdefault(row["variant"], []).append(row)
    return found


def _trained(row: Mapping[str, Any]) -> bool:
    return row["method"] not in (FROZEN, TRUNCATED)


def _added(row: Mapping[str, Any]) -> bool:
    return _trained(row) and row["head"] == "add"
