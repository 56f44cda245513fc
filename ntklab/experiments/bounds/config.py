"""The configuration of one cell of bounds."""

import math
from dataclasses import dataclass
from typing import ClassVar

from ntklab.configuration import Configuration, setting
from ntklab.errors import InputError
from ntklab.experiments.spectrum.config import SpectrumConfig


@dataclass(frozen=True, kw_only=True)
class BoundsConfig(Configuration):
    """One cell of `ntklab bounds`: a spectrum's configuration, and what bounds need besides.

    For two classes the function is the margin f₁ − f₀ with labels ±1, which is what softmax sees;
    for more it has all C outputs (less their mean, if `centred`) with one-hot labels less 1/C.

    Attributes:
        kernel: of which adapter, on which data.
        delta: probability of failure of each bound.
        unit: least radius of the grid of balls, and prior scale; fixed before the data.
        draws: of Monte Carlo.
        steps: of gradient descent at half the rate where the start's kernel would be unstable, for
            the bounds on optimization.
        gauge: whether to compare λ_min/mean over the gauges of the same function.

    Raises:
        InputError: for a number that cannot work whatever the data.

    Example:
        >>> BoundsConfig.of(method="lora", delta=0.1).delta
        0.1
    """

    heading: ClassVar[str] = "Bounds"

    kernel: SpectrumConfig
    delta: float = setting(0.05, "Probability that a bound fails.", "NUMBER")
    unit: float = setting(1.0, "Least radius of balls; prior scale.", "NUMBER")
    draws: int = setting(2000, "Signs drawn for Monte Carlo.", "COUNT", least=2)
    steps: int = setting(200, "Of the gradient descent beside eq 10.", "COUNT", least=2)
    gauge: bool = setting(False, "λ min / mean of the same function in other gauges.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel.inside.model is not None:
            raise InputError("bounds are for heads on a task: leave `model` out.")
        if not 0 < self.delta < 1:
            raise InputError(f"delta = {self.delta} must lie strictly between 0 and 1.")
        if not (self.unit > 0 and math.isfinite(self.unit)):
            raise InputError(f"unit = {self.unit} must be a positive finite number.")
