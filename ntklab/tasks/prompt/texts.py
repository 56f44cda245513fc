"""Texts without a task: one a line, or a column of a table with the class beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ntklab.errors import InputError
from ntklab.tasks.prompt.table import is_table, read_lines, read_rows


@dataclass(frozen=True)
class Texts:
    """Texts, and their classes where a table has them.

    Attributes:
        texts: in the order of the file, without empty ones.
        classes: the class of each by name, or None.
    """

    texts: tuple[str, ...]
    classes: tuple[str, ...] | None

    def labels(self, words: Sequence[str]) -> tuple[int, ...]:
        """The class of each text as the place of its label word.

        Classes that are words of the readout are these; else they are taken in sorted order.

        Raises:
            InputError: no classes, or not as many as words.

        Example:
            >>> Texts(("dull", "fine"), ("0", "1")).labels(["terrible", "great"])
            (0, 1)
        """
        if self.classes is None:
            raise InputError("these texts have no classes: give --label-column NAME.")
        names = sorted(set(self.classes))
        if len(names) != len(words):
            raise InputError(
                f"the texts have {len(names)} classes ({', '.join(names[:4])}"
                f"{' …' if len(names) > 4 else ''}) for {len(words)} label words: give one word a "
                "class."
            )
        order = list(words) if set(names) == set(words) else names
        return tuple(order.index(name) for name in self.classes)


def read_texts(
    path: str | Path, *, text_column: str = "text", label_column: str | None = None
) -> Texts:
    """The texts of a file.

    Args:
        path: a table (.tsv, .csv, .jsonl), or any other file with one text a line; also .xz or .gz.
        text_column: where a table has its texts.
        label_column: where a table has its classes; None where they are not read.

    Raises:
        InputError: no such file, no text in it, a column that is not there, classes of a file
            that is no table.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "lines.txt"
        >>> _ = path.write_text("A fine film.\\n\\nDull.\\n")
        >>> read_texts(path).texts
        ('A fine film.', 'Dull.')
    """
    path = Path(path)
    if is_table(path):
        columns = [text_column] if label_column is None else [text_column, label_column]
        rows = [fields for _, fields in read_rows(path, columns) if fields[0].strip()]
        texts = tuple(fields[0].strip() for fields in rows)
        classes = None if label_column is None else tuple(fields[1] for fields in rows)
    else:
        if label_column is not None:
            raise InputError(
                f"'{path}' is no table, so it has no column '{label_column}': give a .tsv, .csv or "
                ".jsonl file."
            )
        texts, classes = tuple(line.strip() for line in read_lines(path) if line.strip()), None
    if not texts:
        raise InputError(f"'{path}' holds no text: give a file with one text a line, or a table.")
    return Texts(texts, classes)
