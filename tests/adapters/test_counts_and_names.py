"""Facts of the paper's public code and tables: parameter counts, state-dict names, costs."""

import pytest
import torch

from ntklab.adapters import METHODS, LoRA, TensorGuide, TTDelta, build_adapter
from ntklab.tasks.backbones import resnet18
from ntklab.tensor_train import TTShape

# The conv1 of a one-channel ResNet-18, trained in runs that the paper calls frozen.
CONV1 = 64 * 1 * 7 * 7

HEADS = [
    ("lora", 2056, 5192, lambda h: h.lora()),
    ("tt-lora", 1764, 4900, lambda h: h.tt_lora()),
    ("tensorguide 1024", 1140, 4276, lambda h: h.tensorguide(1024)),
    ("tensorguide 2048", 1156, 4292, lambda h: h.tensorguide(2048)),
    ("tensorguide 4096", 1220, 4356, lambda h: h.tensorguide(4096)),
]


@pytest.mark.parametrize(("count", "published", "build"), [h[1:] for h in HEADS], ids=lambda v: v)
def test_parameter_counts(heads, count, published, build):
    adapter = build(heads)
    assert adapter.parameter_count == count == published - CONV1
    assert sum(shape.parameters for shape in adapter.shapes.values()) in (0, count)


def test_what_the_published_counts_hold_besides_the_head():
    assert resnet18().conv1.weight.numel() == CONV1


def test_the_gpt2_head():
    assert LoRA(768, 50257, 1, dtype=torch.float16).parameter_count == 51025 == 768 + 50257
    assert 51025 == 5 * 5 * 13 * 157
    shape = TTShape((1, 2, 2, 1), (5, 5, 13, 157), (1, 2, 2, 1, 1))
    head = TensorGuide(768, 50257, 1, shape=shape)
    assert (head.parameter_count, head.generate().numel()) == (259, 51025)


@pytest.mark.parametrize(("middle_rank", "last_rank"), [(2, 1), (2, 2), (3, 1), (4, 2)])
def test_counts_over_tt_ranks(heads, middle_rank, last_rank):
    # P = 16 r1 + 16 r1 r2 + 514 r2 r3 + 16 r3 (theory, Table 5), with r1 = r2 here.
    r = middle_rank
    head = heads.tensorguide(ranks=(1, r, r, last_rank, 1))
    counted = 16 * r + 16 * r * r + 514 * r * last_rank + 16 * last_rank
    assert head.parameter_count == counted


def names(adapter):
    return {name: tuple(value.shape) for name, value in adapter.state_dict().items()}


def test_lora_and_the_probe_name_their_factors():
    assert names(build_adapter("lora", 6, 2, rank=3)) == {"A": (3, 6), "B": (2, 3)}
    assert names(build_adapter("linear-probe", 6, 2)) == {"weight": (2, 6)}


def test_tt_lora_names_two_trains_and_their_latents(heads):
    assert names(heads.tt_lora()) == {
        "latent1": (512,),
        "latent2": (20,),
        "cores1.0": (1, 8, 8, 2),
        "cores1.1": (2, 8, 8, 2),
        "cores1.2": (2, 8, 80, 1),
        "cores2.0": (1, 4, 10, 2),
        "cores2.1": (2, 5, 2, 1),
    }


def test_tensorguide_names_its_cores_and_its_latent(heads):
    assert names(heads.tensorguide(1024)) == {
        "latent": (4,),
        "cores.0": (1, 1, 16, 2),
        "cores.1": (2, 2, 8, 2),
        "cores.2": (2, 2, 257, 1),
        "cores.3": (1, 1, 16, 1),
    }


def test_tt_delta_cores_have_three_axes():
    shape = TTShape.plain((3, 4, 2), (1, 2, 2, 1))
    assert names(TTDelta(12, 2, shape=shape)) == {
        "cores.0": (1, 3, 2),
        "cores.1": (2, 4, 2),
        "cores.2": (2, 2, 1),
    }


def test_tera_keeps_what_is_frozen_in_buffers():
    head = METHODS["tera"](12, 2, dims=(3, 4, 2), ranks=(2, 3, 2))
    assert names(head) == {
        "core": (2, 3, 2),
        "factors.0": (3, 2),
        "factors.1": (4, 3),
        "factors.2": (2, 2),
        "scalings.0": (2,),
        "scalings.1": (3,),
        "scalings.2": (2,),
    }
    assert {n for n, p in head.named_parameters() if p.requires_grad} == {
        "scalings.0",
        "scalings.1",
        "scalings.2",
    }


@pytest.mark.parametrize("method", METHODS)
def test_a_base_is_called_base(method):
    base = torch.nn.Linear(6, 2)
    assert {"base.weight", "base.bias"} <= names(build_adapter(method, 6, 2, base=base)).keys()


def test_multiply_adds(heads):
    # Theory, Table 4: 256 times what LoRA needs at M = 1024, 1024 times at M = 4096.
    assert heads.tensorguide(1024).macs == 526_336
    assert heads.lora().macs == 2056
    assert heads.tensorguide(1024).macs / heads.lora().macs == 256
    assert heads.tensorguide(4096).macs / heads.lora().macs == 1024
    assert heads.probe().macs == 1024


def test_description_of_the_published_head(heads):
    described = heads.tensorguide(4096, preset="released").describe()
    assert described == {
        "method": "tensorguide",
        "in_features": 512,
        "out_features": 2,
        "width": 4096,
        "effective_width": 128,
        "preset": "released",
        "scale": 0.01,
        "linear": True,
        "parameters": 1220,
        "macs": 2_105_344,
        "shapes": {"cores": "in [1,2,2,1] out [16,16,257,32] ranks [1,2,2,1,1]"},
    }
