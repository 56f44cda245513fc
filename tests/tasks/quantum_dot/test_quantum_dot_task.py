import json

import pytest
import torch

from ntklab.errors import InputError
from ntklab.tasks import load_quantum_dot, resnet18, simulate
from ntklab.tasks.features import extract


def rows_of(task):
    return torch.cat([task.train.features, task.test.features])


def test_features_labels_and_split_are_those_of_the_simulated_images():
    task = load_quantum_dot(condition="clean", images=20, cache=None, data_seed=3, backbone_seed=1)
    diagrams = simulate(20, seed=3)
    features = extract(resnet18(seed=1), torch.from_numpy(diagrams.clean)[:, None]).double()
    assert task.train.features.shape == (16, 512)
    assert task.test.features.shape == (4, 512)
    assert task.train.features.dtype == torch.float64
    distance = torch.cdist(rows_of(task), features, compute_mode="donot_use_mm_for_euclid_dist")
    found = distance.argmin(1)  # which image each row of the task shows
    assert sorted(found.tolist()) == list(range(20))
    assert distance.min(1).values.max() < 1e-4
    labels = torch.cat([task.train.labels, task.test.labels])
    assert torch.equal(labels, torch.from_numpy(diagrams.labels)[found])


def test_clean_and_noisy_have_the_same_devices_in_the_same_split():
    clean, noisy = (
        load_quantum_dot(condition=c, images=15, cache=None, data_seed=2)
        for c in ("clean", "noisy")
    )
    for part in ("train", "test"):
        assert torch.equal(getattr(clean, part).labels, getattr(noisy, part).labels)
    assert clean.source["data_sha256"] == noisy.source["data_sha256"]
    assert clean.source["features_hash"] != noisy.source["features_hash"]
    assert not torch.equal(clean.train.features, noisy.train.features)


def test_the_seeds_decide_everything():
    def load(**seeds):
        return rows_of(load_quantum_dot(images=10, cache=None, dtype=torch.float32, **seeds))

    assert torch.equal(load(), load(data_seed=0, backbone_seed=0))
    assert not torch.equal(load(), load(data_seed=1))
    assert not torch.equal(load(), load(backbone_seed=1))


def test_the_source_is_json_and_names_what_was_used(tmp_path):
    torch.save(resnet18(seed=9).state_dict(), tmp_path / "mine.pt")
    task = load_quantum_dot(images=5, backbone_weights=tmp_path / "mine.pt", cache=None)
    source = json.loads(json.dumps(task.source))
    assert source["backbone_weights"] == "mine.pt"
    assert source["backbone_seed"] is None
    assert source["condition"] == "noisy"
    assert source["data"] == "simulator"
    assert source["data_sha256"] == simulate(5, seed=0).sha256
    drawn = load_quantum_dot(images=5, backbone_seed=9, cache=None)
    assert drawn.source["backbone_seed"] == 9
    assert torch.equal(rows_of(drawn), rows_of(task))


def test_the_default_cache_is_used_and_found_again(monkeypatch, tmp_path):
    monkeypatch.setenv("NTKLAB_CACHE", str(tmp_path))
    seen = []
    first = load_quantum_dot(images=6, progress=lambda *p: seen.append(p))
    assert [p.name for p in tmp_path.iterdir()] == [f"{first.source['features_hash']}.safetensors"]
    monkeypatch.setattr(torch.nn.functional, "conv2d", None)  # the backbone can no longer run
    again = load_quantum_dot(images=6)
    assert torch.equal(rows_of(first), rows_of(again))


def test_what_cannot_be_loaded_is_refused(tmp_path):
    with pytest.raises(InputError, match="unknown condition 'nosy': did you mean 'noisy'"):
        load_quantum_dot(condition="nosy")
    with pytest.raises(InputError, match=r"images=7 .* leave one"):
        load_quantum_dot(images=7, data=tmp_path)
    with pytest.raises(InputError, match="4 images are too few"):
        load_quantum_dot(images=4)
    with pytest.raises(InputError, match="does not exist"):
        load_quantum_dot(data=tmp_path / "nowhere")


def test_features_that_overflow_are_refused(tmp_path):
    network = resnet18()
    network.conv1.weight.fill_(3e38)
    torch.save(network.state_dict(), tmp_path / "w.pt")
    with pytest.raises(InputError, match="NaN or infinite"):
        load_quantum_dot(images=5, backbone_weights=tmp_path / "w.pt", cache=None)


def test_a_linear_probe_on_random_features_beats_chance_on_clean_images(tmp_path):
    """Least squares on 200 rows; 120 test rows, so chance is 0.5 ± 0.046 and 0.65 is 3.3 sd up."""
    task = load_quantum_dot(condition="clean", cache=tmp_path).subset(200, seed=0)
    centre = task.train.features.mean(0)
    y = 2.0 * task.train.labels.double() - 1
    weight = torch.linalg.lstsq(task.train.features - centre, y[:, None], driver="gelsd").solution
    guess = ((task.test.features - centre) @ weight)[:, 0] > 0
    assert (guess == (task.test.labels == 1)).double().mean() > 0.65


def test_files_of_another_simulator_become_a_task(shared_data):
    path = shared_data("qdflow-csd.npz")
    task = load_quantum_dot(data=path, cache=None)
    assert (task.train.n_samples, task.test.n_samples, task.n_features) == (240, 60, 512)
    assert task.source["data"] == "qdflow-csd.npz"


def test_the_backbone_is_hashed_once(monkeypatch, tmp_path):
    from ntklab.tasks import features
    from ntklab.tasks.quantum_dot import task as module

    hashed, real = [], features.feature_hash

    def counted(backbone, shown):
        hashed.append(len(shown))
        return real(backbone, shown)

    monkeypatch.setattr(features, "feature_hash", counted)
    monkeypatch.setattr(module, "feature_hash", counted)
    task = load_quantum_dot(images=5, cache=tmp_path)
    assert hashed == [5]
    assert [path.stem for path in tmp_path.glob("*.safetensors")] == [task.source["features_hash"]]
