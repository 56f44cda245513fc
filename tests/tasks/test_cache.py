"""The one cache of tasks: what is damaged counts as absent, what is stored comes back."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.tasks.cache import (
    default_cache,
    new_array,
    prepare,
    read_array,
    read_tensors,
    write_tensors,
)

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.bool)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=3), st.sampled_from(DTYPES), st.integers(0, 99))
def test_tensors_come_back_with_their_notes(tmp_path_factory, shape, dtype, seed):
    path = tmp_path_factory.mktemp("cache") / "deep" / "x.safetensors"
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 2, shape, generator=generator).to(dtype)
    write_tensors(path, {"x": x, "y": torch.ones(2)}, {"seed": seed})
    tensors, notes = read_tensors(path)
    assert torch.equal(tensors["x"], x)
    assert tensors["x"].dtype == dtype
    assert notes == {"seed": seed}


@pytest.mark.parametrize("place", [-1, 0.5, 8])
def test_one_changed_byte_is_damage(tmp_path, place):
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"x": torch.arange(64.0)})
    content = bytearray(path.read_bytes())
    content[int(len(content) * place) if 0 < place < 1 else place] ^= 1
    path.write_bytes(bytes(content))
    assert read_tensors(path) is None
    assert read_tensors(tmp_path / "absent") is None


def test_an_array_of_another_shape_or_dtype_is_not_taken(tmp_path):
    path = tmp_path / "x.npy"
    with new_array(path, (3, 2), np.float32) as array:
        array[:] = 7
    assert read_array(path, (3, 2), np.float32).tolist() == [[7, 7]] * 3
    assert read_array(path, (2, 3), np.float32) is None
    assert read_array(path, (3, 2), np.float16) is None


def test_a_block_that_fails_leaves_no_array(tmp_path):
    def fill():
        with new_array(tmp_path / "x.npy", (3,), np.float32):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_named_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(InputError, match="cannot be written: give another one"):
            prepare(folder)


def test_the_default_cache_honours_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("NTKLAB_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_cache() == Path.home() / ".cache" / "ntklab"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache() == tmp_path / "xdg" / "ntklab"
    monkeypatch.setenv("NTKLAB_CACHE", str(tmp_path / "own"))
    assert default_cache() == tmp_path / "own"
