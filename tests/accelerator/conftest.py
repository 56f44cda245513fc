"""Tests on the pretended device run in a process of their own (`tests/test_accelerator.py`).

Torch counts devices once, before the first backward pass of a process: a device that comes later
has no queue there. And a device that is registered changes what torch does in other tests.
"""

import os

import pytest

ALONE = "NTKLAB_PRETENDED_DEVICE"


def pytest_collection_modifyitems(items):
    if os.environ.get(ALONE):
        return
    reason = "runs in a process of its own, from tests/test_accelerator.py"
    for item in items:
        if "accelerator" in item.path.parts:
            item.add_marker(pytest.mark.skip(reason=reason))
