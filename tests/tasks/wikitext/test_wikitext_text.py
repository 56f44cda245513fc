import importlib.util
import lzma
import subprocess
import sys

import pytest

from ntklab.errors import InputError, MissingExtraError
from ntklab.tasks.wikitext import read_text


def test_raw_and_compressed_files_give_the_same_text(tmp_path):
    text = " = A title = \n word @-@ level , <unk> é \n"
    (tmp_path / "test.txt").write_text(text, encoding="utf-8")
    with lzma.open(tmp_path / "valid.txt.xz", "wt", encoding="utf-8") as file:
        file.write(text)
    assert read_text(tmp_path, "test") == read_text(tmp_path, "valid") == text
    assert read_text(tmp_path / "valid.txt.xz", "train") == text


def test_wikitext_two_has_its_published_number_of_words(shared_data):
    text = read_text(shared_data("wikitext-2"), "test")
    assert len(text.split()) + text.count("\n") == 245569


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "no text"), (b"\xff\xfe\x00", "UTF-8"), (None, "has no test.txt")]
)
def test_files_that_are_no_text_are_refused(tmp_path, content, said):
    if content is not None:
        (tmp_path / "test.txt").write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_text(tmp_path, "test")


def test_a_damaged_archive_is_refused(tmp_path):
    (tmp_path / "test.txt.xz").write_bytes(lzma.compress(b"words " * 1000)[:-20])
    with pytest.raises(InputError, match="cannot be read"):
        read_text(tmp_path, "test")


def test_an_unknown_split_is_named(tmp_path):
    with pytest.raises(InputError, match="did you mean 'valid'"):
        read_text(tmp_path, "validation")


@pytest.mark.skipif(importlib.util.find_spec("datasets") is not None, reason="datasets is there")
def test_the_hub_says_which_extra_it_needs():
    with pytest.raises(MissingExtraError, match=r"ntklab\[hub\]"):
        read_text(None, "test")


def test_importing_the_task_imports_no_transformers():
    heavy = "[m for m in ('transformers', 'datasets') if m in sys.modules]"
    code = f"import sys, ntklab.tasks; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
