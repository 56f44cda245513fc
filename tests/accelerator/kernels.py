"""Cases: Jacobians, kernels and their spectra on the device, equal to those on the CPU."""

import copy
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from ntklab.adapters import METHODS, FactorAdapter, TensorGuide, build_adapter
from ntklab.jacobians import (
    ENGINES,
    Logits,
    Loss,
    Margin,
    TokenLogits,
    jacobian,
    kernel_error,
    vocabulary_kernel,
    weight_jacobian,
    weight_kernel,
)
from ntklab.spectra import spectrum
from ntklab.tensor_train import TTShape
from ntklab.testing.case import cases

SIZES = {"tensorguide": {"width": 16}, "linear-probe": {}}
#: Large enough for the CPU's compiled loops: by shifts, by the sign of F.
RELEASED = TTShape((1, 2, 2, 1), (16, 8, 257, 16), (1, 2, 2, 1, 1))


def near(here: torch.Tensor, there: torch.Tensor, device: torch.device) -> None:
    """Numbers of the device equal the CPU's, and lie on the device."""
    assert here.device == device, here.device
    torch.testing.assert_close(here.cpu(), there, rtol=1e-9, atol=1e-9)


def head(method: str, d: int = 8, outputs: int = 2, **sizes) -> nn.Module:
    """A head in float64, drawn on the CPU, with no start at zero."""
    generator = torch.Generator().manual_seed(0)
    sizes = sizes or SIZES.get(method, {"rank": 2})
    made = build_adapter(method, d, outputs, dtype=torch.float64, generator=generator, **sizes)
    for parameter in made.parameters():
        draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data.add_(0.3 * draw)
    return made


def double(*shape: int) -> torch.Tensor:
    """Gaussian numbers of the CPU."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def pair(model: nn.Module, x: torch.Tensor, device: torch.device, **options):
    """J on the CPU and on the device."""
    moved = copy.deepcopy(model).to(device)
    return jacobian(model, x, **options), jacobian(moved, x.to(device), **options)


def every_engine(device: torch.device, folder) -> None:
    """Kernel, rows, products and dual of each engine for each method."""
    x = double(3, 8)
    for method in METHODS:
        for engine in ENGINES:
            here, there = pair(head(method), x, device, engine=engine)
            near(there.gram(), here.gram(), device)
            if engine != "structured" and method != "tensorguide":
                continue  # they know nothing of methods
            near(there.dense(), here.dense(), device)
            near(there.dual_gram(), here.dual_gram(), device)
            v, u = double(here.shape[1], 2), double(here.shape[0])
            near(there @ v.to(device), here @ v, device)
            near(there.T @ u.to(device), here.T @ u, device)
            near(there.rows(1, 3), here.rows(1, 3), device)
            near(there.gram(other=there, output="trace"), here.gram(output="trace"), device)
            scipys = there.to_scipy()
            np.testing.assert_allclose(scipys @ v.numpy(), (here @ v).numpy(), atol=1e-9)


def networks(device: torch.device, folder) -> None:
    """Layers with rules of their own, and the general one."""
    image = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)
    )
    words = nn.Sequential(nn.Embedding(7, 4), nn.LayerNorm(4), nn.Flatten(), nn.Linear(12, 2))
    inputs = double(4, 1, 4, 4), torch.randint(7, (4, 3), generator=torch.Generator())
    for model, x in zip((image, words), inputs, strict=True):
        for engine in ("auto", "jacrev", "vjp-jvp", "loop", "layerwise"):
            here, there = pair(model.double().eval(), x, device, engine=engine)
            near(there.gram(), here.gram(), device)
            if engine == "layerwise":
                for name, K in there.layer_grams().items():
                    near(K, here.layer_grams()[name], device)
        assert 0 <= kernel_error(there) < 1e-9


def structured_without_numba(device: torch.device, folder) -> None:
    """The shapes that a CPU takes by compiled loops: the device takes batched products."""
    from ntklab.adapters import compiled as signs
    from ntklab.tensor_train import compiled as shifts

    x = double(2, 512)
    for activation in ("relu", "identity", "tanh"):
        generator = torch.Generator().manual_seed(0)
        options = {"activation": activation, "dtype": torch.float64, "generator": generator}
        model = TensorGuide(512, 2, 1024, shape=RELEASED, **options)
        with _counted((signs, "by_signs"), (shifts, "meet")) as calls:
            wanted = jacobian(model, x, engine="structured").gram()
        assert calls["meet"]
        assert bool(calls["by_signs"]) == (activation == "relu")
        with _counted((signs, "by_signs"), (shifts, "meet")) as calls:
            there = jacobian(copy.deepcopy(model).to(device), x.to(device), engine="structured")
            near(there.gram(), wanted, device)
        assert not calls
    for core in there.core_grams().values():
        assert core.device == device


@contextmanager
def _counted(*places) -> Iterator[Counter]:
    """Count the calls of the CPU's compiled loops."""
    calls = Counter()

    def counted(function, name):
        def call(*arguments):
            calls[name] += 1
            return function(*arguments)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for home, name in places:
            patch.setattr(home, name, counted(getattr(home, name), name))
        yield calls


