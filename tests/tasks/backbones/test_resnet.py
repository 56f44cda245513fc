import math

import pytest
import torch
from safetensors.torch import save_file

from ntklab.errors import InputError
from ntklab.tasks.backbones import resnet18


def torchvision_shapes(in_channels=3, fc=False):
    """torchvision's resnet18 state dict, written down as a rule of its own."""
    shapes = {"conv1.weight": (64, in_channels, 7, 7)}

    def norm(name, width):
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (width,)
        shapes[f"{name}.num_batches_tracked"] = ()

    norm("bn1", 64)
    for stage, (inside, outside) in enumerate([(64, 64), (64, 128), (128, 256), (256, 512)], 1):
        for block in (0, 1):
            name = f"layer{stage}.{block}"
            shapes[f"{name}.conv1.weight"] = (outside, outside if block else inside, 3, 3)
            norm(f"{name}.bn1", outside)
            shapes[f"{name}.conv2.weight"] = (outside, outside, 3, 3)
            norm(f"{name}.bn2", outside)
            if stage > 1 and block == 0:
                shapes[f"{name}.downsample.0.weight"] = (outside, inside, 1, 1)
                norm(f"{name}.downsample.1", outside)
    if fc:
        shapes |= {"fc.weight": (1000, 512), "fc.bias": (1000,)}
    return shapes


def learnable(shapes):
    names = [n for n in shapes if "running" not in n and "num_batches" not in n]
    return len(names), sum(math.prod(shapes[n]) for n in names)


