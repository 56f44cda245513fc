"""Eq. 24: whether LoRA's derivative loses rank, and whether that is LoRA's alone."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
import torch

from ntklab import Spectrum, TensorGuide, build_adapter, jacobian, spectrum
from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.tensor_train import exact_nullity
from ntklab.tensor_train.exact_nullity import modular_rank

CLAIM = Claim(
    id="eq24",
    title="LoRA's derivative is rank deficient",
    words="The derivative of BA by A and B has a rank of about r, so the least eigenvalue of its "
    "Gram matrix is about zero, and therefore that of LoRA's kernel.",
    formula=r"\mathrm{rank}\,J_{lora} \sim r \;\Rightarrow\; "
    r"\lambda_{\min}(J_{lora}J_{lora}^\top) \approx 0",
    confidence="M",
    assumptions=(
        "r below both dimensions of the matrix, or B = 0; the paper's own experiment has r = 4 "
        "and C = 2",
        "that another method's derivative does not lose rank as well",
    ),
)
SAMPLE = Sample(
    "random starts at the paper's sizes",
    quick=2,
    why="The derivative of the update by the parameters sees no data.",
)
OWN = "quantum dot, as released"
#: name, d, C, r, preset
SETTINGS = (
    (OWN, 512, 2, 4, "released"),
    ("quantum dot, B = 0", 512, 2, 4, "paper"),
    ("64 features, 10 outputs", 64, 10, 4, "released"),
)


def exact_lora_rank(d: int, C: int, r: int, *, zero: bool = False) -> int:
    """Rank of [B ⊗ I | I ⊗ Aᵀ] at random integers, without rounding; with B = 0 if asked."""
    rng = np.random.default_rng(0)
    A = rng.integers(1, 1 << 60, size=(r, d), dtype=np.uint64)
    B = rng.integers(1, 1 << 60, size=(C, r), dtype=np.uint64) * np.uint64(not zero)
    by_a = np.kron(B, np.eye(d, dtype=np.uint64))
    return modular_rank(np.hstack([by_a, np.kron(np.eye(C, dtype=np.uint64), A.T)]))


def merged(
    method: str, d: int, C: int, preset: str, seed: int, **sizes: Any
) -> tuple[Spectrum, Any]:
    """Spectrum of the Gram matrix of ∂ΔW/∂θ: the kernel on the d unit vectors as features."""
    head = build_adapter(
        *(method, d, C),
        preset=preset,
        generator=torch.Generator().manual_seed(seed),
        dtype=torch.float64,
        **sizes,
    )
    return spectrum(jacobian(head, torch.eye(d, dtype=torch.float64))), head


def rows_of(
    name: str, d: int, C: int, r: int, preset: str, seeds: Sequence[int] = range(1)
) -> list[dict[str, Any]]:
    """One setting: LoRA by singular values and exactly, TensorGuide in both weight spaces."""
    spectra, heads = zip(
        *(merged("lora", d, C, preset, seed, rank=r) for seed in seeds), strict=True
    )
    lora = heads[0]
    common = {"setting": name, "d": d, "C": C, "r": r, "own": name == OWN}
    exact = exact_lora_rank(d, C, r, zero=not lora.B.detach().any())
    rows = [
        common | _row("LoRA", "ΔW", d * C, lora.parameter_count, spectra, exact),
    ]
    width = 1024 if d == 512 else 64
    start = preset if preset != "paper" else "ntk"
    sizes: dict[str, Any] = {"width": width, "activation": "identity"}
    spectra, heads = zip(
        *(merged("tensorguide", d, C, start, seed, **sizes) for seed in seeds), strict=True
    )
    guide = heads[0]
    assert isinstance(guide, TensorGuide)
    P, D = guide.parameter_count, guide.shape.out_size
    rows.append(common | _row("TensorGuide", "ΔW", d * C, P, spectra, None))
    rank = P - exact_nullity(guide.shape)
    own = {"method": "TensorGuide", "space": "[W1; W2]", "rows": D, "P": P, "rank": rank}
    decided = {"exact_rank": rank, "lambda_min": 0.0 if rank < D else None, "mean": None}
    decided |= {"seeds": None, "agreeing": None}
    return [*rows, common | own | decided]


def _row(
    method: str, space: str, size: int, P: int, spectra: Sequence[Spectrum], exact: int | None
) -> dict[str, Any]:
    """Medians over starts; the rank is the least, with how many starts have it."""
    rank = min(one.rank for one in spectra)
    return {
        **{"method": method, "space": space, "rows": size, "P": P, "rank": rank},
        **{"seeds": len(spectra), "agreeing": sum(one.rank == rank for one in spectra)},
        **{"exact_rank": exact, "lambda_min": median(one.lambda_min for one in spectra)},
        "mean": median(one.mean for one in spectra),
    }


def kernel_despite(d: int, C: int, r: int, N: int, seed: int = 0) -> float:
    """λ_min(K)/mean of LoRA on N samples, with r below C so that its derivative is singular."""
    generator = torch.Generator().manual_seed(seed)
    head = build_adapter("lora", d, C, rank=r, generator=generator, dtype=torch.float64)
    features = torch.randn(N, d, generator=generator, dtype=torch.float64)
    result = spectrum(jacobian(head, features))
    return result.lambda_min / result.mean


def measure(effort: Effort) -> Measured:
    """Ranks and least eigenvalues of both methods' derivatives, setting by setting."""
    seeds = SAMPLE.seeds(effort)
    rows = [row for setting in SETTINGS for row in rows_of(*setting, seeds)]
    return collect(rows, [kernel_despite(64, 10, 4, 4, seed) for seed in seeds])


