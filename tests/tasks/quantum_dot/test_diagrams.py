import hashlib
import pickle

import numpy as np
import pytest

from ntklab.errors import InputError
from ntklab.tasks.quantum_dot.diagrams import load_diagrams
from ntklab.tasks.quantum_dot.simulator import simulate


def arrays(n=4):
    diagrams = simulate(n, seed=0)
    return {"clean": diagrams.clean, "noisy": diagrams.noisy, "labels": diagrams.labels}


def write_folder(folder, clean, noisy, labels):
    np.save(folder / "csds.npy", noisy)
    np.save(folder / "csds_noiseless.npy", clean)
    np.save(folder / "labels.npy", labels)


def test_the_authors_folder_and_an_archive_give_the_same_diagrams(tmp_path):
    given = arrays()
    write_folder(tmp_path, **given)
    np.savez(tmp_path / "all.npz", **given)
    folder, archive = load_diagrams(tmp_path), load_diagrams(str(tmp_path / "all.npz"))
    for key, value in given.items():
        np.testing.assert_array_equal(getattr(folder, key), value)
        np.testing.assert_array_equal(getattr(archive, key), value)
    expected = hashlib.sha256(b"".join(a.tobytes() for a in given.values())).hexdigest()
    assert folder.sha256 == archive.sha256 == expected


@pytest.mark.parametrize("images", [np.float16, np.float64])
@pytest.mark.parametrize("labels", [np.uint8, np.float64, np.bool_])
def test_other_number_types_are_converted(tmp_path, images, labels):
    given = arrays()
    given = {k: v.astype(labels if k == "labels" else images) for k, v in given.items()}
    np.savez(tmp_path / "all.npz", **given)
    diagrams = load_diagrams(tmp_path / "all.npz")
    assert diagrams.clean.dtype == np.float32
    assert diagrams.labels.dtype == np.int64
    assert diagrams.labels.tolist() == [0, 1, 0, 1]


def test_a_column_of_labels_is_accepted(tmp_path):
    given = arrays()
    np.savez(tmp_path / "all.npz", **{**given, "labels": given["labels"][:, None]})
    assert load_diagrams(tmp_path / "all.npz").labels.shape == (4,)


def with_nan(images):
    images = images.copy()
    images[2, 7, 7] = np.nan
    return images


BAD = {
    "small images": ({"clean": np.zeros((4, 49, 50))}, r"'clean' .* shape \(4, 49, 50\)"),
    "flat images": ({"noisy": np.zeros((4, 2500))}, r"'noisy' .* shape \(4, 2500\)"),
    "complex images": ({"noisy": np.zeros((4, 50, 50), complex)}, "complex128"),
    "text images": ({"noisy": np.full((4, 50, 50), "a")}, "expected real numbers"),
    "too big for float32": ({"clean": np.full((4, 50, 50), 1e300)}, "10000 values .* infinite"),
    "label 2": ({"labels": np.array([0, 1, 2, 1])}, "'labels' .* holds 2: expected only 0"),
    "label nan": ({"labels": np.array([0, 1, np.nan, 1])}, "holds nan"),
    "one-hot labels": ({"labels": np.eye(4)}, r"'labels' .* shape \(4, 4\)"),
    "few labels": ({"labels": np.array([0, 1])}, "expected 4 numbers"),
    "few clean": ({"clean": np.zeros((3, 50, 50))}, "3 clean and 4 noisy"),
    "nothing": (
        {"clean": np.zeros((0, 50, 50)), "noisy": np.zeros((0, 50, 50)), "labels": np.zeros(0)},
        "0 clean and 0 noisy",
    ),
}


@pytest.mark.parametrize(("change", "words"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_bad_contents_are_refused_in_one_sentence(tmp_path, kind, change, words):
    given = {**arrays(), **change}
    path = tmp_path
    if kind == "folder":
        write_folder(tmp_path, **given)
    else:
        path = tmp_path / "all.npz"
        np.savez(path, **given)
    with pytest.raises(InputError, match=words) as caught:
        load_diagrams(path)
    assert "\n" not in str(caught.value)


def test_nan_is_refused_with_count_and_image(tmp_path):
    given = arrays()
    write_folder(tmp_path, **{**given, "noisy": with_nan(given["noisy"])})
    with pytest.raises(InputError, match=r"'noisy' .* 1 values .* image 2"):
        load_diagrams(tmp_path)


def test_missing_paths_files_and_arrays_are_named(tmp_path):
    with pytest.raises(InputError, match="nowhere' does not exist"):
        load_diagrams(tmp_path / "nowhere")
    write_folder(tmp_path, **arrays())
    (tmp_path / "csds.npy").unlink()
    with pytest.raises(InputError, match=r"has no csds\.npy"):
        load_diagrams(tmp_path)
    np.savez(tmp_path / "part.npz", clean=np.zeros((1, 50, 50)))
    with pytest.raises(InputError, match="holds clean but no noisy, labels"):
        load_diagrams(tmp_path / "part.npz")


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut"])
def test_damaged_files_are_refused(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"cannot be read as an \.npz archive"):
        load_diagrams(tmp_path / "bad.npz")
    write_folder(tmp_path, **arrays())
    (tmp_path / "labels.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"labels\.npy' cannot be read as a \.npy"):
        load_diagrams(tmp_path)


def test_a_truncated_archive_is_refused(tmp_path):
    path = tmp_path / "all.npz"
    np.savez_compressed(path, **arrays())
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 3 : len(whole) // 3 + 200] = bytes(200)  # the directory stays readable
    path.write_bytes(bytes(whole))
    with pytest.raises(InputError, match=r"cannot be read as an \.npz archive"):
        load_diagrams(path)


class Bomb:
    """Unpickling it would be seen: it runs code."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_nothing_pickled_is_ever_loaded(tmp_path):
    objects = np.array([Bomb()] * 4, dtype=object)
    np.savez(tmp_path / "objects.npz", **{**arrays(), "labels": objects})
    (tmp_path / "raw.npz").write_bytes(pickle.dumps(Bomb()))
    write_folder(tmp_path, **arrays())
    np.save(tmp_path / "labels.npy", objects, allow_pickle=True)
    for path in (tmp_path / "objects.npz", tmp_path / "raw.npz", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            load_diagrams(path)


def test_an_npy_and_an_npz_under_each_others_name_are_refused(tmp_path):
    write_folder(tmp_path, **arrays())
    (tmp_path / "csds.npy").rename(tmp_path / "one.npz")
    with pytest.raises(InputError, match=r"cannot be read as an \.npz"):
        load_diagrams(tmp_path / "one.npz")
    np.savez(tmp_path / "x.npz", a=np.zeros(1))
    (tmp_path / "x.npz").rename(tmp_path / "csds.npy")
    with pytest.raises(InputError, match="is an archive of arrays"):
        load_diagrams(tmp_path)


def test_the_images_of_another_simulator_load(shared_data):
    diagrams = load_diagrams(shared_data("qdflow-csd.npz"))
    assert diagrams.clean.shape == diagrams.noisy.shape == (300, 50, 50)
    assert np.bincount(diagrams.labels).sum() == 300
    assert (np.bincount(diagrams.labels) > 100).all()
