"""Eq. 27: whether the hidden layer of TensorGuide raises the rank of the network's part."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ntklab import Spectrum, build_adapter, spectrum
from ntklab.adapters import Adapter
from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.jacobians.weight_space import weight_kernel
from paper_checks.tensorguide._tasks import drawn_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="eq27",
    title="A nonlinear hidden layer raises the effective rank",
    words="Because of its hidden layer, the network's derivative by the weights that TensorGuide "
    "generates has a larger least singular value than that by LoRA's weights.",
    formula=r"\lambda_{\min}(G_{TG}G_{TG}^\top) > \lambda_{\min}(G_{lora}G_{lora}^\top)",
    confidence="M",
    assumptions=(
        "a nonlinear σ: the public code has none",
        "more samples than features, N > d",
        "one scale for two different weight spaces",
    ),
)
SAMPLE = Sample("quantum dots, Gaussian features", on_quick="Gaussian features")
D, C, M = 24, 2, 48
#: Below, at and above d.
SAMPLES = (12, 20, 24, 28, 36)
ACTIVATIONS = ("identity", "relu")
METHODS = ("LoRA", "TensorGuide, identity", "TensorGuide, relu")


def heads_of(seed: int, preset: str, d: int = D, width: int = M) -> dict[str, Adapter]:
    """LoRA's merged update, and TensorGuide with and without ReLU at the same cores."""
    common: dict[str, Any] = {"preset": preset, "dtype": torch.float64}
    heads: dict[str, Adapter] = {}
    for name in ACTIVATIONS:
        heads[f"TensorGuide, {name}"] = build_adapter(
            *("tensorguide", d, C),
            width=width,
            activation=name,
            generator=torch.Generator().manual_seed(seed),
            **common,
        )
    scale = {"ntk": 1.0, "released": 8.0}[preset]
    heads["LoRA"] = build_adapter("linear-probe", d, C, scale=scale, **common)
    return heads


def weight_spectrum(head: Adapter, features: Tensor) -> Spectrum:
    """Spectrum of G Gᵀ; for LoRA the weights are the merged ΔW, where G is Φ ⊗ I."""
    return spectrum(weight_kernel(head, features))


def trial(seed: int, N: int, preset: str = "ntk", features: Tensor | None = None) -> list[Any]:
    """All heads on one sample, of Gaussian features unless others are given."""
    given = features is not None and features.shape[1] != D
    if features is None:
        generator = torch.Generator().manual_seed(1000 + seed)
        features = torch.randn(N, D, generator=generator, dtype=torch.float64)
    rows, d = [], features.shape[1]
    heads = heads_of(seed, preset, d, 1024) if given else heads_of(seed, preset)
    for method, head in heads.items():
        result = weight_spectrum(head, features)
        rows.append(
            {
                **{"method": method, "preset": preset, "N": N, "seed": seed, "NC": result.size},
                **{"d": d},
                **{"rank": result.rank, "lambda_min": result.lambda_min},
                "over_mean": result.lambda_min / result.mean,
                "participation": result.participation_ratio,
            }
        )
    return rows


def measure(effort: Effort) -> Measured:
    """Ranks and least eigenvalues over N, starts and presets; in full, on quantum dots as well."""
    rows = [
        row
        for preset in ("ntk", "released")
        for N in SAMPLES
        for seed in SAMPLE.seeds(effort)
        for row in trial(seed, N, preset)
    ]
    for N in (256, 560) if effort.full else ():
        for seed in SAMPLE.seeds(effort):
            rows += trial(seed, N, "released", drawn_rows(800, N, seed).train.features)
    return collect(rows)


def collect(rows: Iterable[Mapping[str, Any]]) -> Measured:
    """How often each TensorGuide exceeds LoRA, below and above d."""
    rows = list(rows)
    lora = {_key(row): row for row in rows if row["method"] == "LoRA"}
    values: dict[str, Any] = {}
    for name in ACTIVATIONS:
        guides = [row for row in rows if row["method"] == f"TensorGuide, {name}"]
        for side, there in (("few", False), ("many", True)):
            chosen = [row for row in guides if (row["N"] > row["d"]) is there]
            pairs = [(row, lora[_key(row)]) for row in chosen]
            stem = f"{name}_{side}"
            values |= {
                f"{stem}_pairs": len(pairs),
                f"{stem}_wins": sum(a["over_mean"] > b["over_mean"] for a, b in pairs),
                f"{stem}_raw_wins": sum(a["lambda_min"] > b["lambda_min"] for a, b in pairs),
                f"{stem}_rank_wins": sum(a["rank"] > b["rank"] for a, b in pairs),
            }
    most = max(rows, key=lambda row: (row["N"], row["method"]))
    at = [row for row in rows if _key(row) == _key(most)]
    values |= {"most_N": most["N"], "most_NC": most["NC"], "most_d": most["d"]}
    values |= {f"rank_{_short(row['method'])}": row["rank"] for row in at}
    starts: dict[tuple[Any, ...], set[int]] = {}
    for row in rows:
        starts.setdefault((row["preset"], row["N"], row["d"]), set()).add(row["seed"])
    return Measured(values, rows, min(map(len, starts.values())))


