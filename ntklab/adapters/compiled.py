"""The hidden units behind a bond of rank 1, sample by sample."""

import numpy as np

from ntklab.tensor_train.compiled import Array, compiled


@compiled
def by_signs(
    projected: Array, by_sign: Array, tails: Array, filters: Array, sizes: Array, tail: Array
) -> None:
    """The sums over F = F⁺ − F⁻ that `ntklab.adapters.hidden_units` needs, for any activation.

    Args:
        projected: F, (n, g).
        by_sign: filters where F is above, below and at zero, (3, C, g).
        tails: tails of one group for F = 1 and F = −1, (2, C, t).
        filters: goal (n, C, g), each the one of F's sign.
        sizes: goal (n, 2 g), F⁺ and F⁻.
        tail: goal (n, C, g t), F⁺ and F⁻ times the two tails.
    """
    groups, rows = np.uint64(projected.shape[1]), np.uint64(tails.shape[2])
    for n in range(len(projected)):
        values, above, below = projected[n], sizes[n], sizes[n, projected.shape[1] :]
        nothing = values.dtype.type(0)
        for g in range(groups):
            above[g], below[g] = max(values[g], nothing), max(-values[g], nothing)
        for c in range(by_sign.shape[1]):
            up, down, zero = by_sign[0, c], by_sign[1, c], by_sign[2, c]
            its_filter, its_tail = filters[n, c], tail[n, c]
            for g in range(groups):
                value, if_up, if_down, if_zero = values[g], up[g], down[g], zero[g]
                its_filter[g] = if_up if value > 0 else (if_down if value < 0 else if_zero)
            for t in range(rows):
                for_up, for_down = tails[0, c, t], tails[1, c, t]
                for g in range(groups):
                    its_tail[g * rows + t] = for_up * above[g] + for_down * below[g]
