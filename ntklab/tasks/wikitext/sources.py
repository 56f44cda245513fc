"""Where model and text are looked for when nobody names them."""

from pathlib import Path

from ntklab.tasks.shared_data import shared_data
from ntklab.tasks.wikitext.fetch import find_smollm2

HUB_MODEL = "gpt2"


def default_model() -> str:
    """SmolLM2-135M where it has been fetched (`fetch_smollm2`), else the hub's ``gpt2``."""
    path = find_smollm2()
    return HUB_MODEL if path is None else str(path)


def default_text() -> Path | None:
    """``wikitext-2`` in the folder ``NTKLAB_SHARED_DATA`` or ``../shared/data``; None for the hub.

    The same places as the tests': a checkout with its data beside it needs no option.
    """
    folder = shared_data() / "wikitext-2"
    return folder if folder.is_dir() else None
