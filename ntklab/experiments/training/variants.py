"""The variants that the paper's tables compare."""

from ntklab.errors import InputError
from ntklab.experiments.training.config import PairConfig

#: Table 2: hidden widths of TensorGuide.
WIDTHS = (1024, 2048, 4096)

#: Table 5: r_1, r_2, r_3 of TensorGuide at M = 1024; the released ones are (2, 2, 1).
RANKS = ((1, 1, 1), (2, 2, 1), (2, 2, 2), (4, 2, 1), (4, 4, 1), (4, 4, 2))
IN_DIMS, OUT_DIMS = (1, 2, 2, 1), (16, 8, 257, 16)

TABLES = (1, 2, 5)


def table_variants(table: int, base: PairConfig, methods: list[str]) -> list[PairConfig]:
    """The cells of one table at one seed and one setting.

    Args:
        table: 1 (methods), 2 (widths of TensorGuide) or 5 (its TT-ranks).
        base: everything but method and sizes.
        methods: of Table 1.

    Raises:
        InputError: for another table, or sizes in `base`, which the table decides.

    Example:
        >>> cells = table_variants(2, PairConfig.of(method="tensorguide"), [])
        >>> [cell.variant for cell in cells]
        ['tensorguide M=1024', 'tensorguide M=2048', 'tensorguide M=4096']
    """
    if table == 1:
        return [base.for_method(method) for method in methods]
    if table not in TABLES:
        raise InputError(f"table {table} is not reproduced here: choose 1, 2 or 5.")
    for name in ("width", "tt_ranks", "in_dims", "out_dims", "budget", "rank"):
        if base.get(name) is not None:
            raise InputError(f"{name.replace('_', '-')} is decided by table {table}: leave it out.")
    guide = base.with_(method="tensorguide")
    if table == 2:
        return [guide.with_(width=width) for width in WIDTHS]
    return [
        guide.with_(width=1024, in_dims=IN_DIMS, out_dims=OUT_DIMS, tt_ranks=(1, *ranks, 1))
        for ranks in RANKS
    ]
