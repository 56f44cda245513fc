"""One function, several kernels: what the gauge of an adapter's trains does to its NTK (P4, P10).

The weights and outputs are the same in every row; whatever differs between rows is a property of
the parametrisation, and so no property of the function class that a method represents.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ntklab.adapters import Adapter
from ntklab.arrays import takes_arrays
from ntklab.bounds.learning_rates import BestRates, best_rates, scaled_kernel
from ntklab.display import ShortRepr
from ntklab.errors import InputError
from ntklab.jacobians import jacobian
from ntklab.spectra import Spectrum, spectrum
from ntklab.tensor_train import canonical_gauge, equal_norm_gauge

_GAUGES = {"equal-norm": equal_norm_gauge, "canonical": canonical_gauge}


@dataclass(frozen=True, eq=False, repr=False)
class GaugeEffect(ShortRepr):
    """The spectrum of the NTK in one gauge.

    Attributes:
        gauge: "given", "equal-norm", "canonical", or "best-scaling".
        spectrum: of K there; None if the gauge does not exist for these cores.
        output_change: relative change of the outputs, rounding if all is well.
        reason: why there is no spectrum.
    """

    gauge: str
    spectrum: Spectrum | None
    output_change: float | None
    reason: str | None = None

    def row(self) -> dict[str, Any]:
        """A flat row: λ_min, λ_min⁺ and the condition number, and the first two over the mean."""
        s = self.spectrum
        if s is None:
            return {"gauge": self.gauge, "reason": self.reason}
        return {
            "gauge": self.gauge,
            "rank": s.rank,
            "lambda_min": s.lambda_min,
            "lambda_min_nonzero": s.lambda_min_nonzero,
            "mean": s.mean,
            **s.over_mean,
            "condition": s.condition,
            "output_change": self.output_change,
            "reason": self.reason,
        }


@takes_arrays
def gauge_effects(
    adapter: Adapter, features: Float[Tensor, "N d"], *, tolerance: float = 1e-4
) -> tuple[list[GaugeEffect], BestRates]:
    """The kernel of one function in four gauges: given, equal norms, canonical, best scaling.

    The canonical gauge has the centre at the last core of every train. The best scaling is that of
    `best_rates`, where a frozen core is a limit that no finite gauge reaches. Works in float64 on
    a copy; the adapter is left alone.

    Args:
        adapter: with trains of cores, or LoRA, whose A and B are one of two cores.
        features: φ.
        tolerance: of the best scaling.

    Returns:
        One effect a gauge, and the certificate of the best scaling.

    Raises:
        InputError: an adapter without cores.

    Cost: four Jacobians and spectra, and the search.

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> g = torch.Generator().manual_seed(0)
        >>> lora = build_adapter("lora", 6, 2, rank=2, generator=g, dtype=torch.float64)
        >>> effects, best = gauge_effects(lora, torch.randn(4, 6, generator=g))
        >>> [effect.gauge for effect in effects]
        ['given', 'equal-norm', 'canonical', 'best-scaling']
        >>> best.primal >= best.equal
        True
    """
    original = deepcopy(adapter).to(torch.float64)
    x = features.detach().to(torch.float64)
    trains_of(original)
    J = jacobian(original, x)
    best = best_rates(J.core_grams(), tolerance=tolerance)
    scaled = spectrum(scaled_kernel(J.core_grams(), best.multipliers))
    effects = [GaugeEffect("given", spectrum(J), 0.0)]
    effects += [_effect(name, original, x) for name in _GAUGES]
    return [*effects, GaugeEffect("best-scaling", scaled, 0.0)], best


def trains_of(adapter: Adapter) -> Mapping[str, list[Float[Tensor, "r *modes s"]]]:
    """The trains of an adapter as lists of cores; LoRA's is (Aᵀ, Bᵀ) with its rank as the bond.

    Raises:
        InputError: an adapter without cores, such as the linear probe or TeRA, which has scalings
            only.
    """
    trains = {
        name: [core.detach() for core in cores]
        for name, cores in adapter.named_children()
        if isinstance(cores, nn.ParameterList) and name.startswith("cores")
    }
    if not trains and adapter.method == "lora":
        a, b = adapter.get_parameter("A").detach(), adapter.get_parameter("B").detach()
        trains = {"factors": [a.T.unsqueeze(0), b.T.unsqueeze(-1)]}
    if not trains:
        raise InputError(
            f"the adapter '{adapter.method}' has no cores, so no bond to choose a gauge at: give "
            "lora, tt-lora, tensorguide or tt-delta."
        )
    return trains


def in_gauge(adapter: Adapter, gauge: str) -> Adapter:
    """A copy of the adapter with the same weights in another gauge.

    Args:
        adapter: with cores, or LoRA.
        gauge: "equal-norm" or "canonical".

    Raises:
        InputError: an unknown gauge, a zero core (equal norms), or ranks that the cores cannot
            hold, which the canonical gauge would lower.

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> lora = build_adapter("lora", 6, 2, rank=2, generator=torch.Generator().manual_seed(0))
        >>> balanced = in_gauge(lora, "equal-norm")
        >>> torch.allclose(balanced.A.norm(), balanced.B.norm())
        True
    """
    if gauge not in _GAUGES:
        raise InputError(f"gauge '{gauge}' is not known: give one of {', '.join(sorted(_GAUGES))}.")
    copy = deepcopy(adapter)
    for name, cores in trains_of(adapter).items():
        moved = _GAUGES[gauge](cores)
        if [core.shape for core in moved] != [core.shape for core in cores]:
            raise InputError(
                f"the {gauge} gauge lowers ranks of '{name}' that its cores cannot hold: plan "
                "ranks that they can."
            )
        _write(copy, name, moved)
    return copy


@torch.no_grad()
def _write(adapter: Adapter, name: str, cores: list[Tensor]) -> None:
    if name == "factors":
        adapter.get_parameter("A").copy_(cores[0].squeeze(0).T)
        adapter.get_parameter("B").copy_(cores[1].squeeze(-1).T)
        return
    for k, core in enumerate(cores):
        adapter.get_parameter(f"{name}.{k}").copy_(core)


def _effect(gauge: str, adapter: Adapter, features: Tensor) -> GaugeEffect:
    try:
        moved = in_gauge(adapter, gauge)
    except InputError as impossible:
        return GaugeEffect(gauge, None, None, str(impossible))
    with torch.no_grad():
        before, after = adapter(features), moved(features)
    size = float(before.norm())
    change = float((after - before).norm()) / size if size > 0 else float((after - before).norm())
    return GaugeEffect(gauge, spectrum(jacobian(moved, features)), change)
