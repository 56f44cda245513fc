"""Where the shared data lies, for tests that need real input."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def shared_data():
    """A function from a name to its path in the shared data; it skips where the file is absent."""
    folder = Path(os.environ.get("NTKLAB_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"{name} is not in the shared data folder (set NTKLAB_SHARED_DATA)")
        return path

    return find
