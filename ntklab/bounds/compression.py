"""Counting bounds: what a number of parameters, not a kernel, says about the risk."""

import math

from ntklab.bounds.bound import Assumption, Bound, conclude
from ntklab.bounds.generalization import INDEPENDENT, check_delta
from ntklab.errors import InputError


def compression_bound(
    *,
    train_error: float,
    effective_parameters: int,
    bits: float,
    n_samples: int,
    delta: float = 0.05,
    overhead_bits: float = 0.0,
    measured: float | None = None,
) -> Bound:
    """R ≤ R̂ + √((b ln 2 + ln(1/δ))/(2N)), b = P_eff · bits + overhead (Occam's razor bound).

    A classifier that can be written in b bits of a code fixed before the data is one of a weighted
    countable family (Blumer et al. 1987; Langford 2005, Theorem 4.6 gives the binomial form). For
    a train, P_eff = P − nullity coordinates name it after gauge fixing (theory P1). It bounds
    the classifier *after* rounding its coordinates: R̂ must be measured on that one.

    Args:
        train_error: R̂ of the rounded classifier.
        effective_parameters: P_eff, fixed by the shape and not by the data.
        bits: a coordinate's share of the code.
        n_samples: N.
        delta: probability of failure.
        overhead_bits: what else the code must say (a common scale, the choice of `bits`).
        measured: error rate of the rounded classifier on held-out samples.

    Raises:
        InputError: for a negative count, delta outside (0, 1), or N < 1.

    Example:
        >>> bound = compression_bound(train_error=0.1, effective_parameters=1119, bits=2,
        ...                           n_samples=2000)
        >>> round(bound.value, 3), bound.vacuous
        (0.723, False)
        >>> compression_bound(train_error=0.1, effective_parameters=1119, bits=8,
        ...                   n_samples=1600).vacuous
        True
    """
    check_delta(delta)
    if effective_parameters < 0 or bits < 0 or overhead_bits < 0 or n_samples < 1:
        raise InputError(
            f"effective_parameters={effective_parameters}, bits={bits} and overhead_bits="
            f"{overhead_bits} must be ≥ 0, and n_samples={n_samples} at least 1."
        )
    length = effective_parameters * bits + overhead_bits
    rounded = Assumption(
        "the training error is that of the classifier after rounding to these bits",
        None,
        "the caller's measurement",
    )
    return conclude(
        lambda: (
            train_error + math.sqrt((length * math.log(2) + math.log(1 / delta)) / (2 * n_samples))
        ),
        name="compression",
        equation="",
        form="sharper",
        bounds="error rate of the rounded classifier on new samples",
        ingredients={
            "train_error": train_error,
            "effective_parameters": float(effective_parameters),
            "bits": bits,
            "code_bits": length,
            "n_samples": float(n_samples),
            "delta": delta,
        },
        assumptions=(INDEPENDENT, rounded),
        trivial=1.0,
        measured=measured,
    )
