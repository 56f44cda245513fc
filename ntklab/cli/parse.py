"""Words of the command line into values; nothing here loads a heavy library."""

import math
import re
from collections.abc import Collection, Iterable

from ntklab.errors import InputError, unknown

_MOST_SEEDS = 100_000
_MOST_DIGITS = 18  # a seed is a word of 64 bits


def parse_words(
    kind: str,
    given: Iterable[str],
    known: Collection[str],
    every: str = "",
    beginnings: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """Known words in the order given, each once; several may stand in one, with commas.

    Args:
        kind: what the words are, for the sentence.
        given: the words.
        known: those that mean something.
        every: the word that stands for all of them.
        beginnings: of words that somebody else knows.

    Raises:
        InputError: for an unknown word, with the nearest one.

    Example:
        >>> parse_words("method", ["lora,tera", "all"], ("lora", "tera", "tt-lora"), "all")
        ('lora', 'tera', 'tt-lora')
    """
    words: dict[str, None] = {}
    for word in (part.strip() for text in given for part in text.split(",")):
        whole = bool(every) and word == every
        if not whole and word not in known and not word.startswith(beginnings):
            raise unknown(kind, word, (*known, every) if every == "both" else known)
        words |= dict.fromkeys(known if whole else [word])
    return tuple(words)


def parse_rates(text: str) -> tuple[float, ...]:
    """Positive numbers from "0.001,3e-3".

    Raises:
        InputError: for anything else.

    Example:
        >>> parse_rates("0.001, 3e-3")
        (0.001, 0.003)
    """
    parts = [part.strip() for part in text.split(",")]
    number = re.compile(r"\d*\.?\d+(e-?\d+)?")
    if not all(number.fullmatch(part) and 0 < float(part) < math.inf for part in parts):
        raise InputError(f"--rates '{text}' is no list of positive numbers: write 0.001,0.01.")
    return tuple(dict.fromkeys(map(float, parts)))


def parse_seeds(text: str) -> list[int]:
    """Seeds from "0:5" (0, 1, 2, 3, 4), "3" (that seed alone) or "0,2,5".

    Raises:
        InputError: for anything else, for none, for a seed given twice or beyond 64 bits.

    Example:
        >>> parse_seeds("0:3"), parse_seeds("7"), parse_seeds("0,2,5")
        ([0, 1, 2], [7], [0, 2, 5])
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?::(\d+))?\s*", part)
        if not match:
            raise InputError(f"seeds '{text}' are not seeds: write 0:5, 3 or 0,2,5.")
        if max(len(match[1]), len(match[2] or "")) > _MOST_DIGITS:
            raise InputError(f"seeds '{text}' have more than {_MOST_DIGITS} digits: take smaller.")
        first, stop = int(match[1]), int(match[2] or int(match[1]) + 1)
        if stop - first > _MOST_SEEDS:
            raise InputError(f"seeds '{text}' are more than {_MOST_SEEDS}: ask for fewer.")
        seeds += range(first, stop)
    if not seeds or len(set(seeds)) < len(seeds):
        what = "name no seed" if not seeds else "name a seed twice"
        raise InputError(f"seeds '{text}' {what}: write 0:5, 3 or 0,2,5.")
    return seeds


def parse_numbers(name: str, text: str | None) -> tuple[int, ...] | None:
    """Whole numbers of at least 1 from "1,2,2,1"; brackets and spaces are welcome.

    Raises:
        InputError: for anything else.

    Example:
        >>> parse_numbers("tt-ranks", "1,2,2,1"), parse_numbers("in-dims", "[8, 8]")
        ((1, 2, 2, 1), (8, 8))
    """
    if text is None:
        return None
    parts = text.strip().removeprefix("[").removesuffix("]").split(",")
    if not all(re.fullmatch(r"\s*\d+\s*", part) and int(part) > 0 for part in parts):
        raise InputError(
            f"--{name} '{text}' is no list of whole numbers of at least 1: write it like 1,2,2,1."
        )
    return tuple(int(part) for part in parts)


def parse_widths(text: str | None, name: str = "width") -> tuple[int, ...] | None:
    """Widths from "64,256" or from a range of powers, "64:4096" (each four times the last).

    Raises:
        InputError: for anything else, and for a range that ends below its start.

    Example:
        >>> parse_widths("64:4096"), parse_widths("10,20")
        ((64, 256, 1024, 4096), (10, 20))
    """
    match = re.fullmatch(r"\s*(\d+):(\d+)\s*", text or "")
    if not match:
        return parse_numbers(name, text)
    width, stop = int(match[1]), int(match[2])
    if not 0 < width <= stop:
        raise InputError(f"--{name} '{text}' is no range: write it like 64:4096.")
    widths = []
    while width <= stop:
        widths.append(width)
        width *= 4
    return tuple(widths)
