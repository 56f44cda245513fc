"""The least eigenvalues of two methods' kernels, setting by setting, that eqs 13 and 29 compare."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from ntklab import build_adapter
from ntklab.adapters import Adapter, method_named
from ntklab.bounds import best_rates, in_gauge
from ntklab.jacobians import jacobian
from ntklab.spectra import Spectrum, spectrum
from ntklab.spectra.rational import (
    Rational,
    characteristic_polynomial,
    least_eigenvalue,
    rational_gram,
)
from ntklab.statistics import median_interval, sign_test
from ntklab.tensor_train.exact_nullity import PRIME, modular_rank
from paper_checks.tensorguide._tasks import drawn_rows

GAUSSIAN = "gaussian"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting in which kernels are compared; a seed then decides every draw.

    Attributes:
        label: what the report calls it.
        regime: of theory P7, in words.
        task: "gaussian", isotropic features drawn by the seed, or a task of ntklab.
        features: d of Gaussian features.
        outputs: C of Gaussian features.
        samples: N.
        preset: how both methods start.
        rank: r of LoRA.
        width: M of TensorGuide.
        tt_ranks: of TensorGuide; planned if None.
        activation: σ of TensorGuide; the preset's if None.
        images: of a simulated task.
        gauge: "given", "equal-norm", "canonical", or "best" (over all scalings of the bonds).
    """

    label: str
    regime: str
    task: str = GAUSSIAN
    features: int = 16
    outputs: int = 2
    samples: int = 8
    preset: str = "ntk"
    rank: int = 4
    width: int = 16
    tt_ranks: tuple[int, ...] | None = None
    activation: str | None = None
    images: int | None = None
    gauge: str = "given"

    def inputs(self, seed: int) -> tuple[Tensor, int]:
        """Features (N, d) and C."""
        if self.task == GAUSSIAN:
            source = Generator().manual_seed(10_000 + seed)
            size = self.samples, self.features
            return torch.randn(*size, generator=source, dtype=torch.float64), self.outputs
        task = drawn_rows(self.images, self.samples, seed, task=self.task)
        return task.train.features, task.n_classes

    def adapter(self, method: str, features: int, outputs: int, seed: int) -> Adapter:
        """The method at its start; sizes that it has no use for are left out."""
        sizes: dict[str, Any] = {"rank": self.rank, "width": self.width}
        sizes |= {"tt_ranks": self.tt_ranks, "activation": self.activation}
        uses = method_named(method).uses
        return build_adapter(
            method,
            features,
            outputs,
            preset=self.preset,
            generator=Generator().manual_seed(seed),
            dtype=torch.float64,
            **{name: value for name, value in sizes.items() if name in uses},
        )


@dataclass(frozen=True)
class Least:
    """The foot of one kernel's spectrum.

    Attributes:
        rank: of K.
        size: N·C.
        over_mean: λ_min over the mean eigenvalue, 0.0 for singular K.
        decided: whether the rank stands clear of rounding.
    """

    rank: int
    size: int
    over_mean: float
    decided: bool

    @classmethod
    def of(cls, result: Spectrum) -> "Least":
        """Of a spectrum."""
        over = result.lambda_min / result.mean if result.mean > 0 else 0.0
        return cls(result.rank, result.size, over, result.rank_decided)


def least(adapter: Adapter, features: Tensor, gauge: str = "given") -> Least:
    """λ_min/mean of an adapter's kernel in a gauge; singular kernels stay so in every gauge."""
    plain = Least.of(spectrum(jacobian(adapter, features)))
    if gauge == "given" or plain.rank < plain.size:
        return plain
    if gauge == "best":
        best = best_rates(jacobian(adapter, features).core_grams(), tolerance=1e-2)
        return Least(plain.rank, plain.size, best.primal, plain.decided)
    return Least.of(spectrum(jacobian(in_gauge(adapter, gauge), features)))