def random_state(seed=0, fc=True, in_channels=3):
    """A state dict whose BatchNorm is not trivial, as after training."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in torchvision_shapes(in_channels, fc).items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            state[name] = torch.rand(shape, generator=generator) + 0.5
        else:
            scale = 1 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.3
            state[name] = scale * torch.randn(shape, generator=generator)
    return state


def slow_convolution(x, weight, stride, padding):
    """A convolution as one matrix product of unfolded patches."""
    outside, _, size, _ = weight.shape
    patches = torch.nn.functional.unfold(x, size, padding=padding, stride=stride)
    side = (x.shape[-1] + 2 * padding - size) // stride + 1
    return (weight.reshape(outside, -1) @ patches).reshape(len(x), outside, -1, side)


def slow_forward(state, x):
    """ResNet-18 from its definition, reading the state dict by name."""
    state = {k: v.double() for k, v in state.items()}

    def norm(x, name):
        part = {p: state[f"{name}.{p}"][:, None, None]
                for p in ("weight", "bias", "running_mean", "running_var")}  # fmt: skip
        return (x - part["running_mean"]) / torch.sqrt(part["running_var"] + 1e-5) * part[
            "weight"
        ] + part["bias"]

    x = norm(slow_convolution(x, state["conv1.weight"], 2, 3), "bn1").clamp(min=0)
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1), value=-math.inf)
    x = padded.unfold(2, 3, 2).unfold(3, 3, 2).amax((-1, -2))
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            name = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = slow_convolution(x, state[f"{name}.conv1.weight"], stride, 1)
            y = norm(y, f"{name}.bn1").clamp(min=0)
            y = norm(slow_convolution(y, state[f"{name}.conv2.weight"], 1, 1), f"{name}.bn2")
            if f"{name}.downsample.0.weight" in state:
                x = slow_convolution(x, state[f"{name}.downsample.0.weight"], stride, 0)
                x = norm(x, f"{name}.downsample.1")
            x = (x + y).clamp(min=0)
    return x.mean((2, 3))


def test_the_rule_of_names_has_torchvisions_totals():
    """The published numbers: 122 entries, 62 parameters, 11,689,512 weights with fc."""
    whole = torchvision_shapes(3, fc=True)
    assert len(whole) == 122
    assert learnable(whole) == (62, 11_689_512)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_state_dict_has_torchvisions_names_and_shapes(channels):
    network = resnet18(in_channels=channels)
    found = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    assert found == torchvision_shapes(channels)
    total = sum(p.numel() for p in network.parameters())
    assert total == {1: 11_170_240, 3: 11_176_512}[channels]


def test_forward_equals_the_definition_computed_slowly(tmp_path):
    state = random_state()
    torch.save(state, tmp_path / "weights.pt")
    network = resnet18(in_channels=3, weights=tmp_path / "weights.pt", dtype=torch.float64)
    x = torch.randn(2, 3, 50, 50, dtype=torch.float64)
    torch.testing.assert_close(network(x), slow_forward(state, x), rtol=1e-10, atol=1e-12)


def test_random_weights_follow_the_seed_and_leave_torchs_random_state_alone():
    before = torch.random.get_rng_state()
    one, again, other = resnet18(seed=1), resnet18(seed=1), resnet18(seed=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one.layer4[1].conv2.weight, again.layer4[1].conv2.weight)
    assert not torch.equal(one.layer4[1].conv2.weight, other.layer4[1].conv2.weight)
    assert torch.equal(
        one.conv1.weight.double(), resnet18(seed=1, dtype=torch.float64).conv1.weight
    )


def test_random_weights_have_torchvisions_variance():
    for name, tensor in resnet18().state_dict().items():
        if tensor.ndim == 4:
            fan_out = tensor.shape[0] * tensor.shape[2] * tensor.shape[3]
            relative = tensor.var().item() * fan_out / 2
            assert abs(relative - 1) < 5 * math.sqrt(2 / tensor.numel()), name
        elif name.endswith(("running_var", ".weight")):
            assert (tensor == 1).all(), name
        else:
            assert (tensor == 0).all(), name


def test_the_network_is_frozen_and_evaluates():
    network = resnet18()
    assert not any(module.training for module in network.modules())
    assert not any(p.requires_grad for p in network.parameters())


def test_safetensors_and_torch_files_give_the_same_network(tmp_path):
    state = random_state(fc=False)
    save_file(state, tmp_path / "w.safetensors")
    torch.save(state, tmp_path / "w.pth")
    x = torch.randn(1, 3, 32, 32)
    one, two = (
        resnet18(in_channels=3, weights=tmp_path / f"w.{kind}")(x)
        for kind in ("safetensors", "pth")
    )
    assert torch.equal(one, two)


def test_one_channel_shows_the_grey_image_to_all_three(tmp_path):
    torch.save(random_state(), tmp_path / "w.pt")
    grey, colour = (
        resnet18(in_channels=c, weights=tmp_path / "w.pt", dtype=torch.float64) for c in (1, 3)
    )
    x = torch.randn(2, 1, 40, 40, dtype=torch.float64)
    torch.testing.assert_close(grey(x), colour(x.expand(-1, 3, -1, -1)), rtol=1e-5, atol=1e-6)


def test_files_from_before_the_batch_counter_load(tmp_path):
    state = {k: v for k, v in random_state().items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "w.pt")
    network = resnet18(in_channels=3, weights=tmp_path / "w.pt")
    assert torch.equal(network.bn1.running_var, state["bn1.running_var"])


def test_wrong_names_and_shapes_are_refused_with_the_first_few(tmp_path):
    path = tmp_path / "w.pt"
    state = random_state()
    torch.save({f"module.{k}": v for k, v in state.items()}, path)
    with pytest.raises(InputError) as caught:
        resnet18(weights=path)
    message = str(caught.value)
    assert "missing conv1.weight, bn1.weight, bn1.bias and 97 more" in message
    assert "unexpected module.conv1.weight" in message
    assert "\n" not in message
    torch.save({**state, "layer1.0.conv1.weight": torch.zeros(64, 64, 5, 5)}, path)
    with pytest.raises(InputError, match=r"layer1\.0\.conv1\.weight \(64, 64, 5, 5\) where"):
        resnet18(in_channels=3, weights=path)
    torch.save(state, path)
    with pytest.raises(InputError, match=r"conv1\.weight \(64, 3, 7, 7\) where \(64, 2, 7, 7\)"):
        resnet18(in_channels=2, weights=path)


class Bomb:
    """Unpickling it would be seen: it runs code."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_unreadable_weights_are_refused(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(InputError, match="is not a file"):
        resnet18(weights=path)
    path.write_bytes(b"not weights at all")
    with pytest.raises(InputError, match="cannot be read as weights"):
        resnet18(weights=path)
    torch.save({"conv1.weight": Bomb()}, path)
    with pytest.raises(InputError, match="cannot be read as weights") as caught:
        resnet18(weights=path)
    assert "weights_only=False" not in str(caught.value)


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {}, "epoch": 3}, torch.zeros(2)])
def test_a_file_that_is_no_dict_of_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(InputError, match="not a dict of tensors by name"):
        resnet18(weights=tmp_path / "w.pt")
