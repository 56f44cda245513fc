"""The hidden units behind a bond of rank 1, sample by sample."""

from ntklab.tensor_train.compiled import Array, compiled


@compiled
def by_signs(
    projected: Array, by_sign: Array, tails: Array, filters: Array, sizes: Array, tail: Array
) -> None:
    """What `ntklab.adapters.layer_rows` needs of F = F⁺ − F⁻, whatever the activation.

    Args:
        projected: F, (n, g).
        by_sign: filters where F is above, below and at zero, (3, C, g).
        tails: tails of one group for F = 1 and F = −1, (2, C, t).
        filters: goal (n, C, g), each the one of F's sign.
        sizes: goal (n, 2 g), F⁺ and F⁻.
        tail: goal (n, C, g t), F⁺ and F⁻ times the two tails.
    """
    groups, outputs, rows = projected.shape[1], by_sign.shape[1], tails.shape[2]
    for n in range(len(projected)):
        above, below = sizes[n, :groups], sizes[n, groups:]
        for g in range(groups):
            value = projected[n, g]
            above[g], below[g] = max(value, 0 * value), max(-value, 0 * value)
        for c in range(outputs):
            up, down, zero, goal = by_sign[0, c], by_sign[1, c], by_sign[2, c], filters[n, c]
            for g in range(groups):
                value = projected[n, g]
                goal[g] = up[g] if value > 0 else (down[g] if value < 0 else zero[g])
            for t in range(rows):
                for_up, for_down, place = tails[0, c, t], tails[1, c, t], tail[n, c, t::rows]
                for g in range(groups):
                    place[g] = for_up * above[g] + for_down * below[g]
