"""Sentences with classes, and the few of them that are shots."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import torch

from ntklab.errors import InputError
from ntklab.tasks.prompt.table import read_rows


@dataclass(frozen=True)
class Sentences:
    """Texts with the class of each.

    Attributes:
        texts: the sentences, no two alike.
        labels: class of each, 0 to C − 1.
        classes: names of the classes, in order.
        left_out: rows that a table had beside: between the thresholds, empty, or read before.
    """

    texts: tuple[str, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, places: Iterable[int]) -> "Sentences":
        """The sentences at these places."""
        chosen = list(places)
        return Sentences(
            tuple(self.texts[k] for k in chosen),
            tuple(self.labels[k] for k in chosen),
            self.classes,
        )


def read_labelled(
    path: str | Path,
    *,
    text_column: str,
    label_column: str,
    classes: Sequence[str] | None = None,
) -> Sentences:
    """Sentences whose class stands in a column.

    Args:
        path: a table, see `read_rows`.
        text_column: where the sentences are.
        label_column: where the classes are.
        classes: their order; sorted if None. Rows of other classes are left out.

    Raises:
        InputError: what `read_rows` refuses, or fewer than two classes.
    """
    rows = [(text, label) for _, (text, label) in read_rows(path, [text_column, label_column])]
    names = tuple(sorted({label for _, label in rows})) if classes is None else tuple(classes)
    known = {name: place for place, name in enumerate(names)}
    pairs = [(text, known[label]) for text, label in rows if label in known]
    return _checked(Path(path), pairs, names, len(rows))


def read_rated(
    path: str | Path, *, text_column: str, rating_column: str, thresholds: tuple[float, float]
) -> Sentences:
    """Sentences rated at most the lower threshold (class 0) or at least the upper one (class 1).

    What lies between is left out.

    Args:
        path: a table, see `read_rows`.
        text_column: where the sentences are.
        rating_column: where the ratings are.
        thresholds: the lower and the upper one.

    Raises:
        InputError: what `read_rows` refuses, thresholds in the wrong order, a rating that is no
            number (naming the row), or one class only.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "films.tsv"
        >>> _ = path.write_text("rating\\ttext\\n3\\tfine\\n-2\\tdull\\n0\\tfilm\\n")
        >>> read_rated(path, text_column="text", rating_column="rating", thresholds=(-1, 1))
        Sentences(texts=('fine', 'dull'), labels=(1, 0), classes=('<= -1', '>= 1'), left_out=1)
    """
    low, high = thresholds
    if not low < high:
        raise InputError(
            f"thresholds = {low:g}, {high:g}: the first must be below the second, such as -1, 1."
        )
    pairs, count = [], 0
    for number, (text, rating) in read_rows(path, [text_column, rating_column]):
        count += 1
        value = _number(path, number, rating_column, rating)
        if value <= low or value >= high:
            pairs.append((text, int(value >= high)))
    return _checked(Path(path), pairs, (f"<= {low:g}", f">= {high:g}"), count)


def _number(path: str | Path, row: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise InputError(f"row {row} of '{path}': {column} = '{text}' is no number: mend the row.")
    return value


def _checked(
    path: Path, pairs: list[tuple[str, int]], classes: tuple[str, ...], rows: int
) -> Sentences:
    first = dict(reversed([(text.strip(), label) for text, label in pairs if text.strip()]))
    unique = [(text, first[text]) for text in dict.fromkeys(t.strip() for t, _ in pairs) if text]
    counts = Counter(label for _, label in unique)
    if len(classes) < 2 or len(counts) < len(classes):
        missing = [name for place, name in enumerate(classes) if not counts[place]]
        raise InputError(
            f"'{path}' has sentences of {len(counts)} of {max(len(classes), 2)} classes"
            + (f" (none is '{missing[0]}')" if missing else "")
            + ": a classification needs at least two, each with sentences."
        )
    texts, labels = zip(*unique, strict=True)
    return Sentences(texts, labels, classes, rows - len(unique))


def split_shots(
    sentences: Sentences, *, shots: int, test: int, seed: int, valid_shots: int = 0
) -> dict[str, Sentences]:
    """Shots of every class to train on, as many to choose by, and test sentences of the rest.

    Args:
        sentences: all of them.
        shots: training sentences a class.
        test: test sentences; no shot is among them.
        seed: of the draw.
        valid_shots: sentences a class for validation.

    Returns:
        `train`, `valid` (empty if none are asked for) and `test`.

    Raises:
        InputError: a class with too few sentences, or too few left for the test.

    Example:
        >>> some = Sentences(("a", "b", "c", "d", "e"), (0, 0, 1, 1, 1), ("no", "yes"))
        >>> parts = split_shots(some, shots=1, test=2, seed=0)
        >>> parts["train"].labels, len(parts["test"])
        ((0, 1), 2)
    """
    if min(shots, test) < 1 or valid_shots < 0:
        raise InputError(f"shots = {shots} and test = {test} must each be at least 1.")
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(sentences), generator=generator).tolist()
    by_class = [[k for k in order if sentences.labels[k] == c] for c in _places(sentences)]
    wanted = shots + valid_shots
    for name, places in zip(sentences.classes, by_class, strict=True):
        if len(places) < wanted:
            raise InputError(
                f"class '{name}' has {len(places)} sentences, but {shots} shots and {valid_shots} "
                "for validation were asked for: ask for fewer, or give more data."
            )
    used = {k for places in by_class for k in places[:wanted]}
    rest = [k for k in order if k not in used]
    if len(rest) < test:
        raise InputError(
            f"{test} test sentences were asked for, but {len(rest)} remain beside the shots: ask "
            "for fewer."
        )
    return {
        "train": sentences.take(k for places in by_class for k in places[:shots]),
        "valid": sentences.take(k for places in by_class for k in places[shots:wanted]),
        "test": sentences.take(rest[:test]),
    }


def _places(sentences: Sentences) -> range:
    return range(len(sentences.classes))