def compared(
    setting: Setting,
    seeds: Sequence[int],
    *,
    method: str = "tensorguide",
    other: str = "lora",
) -> dict[str, Any]:
    """Two methods in one setting: a row with ranks, medians, and at how many seeds which is larger.

    Returns:
        For the method and (prefix `other_`) the other one: `rank` (the largest over seeds),
        `least`, `low`, `high` (median, least and greatest λ_min/mean) and, for Gaussian settings,
        `exact_rank` by integers. `size` = N·C; `wins` (seeds where λ_min of the method is larger),
        `losses`, `ties` and `p_value` of the sign test; how many seeds have a kernel of the method
        that is `singular`, or that is nonsingular while the other's is singular (`by_rank`), and
        how many of the latter it wins (`by_rank_wins`); `decided`: all ranks are clear of rounding.
    """
    by_method: dict[str, list[Least]] = {method: [], other: []}
    for seed, name in product(seeds, by_method):
        x, outputs = setting.inputs(seed)
        adapter = setting.adapter(name, x.shape[1], outputs, seed)
        by_method[name].append(least(adapter, x, setting.gauge))
    row: dict[str, Any] = {"regime": setting.regime, "setting": setting.label}
    row |= {"preset": setting.preset, "gauge": setting.gauge, "seeds": len(seeds)}
    size = by_method[method][0].size
    row |= {"size": size, "outputs": size // setting.samples}
    row |= {"samples": setting.samples}
    for prefix, name in (("", method), ("other_", other)):
        values = [one.over_mean for one in by_method[name]]
        row |= {f"{prefix}method": name, f"{prefix}rank": max(one.rank for one in by_method[name])}
        row |= {f"{prefix}least": median_interval(values).value}
        row |= {f"{prefix}low": min(values), f"{prefix}high": max(values)}
        exact = setting.task == GAUSSIAN
        row |= {f"{prefix}exact_rank": exact_rank(setting, name) if exact else None}
    row["decided"] = all(one.decided for ones in by_method.values() for one in ones)
    row |= _sides(by_method[method], by_method[other])
    return row | sign_test(_rows(by_method, seeds), "over_mean", method, other)


def _sides(ours: Sequence[Least], theirs: Sequence[Least]) -> dict[str, int]:
    """At how many seeds the ranks decide, and for whom."""
    pairs = list(zip(ours, theirs, strict=True))
    by_rank = [(a, b) for a, b in pairs if a.rank == a.size and b.rank < b.size]
    return {
        "singular": sum(a.rank < a.size for a in ours),
        "by_rank": len(by_rank),
        "by_rank_wins": sum(a.over_mean > b.over_mean for a, b in by_rank),
    }


def exact_rank(setting: Setting, method: str, seed: int = 0) -> int:
    """Rank of K at random integers in place of weights, latent and features: no tolerance decides.

    Zeros stay zero, so LoRA's B = 0 is kept. The Jacobian of integers is one of integers, computed
    without rounding, and its rank modulo 2⁶¹ − 1 is that over ℚ but for a chance of about 1e-15.
    """
    source = Generator().manual_seed(seed)
    x = _integers((setting.samples, setting.features), source)
    adapter = setting.adapter(method, setting.features, setting.outputs, seed)
    adapter.scale = 1.0
    with torch.no_grad():
        for tensor in (*adapter.parameters(), *adapter.buffers()):
            tensor.copy_(_integers(tuple(tensor.shape), source) * (tensor != 0))
    J = jacobian(adapter, x).dense()
    if not bool((J.round() == J).all()) or float(J.abs().max()) >= 2**53:
        raise ArithmeticError(f"the Jacobian of {method} at integers was rounded")
    residues = np.array([[int(v) % PRIME for v in row] for row in J.tolist()], dtype=np.uint64)
    return modular_rank(residues)


def _integers(size: tuple[int, ...], source: Generator) -> Tensor:
    return torch.randint(1, 10, size, generator=source).double() * (
        torch.randint(0, 2, size, generator=source) * 2 - 1
    )


def _rows(by_method: dict[str, list[Least]], seeds: Iterable[int]) -> list[dict[str, Any]]:
    return [
        {"method": name, "seed": seed, "over_mean": one.over_mean}
        for name, ones in by_method.items()
        for seed, one in zip(seeds, ones, strict=True)
    ]


@dataclass(frozen=True)
class ExactKernel:
    """A kernel in rational arithmetic, with proven intervals for what eq 13 compares.

    Attributes:
        kernel: K.
        least: interval that holds λ_min.
        of_mean: interval that holds λ_min over the mean eigenvalue.
        of_largest: interval that holds λ_min/λ_max.
        polynomial: det(x I − K), as text.
    """

    kernel: Rational
    least: tuple[Fraction, Fraction]
    of_mean: tuple[Fraction, Fraction]
    of_largest: tuple[Fraction, Fraction]
    polynomial: str

    @classmethod
    def of(cls, J: Tensor) -> "ExactKernel":
        """Of a Jacobian whose floats are exact."""
        K = rational_gram(J)
        width = Fraction(1, 10**12)
        low, high = (max(end, Fraction()) for end in least_eigenvalue(K, width=width))
        mean = sum((K[i][i] for i in range(len(K))), Fraction()) / len(K)
        negative = least_eigenvalue([[-entry for entry in row] for row in K], width=width)
        top_low, top_high = -negative[1], -negative[0]
        ratio = (low / top_high, high / top_low)
        text = _text(characteristic_polynomial(K))
        return cls(K, (low, high), (low / mean, high / mean), ratio, text)

    def below(self, other: "ExactKernel") -> dict[str, bool]:
        """Whether λ_min is proven smaller than another's: as it is, over the mean, over λ_max."""
        names = ("least", "of_mean", "of_largest")
        return {name: getattr(self, name)[1] <= getattr(other, name)[0] for name in names}


def _text(polynomial: Sequence[Fraction]) -> str:
    degree = len(polynomial) - 1
    formula = ""
    for place, c in enumerate(polynomial):
        power = degree - place
        size = "" if abs(c) == 1 and power else str(abs(c))
        unknown = "" if power == 0 else "x" if power == 1 else f"x^{power}"
        if c:
            formula += (" − " if c < 0 else " + " if formula else "") + size + unknown
    return formula