def judge(measured: Measured) -> Finding:
    """OK if both activations win at all N, FALSE if none wins anywhere, else by the condition."""
    v = measured.values
    cells = [(name, side) for name in ACTIVATIONS for side in ("few", "many")]
    shares = {cell: _share(v, *cell) for cell in cells if v[f"{cell[0]}_{cell[1]}_pairs"]}
    counts = "; ".join(f"{_told(*cell)}: {_count(v, *cell)}" for cell in shares)
    if all(share == 1 for share in shares.values()):
        return Finding(
            Verdict.OK, f"Trace-normalised, TensorGuide has the larger λ_min in {counts}."
        )
    if not any(shares.values()):
        return Finding(
            Verdict.FALSE, f"Trace-normalised, TensorGuide never has the larger λ_min: {counts}."
        )
    if all(share == 0 for (name, _), share in shares.items() if name == "identity"):
        rank = (
            f"At N = {v['most_N']} > d = {v['most_d']} the ranks are {v['rank_lora']} for LoRA, "
            f"{v['rank_identity']} without and {v['rank_relu']} with ReLU, of {v['most_NC']}. "
        )
    else:
        rank = ""
    undivided = (
        f" Not divided by the mean, ReLU wins {v['relu_few_raw_wins']} of {v['relu_few_pairs']} at "
        "N ≤ d, and the scales of the two heads decide that."
    )
    return Finding(
        Verdict.REGIME,
        f"{rank}Seeds where TensorGuide has the larger λ_min over its mean: {counts}.{undivided}",
        "With a nonlinear σ the weight-space kernel can keep full rank for N > d, where every "
        "head that is linear in the features is singular; for N ≤ d, or without σ, nothing of the "
        "kind follows.",
        r"\mathrm{rank}\,G G^\top \le C\,\min(N, d)\ \text{if } f \text{ is linear in } \phi",
        brief=f"larger at: {counts}",
    )


def draw(measured: Measured) -> "Figure":
    """λ_min over the mean eigenvalue against N, and the share of all directions that has rank."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing, method_style

    looks = {
        "LoRA": (method_style("lora"), "-"),
        "TensorGuide, identity": (method_style("tensorguide"), ":"),
        "TensorGuide, relu": (method_style("tensorguide"), "-"),
    }
    with drawing(columns=2, height_to_width=0.75):
        figure = Figure()
        left, right = figure.subplots(1, 2)
        for method, (style, line) in looks.items():
            shown = (method, "ntk", D)
            rows = [r for r in measured.rows if (r["method"], r["preset"], r["d"]) == shown]
            sizes = sorted({row["N"] for row in rows})
            look = {"color": style.colour, "marker": style.marker, "linestyle": line}
            lowest = [_median([r["over_mean"] for r in rows if r["N"] == N]) for N in sizes]
            left.plot(sizes, [value or float("nan") for value in lowest], label=method, **look)
            share = [_median([r["rank"] / r["NC"] for r in rows if r["N"] == N]) for N in sizes]
            right.plot(sizes, share, **look)
        left.set_yscale("log")
        left.set_ylabel(r"$\lambda_{min}$ / mean (0 is not shown)")
        right.set_ylabel("rank / NC")
        for axes in (left, right):
            axes.axvline(D, color="#808080", linewidth=0.6)
            axes.set_xlabel("samples N (grey: d)")
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["preset"], row["N"], row["seed"]


def _short(method: str) -> str:
    return method.rsplit(", ", maxsplit=1)[-1].lower()


def _share(values: Mapping[str, Any], name: str, side: str) -> float:
    return float(values[f"{name}_{side}_wins"] / values[f"{name}_{side}_pairs"])


def _told(name: str, side: str) -> str:
    return f"{'ReLU' if name == 'relu' else 'linear'}, N {'>' if side == 'many' else '≤'} d"


def _count(values: Mapping[str, Any], name: str, side: str) -> str:
    return f"{values[f'{name}_{side}_wins']} of {values[f'{name}_{side}_pairs']}"


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        **{
            f"{name}_{side}_{kind}": f"{_told(name, side)}: {words}"
            for name in ACTIVATIONS
            for side in ("few", "many")
            for kind, words in (
                ("pairs", "pairs of seeds"),
                ("wins", "of them with larger λ_min over mean"),
                ("raw_wins", "of them with larger λ_min as it is"),
                ("rank_wins", "of them with larger rank"),
            )
        },
        "most_N": "largest N",
        "most_d": "features there",
        "most_NC": "NC there",
        "rank_lora": "rank there, LoRA",
        "rank_identity": "rank there, TensorGuide linear",
        "rank_relu": "rank there, TensorGuide with ReLU",
    },
    draw=draw,
    caption="Median over seeds of λ_min of GGᵀ over its mean eigenvalue, and its rank, against "
    "the number of samples; d = 24 features, 2 outputs, width 48, Gaussian features.",
    sample=SAMPLE,
)
