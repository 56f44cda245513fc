"""The spectrum of a kernel: eigenvalues with their errors, and everything derived from them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ntklab.display import axes_or_new, frame_of_columns, html_table
from ntklab.spectra import diagnostics
from ntklab.spectra.diagnostics import Decay
from ntklab.spectra.rounding import ModelRounding
from ntklab.spectra.values import (
    Scale,
    check_values,
    corners,
    draw_eigenvalues,
    gap_at_rank,
    repeated,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# A gap σ_{r+1}/σ_r above this leaves the rank undecided: rounding alone leaves gaps below 1e-7.
UNDECIDED_GAP = 1e-4


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Spectrum:
    """Eigenvalues of an (N·C, N·C) kernel, exact zeros as 0.0, with the errors that are known.

    Make one with `spectrum`, or with `Spectrum.from_values` where a closed form gives the values.

    Attributes:
        eigenvalues: float64, descending; those within the rank tolerance of zero are exactly 0.0.
        multiplicity: how often each occurs (int64). Eigenvalues beyond their sum, up to `size`,
            are zeros that the shape forces (N·C > P) and are not listed.
        size: N·C; N·(C − 1) for a centred spectrum, the subspace that softmax sees.
        parameters: P, or None where only a kernel was given.
        rank_tolerance: what counts as zero, on the scale named by `tolerance_on`.
        tolerance_on: "sigma" (singular values of J) or "lambda" (eigenvalues of K).
        gap: σ_{r+1}/σ_r before zeroing, r the rank; None if nothing is beyond r or r = 0.
        eigenvalue_errors: bound on the error of each eigenvalue as reported, all parts together;
            None if unknown.
        algebra_errors: the part of the linear algebra alone, before zeroing; None if unknown.
        model: the part of the model's own arithmetic; None for a matrix that was given.
        route: how it was computed: "svd", "gram", "dual", "kernel" or a closed form's name.
        centred: whether the mean over outputs was projected out.
        eigenvectors: orthonormal columns for the nonzero eigenvalues in order, shape (N·C, rank),
            in the coordinates of the outputs also for a centred spectrum; None if not asked for.
    """

    eigenvalues: Float[Tensor, "k"]
    multiplicity: Int[Tensor, "k"]
    size: int
    parameters: int | None
    rank_tolerance: float
    tolerance_on: Scale
    gap: float | None
    eigenvalue_errors: Float[Tensor, "k"] | None
    route: str
    centred: bool = False
    eigenvectors: Float[Tensor, "NC rank"] | None = None
    algebra_errors: Float[Tensor, "k"] | None = None
    model: ModelRounding | None = None

    @classmethod
    def from_values(
        cls,
        values: Float[Tensor, "k"],
        *,
        size: int,
        multiplicity: Int[Tensor, "k"] | None = None,
        parameters: int | None = None,
        rank_tolerance: float | None = None,
        tolerance_on: Scale = "lambda",
        errors: Float[Tensor, "k"] | None = None,
        model: ModelRounding | None = None,
        route: str = "closed-form",
        centred: bool = False,
    ) -> Self:
        """Sort values, decide the rank and write exact zeros.

        Args:
            values: σ (`tolerance_on="sigma"`) or λ (`"lambda"`), any order, zeros included or not.
            size: number of rows of the kernel; at least the sum of `multiplicity`.
            multiplicity: how often each value occurs; once each by default.
            parameters: P.
            rank_tolerance: zero threshold on `values`; k·ε·max(values) by default.
            tolerance_on: the scale of `values` and of the tolerance.
            errors: bound on the error of each *eigenvalue* λ before zeroing, by linear algebra.
            model: what the model's own arithmetic adds.
            route: a name for the record.
            centred: whether this is the spectrum of the centred kernel.

        Raises:
            InputError: if values are empty or not finite, or occur more than `size` times.

        Example:
            >>> s = Spectrum.from_values(
            ...     torch.tensor([4.0, 1.0]), multiplicity=torch.tensor([1, 2]), size=5
            ... )
            >>> s.rank, s.trace, s.lambda_min, s.lambda_min_nonzero
            (3, 6.0, 0.0, 1.0)
        """
        values = values.detach().to("cpu", torch.float64)
        counts = (
            torch.ones(len(values), dtype=torch.int64)
            if multiplicity is None
            else (multiplicity.to("cpu", torch.int64))
        )
        check_values(values, counts, size)
        order = values.argsort(descending=True, stable=True)
        values, counts = values[order], counts[order]
        if rank_tolerance is None:
            rank_tolerance = len(values) * torch.finfo(torch.float64).eps * float(values[0])
        nonzero = values > max(rank_tolerance, 0.0)
        raw = values**2 if tolerance_on == "sigma" else values
        algebra = None if errors is None else errors[order]
        if algebra is not None:
            # A value replaced by zero is off by at most itself and its own error.
            errors = algebra + torch.where(nonzero, 0.0, raw.abs())
            if model is not None:
                errors = errors + model.at(raw)
        return cls(
            eigenvalues=torch.where(nonzero, raw, 0.0),
            multiplicity=counts,
            size=size,
            parameters=parameters,
            rank_tolerance=rank_tolerance,
            tolerance_on=tolerance_on,
            gap=gap_at_rank(values, nonzero, tolerance_on),
            eigenvalue_errors=errors,
            algebra_errors=algebra,
            model=model,
            route=route,
            centred=centred,
        )

    def __repr__(self) -> str:
        """The main numbers, each with its error, and which parts the errors count.

        Example:
            >>> Spectrum.from_values(torch.tensor([4.0, 1.0]), size=3, parameters=2)
            Spectrum of a 3 × 3 kernel, P = 2, route closed-form
              rank                2
              lambda_max          4
              lambda_min          0 ± 0
              lambda_min_nonzero  1
              condition           4
              trace               5
        """
        return "\n".join([self._head, *(f"  {k:<18}  {v}" for k, v in self._lines.items())])

    def _repr_html_(self) -> str:
        return html_table(self._head, self._lines)

    @property
    def _head(self) -> str:
        parameters = "" if self.parameters is None else f", P = {self.parameters}"
        kind = "centred kernel" if self.centred else "kernel"
        return f"Spectrum of a {self.size} × {self.size} {kind}{parameters}, route {self.route}"

    @property
    def _lines(self) -> dict[str, str]:
        gap = "" if self.gap is None else f", gap {self.gap:.1e}"
        decided = "" if self.rank_decided else f", undecided: {self._what_may_decide}"
        top = self.eigenvalue_errors
        lines = {
            "rank": f"{self.rank}{gap}{decided}",
            "lambda_max": _with_error(self.lambda_max, None if top is None else float(top[0])),
            "lambda_min": _with_error(self.lambda_min, self.lambda_min_error),
            "lambda_min_nonzero": _with_error(
                self.lambda_min_nonzero, self.lambda_min_nonzero_error
            ),
            "condition": _with_error(self.condition, None),
            "trace": _with_error(self.trace, None),
        }
        if top is not None:
            lines["errors count"] = self.errors_count
        return lines

    @property
    def _what_may_decide(self) -> str:
        """A step that can separate the smallest eigenvalue from zero; none that was taken."""
        if self.model is not None and self.model.sigma_error != 0:
            return self.model.remedy
        steps = {"svd": "float64 cannot decide it", "kernel": "give the Jacobian, not its kernel"}
        return steps.get(self.route, "try the route svd")

    @property
    def all_eigenvalues(self) -> Float[Tensor, "NC"]:
        """λ_1 ≥ … ≥ λ_size, each as often as it occurs and the zeros that the shape forces.

        Example:
            >>> s = Spectrum.from_values(
            ...     torch.tensor([4.0, 1.0]), multiplicity=torch.tensor([1, 2]), size=4
            ... )
            >>> s.all_eigenvalues.tolist()
            [4.0, 1.0, 1.0, 0.0]
        """
        return repeated(self.eigenvalues, self.multiplicity, self.size)

    def to_frame(self) -> "pd.DataFrame":
        """One row an eigenvalue with multiplicity, largest first: index, eigenvalue, error.

        Example:
            >>> s = Spectrum.from_values(
            ...     torch.tensor([4.0, 1.0]), multiplicity=torch.tensor([1, 2]), size=4
            ... )
            >>> s.to_frame()["eigenvalue"].tolist()
            [4.0, 1.0, 1.0, 0.0]
        """
        columns = {"index": range(1, self.size + 1), "eigenvalue": self.all_eigenvalues.tolist()}
        if self.eigenvalue_errors is not None:
            # A zero that the shape forces is exact.
            errors = repeated(self.eigenvalue_errors, self.multiplicity, self.size)
            columns["error"] = errors.tolist()
        return frame_of_columns(columns)

    def plot(self, axes: "Axes | None" = None, *, label: str | None = None, **line: Any) -> "Axes":
        """Eigenvalues against their index on logarithmic axes, with multiplicity.

        Zeros have no place on a logarithmic axis: the line ends at the rank, in a marker at λ_min⁺,
        and the label states the rank out of `size`.

        Args:
            axes: where to draw; new ones if None.
            label: of the line in a legend.
            **line: options of `Axes.plot`, such as `color`.

        Returns:
            The axes.

        Example:
            >>> import matplotlib
            >>> matplotlib.use("Agg")
            >>> axes = Spectrum.from_values(torch.tensor([4.0, 1.0]), size=3).plot()
            >>> axes.lines[0].get_label(), axes.lines[0].get_ydata().tolist()
            ('rank 2 of 3', [4.0, 1.0])
        """
        told = f"rank {self.rank} of {self.size}"
        label = f"{label}, {told}" if label else told
        index, values = corners(self.eigenvalues, self.multiplicity)
        return draw_eigenvalues(axes_or_new(axes), index, values, label=label, **line)

    @property
    def rank(self) -> int:
        """Number of eigenvalues above the tolerance, with multiplicity."""
        return int(self.multiplicity[self.eigenvalues > 0].sum())

    @property
    def rank_decided(self) -> bool:
        """Whether the rank can be relied on.

        False if the gap exceeds 1e-4, or if the smallest eigenvalue kept is not larger than the
        bound on its own error; another route than "svd" then leaves it to that one.
        """
        if self.gap is not None and self.gap > UNDECIDED_GAP:
            return False
        smallest, error = self.lambda_min_nonzero, self.lambda_min_nonzero_error
        return smallest is None or error is None or smallest > error

    @property
    def lambda_max(self) -> float:
        """λ_max."""
        return float(self.eigenvalues[0])

    @property
    def lambda_min(self) -> float:
        """λ_min of the whole kernel: exactly 0.0 when the rank is below `size`."""
        return float(self.eigenvalues[-1]) if self.rank == self.size else 0.0

    @property
    def lambda_min_nonzero(self) -> float | None:
        """λ_min⁺, the smallest eigenvalue above the tolerance; None for the zero kernel."""
        nonzero = self.eigenvalues[self.eigenvalues > 0]
        return float(nonzero[-1]) if len(nonzero) else None

    @property
    def lambda_min_error(self) -> float | None:
        """Bound on the error of `lambda_min`: 0.0 where the shape forces the zero (N·C > P).

        Where a computed value was replaced by zero, the bound includes that value.
        """
        if int(self.multiplicity.sum()) < self.size:
            return 0.0
        return None if self.eigenvalue_errors is None else float(self.eigenvalue_errors[-1])

    @property
    def errors_count(self) -> str:
        """Which parts the errors count: linear algebra, the model's arithmetic and how it is known.

        Example:
            >>> from ntklab import jacobian, spectrum
            >>> spectrum(jacobian(torch.nn.Linear(3, 2), torch.eye(3))).errors_count
            'linear algebra; float32 arithmetic, measured: rows of 3 of 3 samples beside a float64
            copy of the model'
        """
        return f"linear algebra; {self.model.text if self.model else 'the matrix taken as given'}"

    @property
    def lambda_min_nonzero_error(self) -> float | None:
        """Bound on the error of `lambda_min_nonzero`."""
        count = int((self.eigenvalues > 0).sum())
        if self.eigenvalue_errors is None or not count:
            return None
        return float(self.eigenvalue_errors[count - 1])

    @property
    def condition(self) -> float | None:
        """λ_max/λ_min⁺, the condition number on the range; None for the zero kernel."""
        smallest = self.lambda_min_nonzero
        return None if smallest is None else self.lambda_max / smallest

    @property
    def trace(self) -> float:
        """Σ λ with multiplicity."""
        return float((self.multiplicity * self.eigenvalues).sum())

    @property
    def mean(self) -> float:
        """Mean eigenvalue, trace/size, zeros included."""
        return self.trace / self.size

    @property
    def over_mean(self) -> dict[str, float | None]:
        """λ_min and λ_min⁺ over the mean, which no scale of the model changes, for a record."""
        least, mean = self.lambda_min_nonzero, self.mean
        return {
            "lambda_min_over_mean": self.lambda_min / mean if mean else None,
            "lambda_min_nonzero_over_mean": least / mean if least and mean else None,
        }

    @property
    def participation_ratio(self) -> float | None:
        """(Σλ)²/Σλ²."""
        return diagnostics.participation_ratio(self.eigenvalues, self.multiplicity)

    @property
    def entropy(self) -> float | None:
        """Spectral entropy of λ/Σλ, in nats."""
        return diagnostics.spectral_entropy(self.eigenvalues, self.multiplicity)

    def effective_dimension(self, ridge: float) -> float:
        """d_eff(ridge) = Σ λ/(λ + ridge), ridge on the scale of the eigenvalues."""
        return diagnostics.effective_dimension(self.eigenvalues, self.multiplicity, ridge)

    def decay_exponent(self, first: int | None = None, last: int | None = None) -> Decay | None:
        """Power-law exponent of λ_i against i; see `diagnostics.decay_exponent` for the range."""
        return diagnostics.decay_exponent(self.eigenvalues, self.multiplicity, first, last)

    def summary(self) -> dict[str, Any]:
        """A flat row of plain numbers for a record; None where a number does not exist.

        `effective_dimension` is taken at ridge = the mean eigenvalue, `effective_dimension_ridge`.

        Example:
            >>> row = Spectrum.from_values(torch.tensor([3.0, 1.0]), size=2).summary()
            >>> row["rank"], row["condition"], row["effective_dimension"]
            (2, 3.0, 0.9333333333333333)
        """
        decay = self.decay_exponent()
        return {
            "size": self.size,
            "params": self.parameters,
            "rank": self.rank,
            "rank_tolerance": self.rank_tolerance,
            "tolerance_on": self.tolerance_on,
            "rank_decided": self.rank_decided,
            "gap": self.gap,
            "lambda_max": self.lambda_max,
            "lambda_min": self.lambda_min,
            "lambda_min_error": self.lambda_min_error,
            "lambda_min_nonzero": self.lambda_min_nonzero,
            "lambda_min_nonzero_error": self.lambda_min_nonzero_error,
            "sigma_error": None if self.model is None else self.model.sigma_error,
            "errors_count": self.errors_count if self.eigenvalue_errors is not None else None,
            "condition": self.condition,
            "trace": self.trace,
            "mean": self.mean,
            "effective_dimension": self.effective_dimension(self.mean),
            "effective_dimension_ridge": self.mean,
            "participation_ratio": self.participation_ratio,
            "entropy": self.entropy,
            "decay_exponent": decay.exponent if decay else None,
            "decay_exponent_error": decay.standard_error if decay else None,
            "route": self.route,
            "centred": self.centred,
        }


def _with_error(value: float | None, error: float | None) -> str:
    if value is None:
        return "none: the kernel is zero"
    return f"{value:.6g}" if error is None else f"{value:.6g} ± {error:.1g}"
