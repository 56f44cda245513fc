import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("zarr", reason="needs the extra cluster")

from ntklab.distributed.store import (
    BlockStore,
    Layout,
    claim,
    open_store,
    stored_chunk,
)
from ntklab.errors import InputError


def symmetric(layout):
    matrix = np.random.default_rng(0).normal(size=layout.shape)
    return (matrix + np.swapaxes(matrix, -1, -2)).astype(layout.dtype)


def filled(store, matrix):
    for i, j in store.layout.blocks:
        store.write(i, j, matrix[store.layout.at(i, j)])
    return store


@given(
    samples=st.integers(1, 9), step=st.integers(1, 3), chunk=st.integers(1, 10),
    stacked=st.sampled_from([0, 2]), dtype=st.sampled_from(["float64", "float32"]),
)  # fmt: skip
def test_what_is_written_is_read_mirrored(tmp_path_factory, samples, step, chunk, stacked, dtype):
    layout = Layout(samples, step, stacked, chunk, dtype)
    path = tmp_path_factory.mktemp("store") / "k.zarr"
    matrix = symmetric(layout)
    store = filled(open_store(path, {}, layout), matrix)
    assert store.missing() == []
    assert np.array_equal(BlockStore(str(path), layout).dense(), matrix)


def test_a_block_of_zeros_is_there_too(tmp_path):
    layout = Layout(4, 1, 0, 2, "float64")
    store = open_store(tmp_path / "k.zarr", {}, layout)
    store.write(0, 0, np.zeros((2, 2)))
    assert store.missing() == [(0, 1), (1, 1)]
    with pytest.raises(InputError, match=r"lacks block \(0, 1\)"):
        store.dense()


def test_any_reader_of_zarr_opens_it(tmp_path):
    import zarr

    layout = Layout(3, 1, 0, 2, "float32")
    matrix = symmetric(layout)
    filled(open_store(tmp_path / "k.zarr", {}, layout), matrix)
    seen = np.asarray(zarr.open_group(tmp_path / "k.zarr", mode="r")["gram"][:])
    assert np.array_equal(np.triu(seen), np.triu(matrix))


def test_a_store_of_another_matrix_is_refused(tmp_path):
    place, layout = tmp_path / "k.zarr", Layout(4, 1, 0, 2, "float64")
    open_store(place, {"seed": 0}, layout)
    with pytest.raises(InputError, match="holds blocks with seed = 0, not 1"):
        open_store(place, {"seed": 1}, layout)
    with pytest.raises(InputError, match=r"layout\.samples = 4, not 5"):
        open_store(place, {"seed": 0}, Layout(5, 1, 0, 2, "float64"))
    assert stored_chunk(place) == 2
    assert stored_chunk(tmp_path / "none") is None


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="something else"):
        claim(tmp_path, {})
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        claim(tmp_path / "file", {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "notes.txt"]


@pytest.mark.parametrize("repeat", range(20))
def test_whoever_comes_first_decides_and_the_others_are_told(tmp_path, repeat):
    place = tmp_path / "k.zarr"

    def attempt(seed):
        try:
            claim(place, {"of": {"seed": seed}})
        except InputError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(attempt, range(8)))
    won = json.loads((place / "ntklab.json").read_text())["of"]["seed"]
    assert told[won] is None
    assert all(f"seed = {won}" in one for seed, one in enumerate(told) if seed != won)
    assert [path.name for path in place.iterdir()] == ["ntklab.json"]


def test_a_damaged_block_is_a_sentence_and_never_numbers(tmp_path):
    layout = Layout(4, 1, 0, 2, "float64")
    store = filled(open_store(tmp_path / "k.zarr", {}, layout), symmetric(layout))
    file = tmp_path / "k.zarr" / "gram" / "c" / "0" / "1"
    data = bytearray(file.read_bytes())
    data[3] ^= 1
    file.write_bytes(data)
    with pytest.raises(InputError, match=r"block \(0, 1\) .* cannot be read"):
        store.dense()


def test_the_triangle_of_each_kind_is_kept(tmp_path):
    store = open_store(tmp_path / "k.zarr", {}, Layout(4, 1, 0, 2, "float64"))
    R = np.triu(np.ones((3, 3)))
    assert store.triangle(3, "plain") is None
    store.keep_triangle(R, "plain")
    assert np.array_equal(store.triangle(3, "plain"), R)
    assert store.triangle(3, "centred") is None
