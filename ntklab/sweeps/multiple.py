"""Several comparisons at once: p-values that stay honest together."""

from collections.abc import Sequence

from ntklab.errors import InputError


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values whose family-wise error stays at the level (Holm 1979).

    The i-th smallest of m is multiplied by m − i + 1, made monotone and cut at 1; whatever the
    dependence between the tests.

    Args:
        p_values: of one family.

    Returns:
        Adjusted values, in the order given.

    Raises:
        InputError: a value outside [0, 1].

    Example:
        >>> [round(p, 3) for p in holm([0.04, 0.01, 0.03])]
        [0.06, 0.03, 0.06]
    """
    if any(not 0 <= p <= 1 for p in p_values):
        raise InputError(f"p-values {list(p_values)} must lie between 0 and 1.")
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, least = [0.0] * len(p_values), 0.0
    for place, i in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - place) * p_values[i]))
        adjusted[i] = least
    return adjusted