def collect(rows: Iterable[Mapping[str, Any]], despite: Sequence[float]) -> Measured:
    """The deciding numbers: the paper's own setting, and how the two methods fare elsewhere."""
    rows = list(rows)
    lora = [row for row in rows if row["method"] == "LoRA"]
    guide = [row for row in rows if row["method"] != "LoRA" and row["space"] == "[W1; W2]"]
    own = next(row for row in lora if row["own"])
    beside = next((r for r in rows if r["own"] and r not in (own, *guide)), None)
    return Measured(
        {
            "own_rank": own["rank"],
            "own_rows": own["rows"],
            "own_r": own["r"],
            "own_lambda_min": own["lambda_min"],
            "own_over_mean": own["lambda_min"] / own["mean"] if own["mean"] else None,
            "guide_over_mean": beside["lambda_min"] / beside["mean"] if beside else None,
            "lora_singular": sum(row["rank"] < row["rows"] for row in lora),
            "guide_singular": sum(row["rank"] < row["rows"] for row in guide),
            "settings": len(lora),
            "exact_disagrees": sum(
                r["exact_rank"] not in (None, r["rank"]) or r["agreeing"] != r["seeds"]
                for r in rows
            ),
            "kernel_despite": median(despite),
            "kernels_despite": sum(value > 0 for value in despite),
        },
        rows,
        min(row["seeds"] for row in rows if row["seeds"]),
    )


def judge(measured: Measured) -> Finding:
    """By the paper's own setting first, then by whether the loss of rank is LoRA's alone."""
    v = measured.values
    mended = (
        "The derivative of BA has rank dC − (d − r)(C − r) for r below both dimensions and dC "
        "otherwise (less at B = 0), so it is singular only below; every generator with fewer "
        "directions than weights, TensorGuide among them, is singular in its weight space too. "
        "Nothing follows for the kernel, which needs NC independent rows and not dC."
    )
    formula = r"\mathrm{rank}\,J_{lora} = dC - (d-r)_+(C-r)_+"
    tail = (
        f" Of {v['settings']} settings the derivative is singular in {v['lora_singular']} for "
        f"LoRA and in {v['guide_singular']} for TensorGuide."
    )
    if v["own_rank"] == v["own_rows"]:
        return Finding(
            Verdict.FALSE,
            f"In the paper's own setting the derivative has rank {v['own_rank']} of "
            f"{v['own_rows']} at every one of {measured.seeds} starts, not about r = "
            f"{v['own_r']}, and its least eigenvalue is {v['own_lambda_min']:.2g}, "
            f"{v['own_over_mean']:.2g} of the mean (TensorGuide's, by the same weights: "
            f"{v['guide_over_mean']:.2g}; medians).{tail} And where it is singular (r = 4, "
            f"C = 10), the kernel on 4 samples still has λ_min > 0 at {v['kernels_despite']} of "
            f"them, {v['kernel_despite']:.2g} of its mean in the median.",
            mended,
            formula,
        )
    if v["lora_singular"] < v["settings"]:
        return Finding(
            Verdict.REGIME,
            f"In the paper's own setting the rank is {v['own_rank']} of {v['own_rows']}.{tail}",
            mended,
            formula,
        )
    if v["guide_singular"]:
        return Finding(
            Verdict.VACUOUS,
            f"LoRA's derivative is singular everywhere, but this tells no difference.{tail}",
            mended,
            formula,
        )
    return Finding(
        Verdict.OK,
        f"The rank is {v['own_rank']} of {v['own_rows']} in the paper's own setting.{tail}",
    )


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "own_rank": "rank of LoRA's derivative in the paper's setting, least over starts",
        "own_rows": "of at most (dC)",
        "own_r": "r",
        "own_lambda_min": "least eigenvalue of its Gram matrix, median",
        "own_over_mean": "the same over the mean eigenvalue",
        "guide_over_mean": "TensorGuide's there, by ΔW as well, over its mean",
        "lora_singular": "settings where LoRA's derivative is singular",
        "guide_singular": "settings where TensorGuide's is, in its weights W1 and W2",
        "settings": "settings",
        "exact_disagrees": "ranks that exact arithmetic or another start contradicts",
        "kernel_despite": "λ_min over mean of LoRA's kernel, r = 4, C = 10, 4 samples, median",
        "kernels_despite": "starts at which it is positive",
    },
    columns={
        **{"setting": "setting", "method": "method", "space": "weights", "rows": "weights, number"},
        **{"P": "P", "rank": "rank, least", "agreeing": "starts with it", "seeds": "starts"},
        **{"exact_rank": "rank, exact", "lambda_min": "λ_min, median", "mean": "mean λ, median"},
    },
    sample=SAMPLE,
)
