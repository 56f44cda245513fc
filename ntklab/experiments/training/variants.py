"""The variants that the paper's tables compare."""

from collections.abc import Sequence
from typing import Any

from ntklab.errors import InputError
from ntklab.experiments.training.heads.config import PairConfig
from ntklab.experiments.training.language.config import FROZEN, TRUNCATED, LanguageConfig

#: Table 2: hidden widths of TensorGuide.
WIDTHS = (1024, 2048, 4096)

#: Table 5: r_1, r_2, r_3 of TensorGuide at M = 1024; the released ones are (2, 2, 1).
RELEASED_RANKS = (2, 2, 1)
RANKS = ((1, 1, 1), RELEASED_RANKS, (2, 2, 2), (4, 2, 1), (4, 4, 1), (4, 4, 2))
IN_DIMS, OUT_DIMS = (1, 2, 2, 1), (16, 8, 257, 16)

TABLES = (1, 2, 5)

#: Table 3: widths of TensorGuide and ranks of LoRA.
LANGUAGE_WIDTHS = (1, 2, 3, 4)

#: Table 3: widths and ranks of heads that replace the projection; the ends show what rank decides.
REPLACING = (1, 4)

#: Table 3: TT-ranks of TensorGuide, the released ones, and larger ones.
LANGUAGE_RANKS = ((1, 2, 2, 1, 1), (1, 8, 8, 4, 1))

#: The others, with the starts that their papers give (LoRA: B = 0).
_RIVALS: tuple[dict[str, Any], ...] = (
    *({"method": "lora", "rank": r, "preset": "paper"} for r in LANGUAGE_WIDTHS),
    {"method": "tt-lora"},
    {"method": "tt-delta", "rank": 4},
    {"method": "tera"},
)


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


def table3_configs(base: LanguageConfig, seeds: Sequence[int]) -> list[LanguageConfig]:
    """Every run of Table 3, baselines first; rates are left to a search.

    Added to the projection: TensorGuide M = 1..4 over TT-ranks, LoRA r = 1..4, TT-LoRA, TT-delta,
    TeRA. In its place (`replace`): TensorGuide and LoRA at 1 and 4: logits of rank at most M,
    beside the projection itself cut to that rank. The frozen model.

    Args:
        base: texts, updates and device; its method and sizes do not count.
        seeds: of the trained runs.

    Example:
        >>> configs = table3_configs(LanguageConfig.of(method="frozen"), [0])
        >>> len(configs), configs[3].variant
        (22, 'tensorguide M=1 ranks=1,2,2,1,1')
    """
    runs = [base.with_(method=FROZEN)]
    runs += [base.with_(method=TRUNCATED, rank=r) for r in REPLACING]
    guides = [{"width": m, "tt_ranks": ranks} for m in LANGUAGE_WIDTHS for ranks in LANGUAGE_RANKS]
    variants = [base.with_(method="tensorguide", **sizes) for sizes in guides]
    variants += [base.with_(**rival) for rival in _RIVALS]
    variants += [base.with_(method="tensorguide", width=m, head="replace") for m in REPLACING]
    variants += [base.with_(head="replace", method="lora", rank=r) for r in REPLACING]
    return runs + [variant.with_(seed=seed) for variant in variants for seed in seeds]
