"""Rows and kernels computed by the workers of a dask cluster, from a recipe of the model."""

from typing import TYPE_CHECKING

from ntklab.lazy_names import lazily

if TYPE_CHECKING:
    from ntklab.jacobians.shared.gram import SharedGram, shared_gram
    from ntklab.jacobians.shared.recipe import check_recipe, recipe_of
    from ntklab.jacobians.shared.rows import rows_as_dask

__all__ = ["SharedGram", "check_recipe", "recipe_of", "rows_as_dask", "shared_gram"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "gram": ("SharedGram", "shared_gram"),
        "recipe": ("check_recipe", "recipe_of"),
        "rows": ("rows_as_dask",),
    },
)
