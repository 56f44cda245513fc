"""WikiText-2 as it is written: files of a folder, or the `datasets` hub."""

import importlib
import lzma
from pathlib import Path

from ntklab.errors import InputError, MissingExtraError, unknown

# Names on the hub, and the split's name there.
_HUB = ("Salesforce/wikitext", "wikitext-2-v1")
_ON_THE_HUB = {"train": "train", "valid": "validation", "test": "test"}

SPLITS = tuple(_ON_THE_HUB)


def read_text(data: Path | str | None, split: str) -> str:
    """The text of one split, untouched.

    WikiText separates punctuation by spaces and writes ``@-@``, ``@,@``, ``<unk>``; nothing of
    that is undone here, so perplexities are those of the text as published (word level).

    Args:
        data: A folder that holds ``{train,valid,test}.txt`` or ``.txt.xz``; one file (raw or
            ``.xz``), which then is the text of every split; or None for the ``datasets`` hub.
        split: ``train``, ``valid`` or ``test``.

    Returns:
        The text, UTF-8.

    Raises:
        InputError: An unknown split, a file that is absent, empty or no text.
        MissingExtraError: The hub is asked for and ``datasets`` is not installed.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "test.txt").write_text(" = A title = \\n")
        >>> read_text(folder, "test")
        ' = A title = \\n'
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    if data is None:
        return _from_hub(split)
    path = _file_of(Path(data), split)
    try:
        with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as file:
            text = file.read().decode("utf-8")
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise InputError(
            f"'{path}' cannot be read as UTF-8 text ({error}): give a raw or .xz text file."
        ) from error
    if not text.strip():
        raise InputError(f"'{path}' holds no text: give a file with the words of the split.")
    return text


def _file_of(data: Path, split: str) -> Path:
    if data.is_file():
        return data
    paths = [data / f"{split}{suffix}" for suffix in (".txt", ".txt.xz")]
    for path in paths:
        if path.is_file():
            return path
    raise InputError(
        f"'{data}' has no {paths[0].name} or {paths[1].name}: give a folder with the three splits, "
        "or one text file."
    )


def _from_hub(split: str) -> str:
    try:
        load_dataset = importlib.import_module("datasets").load_dataset
    except ImportError as error:
        raise MissingExtraError("WikiText-2 from the datasets hub", "hub") from error
    try:
        lines = load_dataset(*_HUB, split=_ON_THE_HUB[split])["text"]
    except Exception as error:  # the hub's client raises a dozen kinds, none of them its own
        raise InputError(
            f"WikiText-2 could not be had from the datasets hub ({type(error).__name__}): give "
            "data, a folder with train.txt, valid.txt and test.txt."
        ) from error
    return "".join(lines)
