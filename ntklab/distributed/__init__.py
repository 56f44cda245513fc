"""Work on other processes and machines, by dask: recipes that travel, clusters, blocks on disk.

Nothing here knows kernels. `ntklab.jacobians.shared` shares rows and Gram matrices with it, and
`ntklab.experiments.executors` cells.
"""

from typing import TYPE_CHECKING

from ntklab.lazy_names import lazily

if TYPE_CHECKING:
    from ntklab.distributed.cluster import completed, connect, worker_memory
    from ntklab.distributed.recipe import Packed, Recipe, packed, with_state
    from ntklab.distributed.store import BlockStore, open_store

__all__ = [
    "BlockStore",
    "Packed",
    "Recipe",
    "completed",
    "connect",
    "open_store",
    "packed",
    "with_state",
    "worker_memory",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "cluster": ("completed", "connect", "worker_memory"),
        "recipe": ("Packed", "Recipe", "packed", "with_state"),
        "store": ("BlockStore", "open_store"),
    },
)