def adapters(device: torch.device, folder) -> None:
    """Every method made on the device: the same numbers, and every quantity of a head."""
    x = double(5, 8)
    for method, kind in METHODS.items():
        made = {}
        for place in ("cpu", device):
            generator = torch.Generator().manual_seed(0)
            sizes = SIZES.get(method, {"rank": 2})
            options = {"dtype": torch.float64, "generator": generator, "device": place}
            made[place] = build_adapter(method, 8, 2, **sizes, **options)
        here, there = made["cpu"], made[device]
        assert isinstance(there, kind)
        near(there(x.to(device)), here(x), device)
        near(there.adapted(x.to(device)), here.adapted(x), device)
        near(there.generate(), here.generate(), device)
        near(
            there.update_gram(x.T.to(device) @ x.to(device)) if _quick(here) else there.generate(),
            here.update_gram(x.T @ x) if _quick(here) else here.generate(),
            device,
        )
        for name in ("jacobian_rows", "basis_pays", "layer", "factors", "tangent_map"):
            if hasattr(type(here), name):
                _compare(here, there, name, x, device)
        if isinstance(here, FactorAdapter):
            near(FactorAdapter.jacobian_rows(there, x.to(device)), here.jacobian_rows(x), device)
            if here.moving is not None:
                near(there.factor_tangents().first, here.factor_tangents().first, device)
        decoupled = here.decoupled(x)
        if decoupled is not None:
            near(there.decoupled(x.to(device)).shared, decoupled.shared, device)


def _quick(adapter) -> bool:
    return adapter.update_gram(torch.eye(adapter.in_features, dtype=torch.float64)) is not None


def _compare(here, there, name: str, x: torch.Tensor, device: torch.device) -> None:
    method = getattr(here, name)
    takes = name in ("jacobian_rows", "basis_pays", "layer")
    wanted = method(x) if takes else method()
    given = getattr(there, name)(*([x.to(device)] if takes else []))
    if isinstance(wanted, bool):
        return
    pairs = zip(given, wanted, strict=True) if isinstance(wanted, tuple) else [(given, wanted)]
    for mine, other in pairs:
        near(
            mine.to_dense() if mine.layout != torch.strided else mine,
            other.to_dense() if other.layout != torch.strided else other,
            device,
        )


def conformance(device: torch.device, folder) -> None:
    """Cases of the conformance suite, built and moved."""
    for case in cases(METHODS["lora"], [(6, 2)], {"rank": 3}):
        adapter, x = case.build().to(device), case.features(4)
        near(jacobian(adapter, x.to(device)).gram(), jacobian(case.build(), x).gram(), device)
        based = case.build(base=case.base().to(device)).to(device)
        assert based(x.to(device)).device == device


