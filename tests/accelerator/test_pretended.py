"""The pretended device itself: it computes as the CPU does, and refuses what CUDA refuses."""

import copy
import gc

import pytest
import torch
from torch import nn
from torch.func import jacrev, jvp, vmap

from ntklab import accelerator
from ntklab.compute import resolve_device
from tests.accelerator.pretended import module, pretended


@pytest.fixture
def device():
    return pretended()


@pytest.fixture
def x(device):
    return torch.arange(6.0).reshape(2, 3).to(device)


MIXTURES = {
    "a sum": lambda x: x + torch.ones(2, 3),
    "a product": lambda x: x @ torch.ones(3, 2),
    "torch.cat": lambda x: torch.cat([x, torch.ones(2, 3)]),
    "torch.stack of scalars": lambda x: torch.stack([x[0, 0], torch.tensor(1.0)]),
    "an index": lambda x: x[torch.tensor([0])],
    "a layer": nn.Linear(3, 2),
    "an out=": lambda x: torch.mm(x, x.T, out=torch.empty(2, 2)),
    "a write into a view": lambda x: x[0].add_(torch.ones(3)),
    "under vmap": vmap(lambda row: row * torch.ones(3)),
}


@pytest.mark.parametrize("mixture", MIXTURES)
def test_tensors_of_two_devices_do_not_meet(x, mixture):
    with pytest.raises(RuntimeError, match="same device"):
        MIXTURES[mixture](x)


def test_numpy_gets_no_tensor_of_the_device(x):
    for hand_over in (x.numpy, lambda: memoryview(x.__array__())):
        with pytest.raises(TypeError, match=r"Tensor\.cpu"):
            hand_over()
    assert x.cpu().numpy().tolist() == x.tolist()


def test_a_generator_of_the_cpu_is_refused(device, x):
    generator = torch.Generator()
    for draw in (
        lambda: torch.randn(3, device=device, generator=generator),
        lambda: x.clone().normal_(generator=generator),
        lambda: (x + 1).multinomial(1, generator=generator),
    ):
        with pytest.raises(RuntimeError, match="generator"):
            draw()


def test_memory_that_torch_does_not_ask_for_is_no_number(x):
    """Whoever reads a pointer past torch reads NaN, where CUDA would end the process."""
    pointed = torch._C._construct_storage_from_data_pointer(
        x.data_ptr(), torch.device("cpu"), x.untyped_storage().nbytes()
    )
    assert torch.empty(0).set_(pointed, 0, (6,), (1,)).isnan().all()


def test_views_share_and_copies_do_not(x):
    view, copied = x.view(3, 2)[1:], copy.deepcopy(x)
    view.zero_()
    assert x.tolist() == [[0, 1, 0], [0, 0, 0]]
    assert copied.tolist() == [[0, 1, 2], [3, 4, 5]]
    grown = torch.empty(0, device=x.device)
    torch.mul(copied, 2, out=grown)
    assert grown.tolist() == [[0, 2, 4], [6, 8, 10]]


def test_autograd_and_transforms_run_over_it(device):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    model, x = model.double().eval(), torch.randn(3, 1, 3, 3, dtype=torch.float64)
    results = []
    for place in ("cpu", device):
        moved, given = copy.deepcopy(model).to(place), x.to(place)
        params = {name: value.detach() for name, value in moved.named_parameters()}

        def call(params, row, moved=moved):
            return torch.func.functional_call(moved, params, (row[None],))[0]

        rows = vmap(jacrev(call), (None, 0))(params, given)
        pushed = jvp(lambda p: call(p, given[0]), (params,), (params,))[1]  # noqa: B023
        moved.train()(given).square().sum().backward()
        results.append([*rows.values(), pushed, moved[0].weight.grad])
    for here, there in zip(*results, strict=True):
        assert there.device == device
        torch.testing.assert_close(there.cpu(), here)


def test_what_the_host_reads_is_counted(x):
    before = module().waits
    y = (x @ x.T).relu_().sum()
    assert module().waits == before
    y.item(), y.cpu(), bool(y > 0), x.nonzero()
    assert module().waits == before + 4


def test_bytes_are_held_and_given_back(device):
    gc.collect()
    accelerator.reset_peak(device)
    held = accelerator.peak_bytes(device)
    kept = torch.zeros(1000, device=device)
    lost = torch.zeros(500, device=device)
    del lost
    assert module().memory_allocated() == held + 4000
    assert accelerator.peak_bytes(device) == held + 6000
    assert kept.sum() == 0
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(1 << 29, device=device)


def test_the_module_of_an_accelerator_answers(device, monkeypatch):
    assert accelerator.is_accelerator(device)
    assert accelerator.has_float64(device)
    assert accelerator.name(device) == "pretended accelerator"
    assert (accelerator.count(device), accelerator.index("pretend")) == (1, 0)
    assert 0 < accelerator.free_bytes(device) <= module().total
    accelerator.empty_cache()
    assert module().operations["empty_cache"]
    before = module().waits
    accelerator.synchronize(device)
    assert module().waits == before + 1
    assert resolve_device("pretend") == "pretend:0"
    assert accelerator.tensor_float(device) is None
    monkeypatch.setenv(accelerator.TF32, "1")
    assert accelerator.tensor_float("cuda") is True


def test_random_numbers_of_the_device_have_a_state_of_their_own(device):
    state = accelerator.random_state(device)
    with accelerator.same_random_state(device):
        accelerator.seed(3, device)
        first = torch.rand(4, device=device)
        accelerator.seed(3, device)
        assert torch.equal(torch.rand(4, device=device), first)
    assert torch.equal(accelerator.random_state(device), state)
    accelerator.set_random_state(state, device)


@pytest.mark.parametrize("asked", ["", "1"])
def test_tf32_is_off_unless_asked(monkeypatch, asked):
    """torch's own settings, as they would stand during a call on a GPU."""
    monkeypatch.setenv(accelerator.TF32, asked)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    settings = accelerator._tensor_float_settings()
    before = [getattr(home, word) for home, word, _ in settings]
    with accelerator.stated_precision():
        for home, word, values in settings:
            assert getattr(home, word) == values[bool(asked)]
    assert [getattr(home, word) for home, word, _ in settings] == before
    assert accelerator.tensor_float("cuda:0") is bool(asked)
    assert accelerator.tensor_float("cpu") is None
