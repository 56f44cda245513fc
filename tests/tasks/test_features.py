import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from ntklab.errors import InputError
from ntklab.tasks.features import extract, feature_hash


class Counting(nn.Module):
    """A small backbone that counts its calls and remembers how it was called."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self._calls = []

    def forward(self, x):
        self._calls.append((len(x), self.training, torch.is_grad_enabled(), x.dtype))
        return self.net(x)


def images(n=7):
    return torch.randn(n, 1, 6, 6, generator=torch.Generator().manual_seed(1))


def test_features_are_those_of_the_evaluating_backbone_averaged_over_places():
    backbone = Counting().train()
    found = extract(backbone, images(), batch_size=3)
    expected = Counting().eval()(images()).mean((2, 3)).detach()
    assert found.shape == (7, 4)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)
    assert [call[0] for call in backbone._calls] == [3, 3, 1]
    assert all(not training and not grad for _, training, grad, _ in backbone._calls)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 100])
def test_the_chunk_does_not_change_the_features(batch_size):
    found = extract(Counting(), images(), batch_size=batch_size)
    torch.testing.assert_close(found, extract(Counting(), images(), batch_size=4))


def test_modes_come_back_even_after_an_error():
    backbone = Counting().train()
    backbone.net[1].eval()
    modes = [m.training for m in backbone.modules()]
    extract(backbone, images())
    assert [m.training for m in backbone.modules()] == modes
    with pytest.raises(RuntimeError):
        extract(backbone, torch.zeros(2, 5, 6, 6))
    assert [m.training for m in backbone.modules()] == modes
    assert torch.is_grad_enabled()


def test_images_are_converted_to_the_backbones_dtype():
    backbone = Counting().double()
    assert extract(backbone, images()).dtype == torch.float32
    assert backbone._calls[0][3] == torch.float64


def test_a_second_call_reads_the_cache_and_does_not_run_the_backbone(tmp_path):
    backbone, seen = Counting(), []
    first = extract(backbone, images(), cache=tmp_path, batch_size=3)
    calls = len(backbone._calls)
    second = extract(backbone, images(), cache=tmp_path, progress=lambda *p: seen.append(p))
    assert len(backbone._calls) == calls
    assert torch.equal(first, second)
    assert seen == [(7, 7)]
    (path,) = tmp_path.iterdir()
    assert path.name == f"{feature_hash(backbone, images())}.safetensors"
    assert torch.equal(load_file(path)["features"], first)


def test_progress_counts_images():
    seen = []
    extract(Counting(), images(), batch_size=3, progress=lambda *p: seen.append(p))
    assert seen == [(3, 7), (6, 7), (7, 7)]


def flip_last(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"junk" * 100),
        lambda path: path.write_bytes(path.read_bytes()[:-4]),
        flip_last,
    ],
    ids=["empty", "junk", "cut", "one bit"],
)
def test_a_damaged_cache_file_is_computed_anew_and_mended(tmp_path, damage):
    backbone = Counting()
    first = extract(backbone, images(), cache=tmp_path)
    (path,) = tmp_path.iterdir()
    damage(path)
    assert torch.equal(extract(backbone, images(), cache=tmp_path), first)
    assert len(backbone._calls) == 2
    assert torch.equal(extract(backbone, images(), cache=tmp_path), first)
    assert len(backbone._calls) == 2
    assert list(tmp_path.iterdir()) == [path]  # no temporary file is left behind


def test_the_hash_follows_weights_buffers_images_and_dtypes_only():
    hashes = {feature_hash(Counting(), images())}
    assert feature_hash(Counting().train(), images()) in hashes
    changed = Counting()
    with torch.no_grad():
        changed.net[0].weight[0, 0, 0, 0] += 1e-6
    hashes.add(feature_hash(changed, images()))
    changed = Counting()
    changed.net[1].running_mean[0] = 1e-6
    hashes.add(feature_hash(changed, images()))
    hashes.add(feature_hash(Counting().double(), images()))
    hashes.add(feature_hash(Counting(), images().double()))
    hashes.add(feature_hash(Counting(), images(6)))
    hashes.add(feature_hash(Counting(), images().flip(0)))
    hashes.add(feature_hash(Counting(), images().reshape(7, 1, 4, 9)))
    assert len(hashes) == 8


def test_the_hash_follows_what_the_module_computes():
    class Plain(nn.Module):
        def forward(self, x):
            return x.flatten(1) + 1

    class Another(nn.Module):
        def forward(self, x):
            return x.flatten(1) + 2

    Another.__qualname__ = Plain.__qualname__  # only the code of forward differs

    class Scaled(nn.Module):
        def __init__(self, scale):
            super().__init__()
            self.scale = scale

        def forward(self, x):
            return self.scale * x.flatten(1)

    modules = [Plain(), Another(), Scaled(1.0), Scaled(2.0), nn.Sequential(nn.ReLU()),
               nn.Sequential(nn.Tanh()), nn.MaxPool2d(2), nn.MaxPool2d(2, stride=1)]  # fmt: skip
    assert len({feature_hash(module, images()) for module in modules}) == len(modules)


@pytest.mark.parametrize("shape", [(7,), (7, 2, 3), (3, 4)])
def test_a_backbone_of_another_shape_is_refused(shape):
    class Odd(nn.Module):
        def forward(self, x):
            return torch.zeros(shape)

    with pytest.raises(InputError, match=r"expected features of shape \(N, d\)"):
        extract(Odd(), images())


def test_nothing_to_do_and_impossible_chunks_are_refused():
    with pytest.raises(InputError, match="0 images"):
        extract(Counting(), images(0))
    with pytest.raises(InputError, match="chunks of 0"):
        extract(Counting(), images(), batch_size=0)


def test_a_cache_that_cannot_be_a_folder_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    backbone = Counting()
    with pytest.raises(InputError, match="cannot be written"):
        extract(backbone, images(), cache=tmp_path / "file")
    assert backbone._calls == []