def weight_space(device: torch.device, folder) -> None:
    """J by the generated weights."""
    x = double(3, 8)
    for method in ("lora", "tensorguide", "tt-delta"):
        here, there = head(method), head(method).to(device)
        near(weight_jacobian(there, x.to(device)), weight_jacobian(here, x), device)
        near(weight_kernel(there, x.to(device)), weight_kernel(here, x), device)


class Language(nn.Module):
    """A causal model of 11 words."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.mix = nn.Embedding(11, 6), nn.Linear(6, 6)
        self.head = nn.Linear(6, 11, bias=False)

    def get_output_embeddings(self) -> nn.Module:
        return self.head

    def forward(self, input_ids, attention_mask=None):
        h = self.table(input_ids)
        return SimpleNamespace(logits=self.head(torch.tanh(self.mix(h.cumsum(1))) + h))


def readouts(device: torch.device, folder) -> None:
    """Every readout of a language model, and the kernel of its whole vocabulary."""
    torch.manual_seed(0)
    model = Language().double().eval()
    ids = torch.randint(11, (3, 4), generator=torch.Generator())
    x = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    there = {name: value.to(device) for name, value in x.items()}
    labels = torch.randint(11, (3, 4), generator=torch.Generator())
    moved = copy.deepcopy(model).to(device)
    for readout in (Logits(), Loss(), Margin(TokenLogits([2, 5])), TokenLogits([2, 5])):
        mine, theirs = x, there
        if isinstance(readout, (Loss, Margin)):
            given = labels if isinstance(readout, Loss) else labels[:, 0].remainder(2)
            mine, theirs = {**x, "labels": given}, {**there, "labels": given.to(device)}
        options = {"params": ["mix.*"], "readout": readout}
        wanted = jacobian(model, mine, **options).gram()
        near(jacobian(moved, theirs, **options).gram(), wanted, device)
    for passes in ("exact", 4):
        options = {"params": ["mix.*"], "passes": passes}
        wanted = vocabulary_kernel(model, x, **options)
        given = vocabulary_kernel(moved, there, **options)
        near(given.kernel, wanted.kernel, device)
        if passes == 4:
            low, high = given.interval()
            assert bool((low <= high).all())


def spectra(device: torch.device, folder) -> None:
    """Spectra by every route, of Jacobians and kernels, with vectors, centred and stochastic."""
    from ntklab.spectra import CentredJacobian, DenseJacobian, spectral_density, top_k

    x = double(6, 8)
    for method in ("lora", "tensorguide", "tt-lora"):
        here, there = pair(head(method), x, device)
        for options in ({}, {"vectors": True}, {"centred": True}):
            mine, theirs = spectrum(here, **options), spectrum(there, **options)
            assert mine.rank == theirs.rank
            torch.testing.assert_close(
                theirs.eigenvalues.cpu(), mine.eigenvalues, rtol=1e-8, atol=1e-8
            )
        kernel = spectrum(there.gram(), n_outputs=2)
        assert kernel.rank == mine.rank or kernel.size == 12
    J = DenseJacobian(there.dense(), n_outputs=2)
    for operator in (J, CentredJacobian(J)):
        assert operator.gram().device == operator.dual_gram().device == device
        assert operator.dense().device == device
    centred = CentredJacobian(J)
    near(centred.centre_dual(J.dual_gram()), centred.dual_gram().cpu(), device)
    largest = top_k(there, 2, tolerance=1e-9)
    torch.testing.assert_close(largest.cpu(), spectrum(here).eigenvalues[:2], rtol=1e-6, atol=0)
    density = spectral_density(there, probes=4, steps=6)
    mean, _ = density.mean_of(lambda v: v)
    assert mean > 0
    density.histogram(torch.linspace(0, float(largest[0].cpu()) * 1.1, 5))


CASES = {
    "every engine": every_engine,
    "networks": networks,
    "structured without numba": structured_without_numba,
    "adapters": adapters,
    "conformance": conformance,
    "weight space": weight_space,
    "readouts": readouts,
    "spectra": spectra,
}
