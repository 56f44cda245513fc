"""Tables of text: every format, and what is wrong with bad ones."""

import gzip
import json
import lzma

import pytest

from ntklab.errors import InputError
from ntklab.tasks.prompt import Sentences, read_labelled, read_rated, read_rows, split_shots

ROWS = [("good", 'a "fine" film'), ("bad", "a dull, long one"), ("good", "warm ünd odd")]


def written(folder, kind):
    name, _, packed = kind.partition(".")
    if name == "jsonl":
        text = "".join(json.dumps({"label": a, "text": b}) + "\n" for a, b in ROWS)
    elif name == "tsv":
        text = "label\ttext\n" + "".join(f"{a}\t{b}\n" for a, b in ROWS)
    else:
        quoted = [(a, '"' + b.replace('"', '""') + '"') for a, b in ROWS]
        text = "label,text\r\n" + "".join(f"{a},{b}\r\n" for a, b in quoted)
    opener = {"xz": lzma.open, "gz": gzip.open, "": open}[packed]
    path = folder / f"rows.{kind}"
    with opener(path, "wb") as file:
        file.write(text.encode())
    return path


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl", "tsv.xz", "csv.gz", "jsonl.xz"])
def test_every_format_gives_the_same_rows(tmp_path, kind):
    found = [fields for _, fields in read_rows(written(tmp_path, kind), ["text", "label"])]
    assert found == [[text, label] for label, text in ROWS]


def test_rows_are_read_one_at_a_time(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("text\nfirst\n" + "second\n" * 5)
    rows = read_rows(path, ["text"])
    assert next(rows) == (2, ["first"])
    assert next(rows) == (3, ["second"])


def test_classes_from_a_column(tmp_path):
    found = read_labelled(written(tmp_path, "tsv"), text_column="text", label_column="label")
    assert (found.classes, found.labels) == (("bad", "good"), (1, 0, 1))
    ordered = read_labelled(
        written(tmp_path, "tsv"), text_column="text", label_column="label", classes=["good", "bad"]
    )
    assert ordered.labels == (0, 1, 0)


def test_a_sentence_that_comes_twice_counts_once(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("rating\ttext\n2\tfine\n2\tfine \n-2\tdull\n2\t\n0\tplain\n")
    found = read_rated(path, text_column="text", rating_column="rating", thresholds=(-1, 1))
    assert (found.texts, found.labels, found.left_out) == (("fine", "dull"), (1, 0), 3)


def table(folder, text, name="rows.tsv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


RATED = {"text_column": "text", "rating_column": "rating", "thresholds": (-1, 1)}
BAD = {
    "column": ("rate\ttext\n1\ta\n", "unknown column of 'rows.tsv' 'rating': did you mean 'rate'"),
    "number": ("rating\ttext\n1\ta\nfive\tb\n", "row 3 of .*: rating = 'five' is no number"),
    "nan": ("rating\ttext\nnan\ta\n", "is no number"),
    "one class": ("rating\ttext\n2\ta\n3\tb\n", r"1 of 2 classes \(none is '<= -1'\)"),
    "empty": ("rating\ttext\n", "0 of 2 classes"),
    "short row": ("rating\ttext\n2\n", "row 2 of .* has 1 fields, the header 2"),
    "not text": (b"rating\ttext\n2\t\xff\xfe\n", "cannot be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_get_a_sentence(tmp_path, case):
    text, sentence = BAD[case]
    with pytest.raises(InputError, match=sentence) as caught:
        read_rated(table(tmp_path, text), **RATED)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_tables(tmp_path):
    with pytest.raises(InputError, match="is no file"):
        read_rated(tmp_path / "absent.tsv", **RATED)
    with pytest.raises(InputError, match=r"none of .tsv, .csv, .jsonl"):
        read_rated(table(tmp_path, "x", "rows.txt"), **RATED)
    with pytest.raises(InputError, match="cannot be read"):
        read_rated(table(tmp_path, "no archive", "rows.tsv.xz"), **RATED)
    with pytest.raises(InputError, match=r"line 1 of .* is no JSON object"):
        read_rated(table(tmp_path, "{\n", "rows.jsonl"), **RATED)
    with pytest.raises(InputError, match="the first must be below the second"):
        read_rated(table(tmp_path, "x"), **{**RATED, "thresholds": (1, -1)})


class TestShots:
    some = Sentences(tuple("abcdefghij"), (0, 0, 0, 0, 0, 1, 1, 1, 1, 1), ("no", "yes"))

    def test_parts_do_not_meet_and_seeds_decide(self):
        parts = split_shots(self.some, shots=2, valid_shots=1, test=4, seed=0)
        texts = [text for part in parts.values() for text in part.texts]
        assert len(texts) == len(set(texts)) == 10
        assert parts["train"].labels == (0, 0, 1, 1)
        assert parts["valid"].labels == (0, 1)
        assert split_shots(self.some, shots=2, valid_shots=1, test=4, seed=0) == parts
        assert split_shots(self.some, shots=2, valid_shots=1, test=4, seed=1) != parts
        for part in parts.values():
            for text, label in zip(part.texts, part.labels, strict=True):
                assert self.some.labels[self.some.texts.index(text)] == label

    def test_too_few(self):
        with pytest.raises(InputError, match="class 'no' has 5 sentences, but 6 shots"):
            split_shots(self.some, shots=6, test=1, seed=0)
        with pytest.raises(InputError, match="9 test sentences were asked for, but 6 remain"):
            split_shots(self.some, shots=2, test=9, seed=0)
        with pytest.raises(InputError, match="must each be at least 1"):
            split_shots(self.some, shots=0, test=1, seed=0)
