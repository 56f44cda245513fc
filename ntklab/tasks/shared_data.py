"""The folder of data that a checkout may have beside it."""

import os
from pathlib import Path


def shared_data() -> Path:
    """``NTKLAB_SHARED_DATA``, else ``../shared/data``; it may not exist.

    Example:
        >>> isinstance(shared_data(), Path)
        True
    """
    return Path(os.environ.get("NTKLAB_SHARED_DATA", "../shared/data"))
