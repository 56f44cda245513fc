"""Who is timed: every engine of ours and the tutorial's two methods, each by a name."""

from functools import partial

import torch
from torch import Tensor, nn

from ntklab.adapters import Adapter, LinearProbe, LoRA
from ntklab.bench.contender import Contender, Run, written_out
from ntklab.bench.tutorial import jacobian_contraction, ntk_vector_products
from ntklab.errors import InputError
from ntklab.jacobians import ENGINES, jacobian

REFERENCE = "tutorial-jacobian"
_DOUBLE = "-f64"


def ours() -> list[Contender]:
    """Every engine with float32 sums, and the structured one also with the default float64."""
    contenders = [
        Contender(name, partial(_engine, name, torch.float32), takes=partial(_takes, name))
        for name in ENGINES
    ]
    double = partial(_engine, "structured", torch.float64)
    contenders.insert(1, Contender(f"structured{_DOUBLE}", double, takes=contenders[0].takes))
    return contenders


def tutorial() -> list[Contender]:
    """The two methods of the torch.func tutorial."""
    return [
        Contender(REFERENCE, lambda model, x: partial(jacobian_contraction, written_out(model), x)),
        Contender(
            "tutorial-products",
            lambda model, x: partial(ntk_vector_products, written_out(model), x),
            growth=2,
        ),
    ]


def all_contenders(*, peers: bool = False) -> dict[str, Contender]:
    """All by name; those of other libraries only if asked for."""
    contenders = [*ours(), *tutorial()]
    if peers:
        from ntklab.bench.peers import installed_peers

        contenders += installed_peers()
    return {contender.name: contender for contender in contenders}


def stated_bytes(name: str, model: nn.Module, x: Tensor) -> dict[str, int]:
    """The memory that our engine of that name estimates: kernel, features, one chunk; else {}.

    Raises:
        InputError: the engine cannot do this model.
    """
    engine = name.removesuffix(_DOUBLE)
    if engine not in ENGINES:
        return {}
    dtype = torch.float32 if engine == name else torch.float64
    estimate = jacobian(model, x, engine=engine, accumulate=dtype).estimate()
    features = x.numel() * x.element_size()
    chunk = estimate["chunk"]
    if engine == "structured" and isinstance(model, (LoRA, LinearProbe)):
        # In closed form there are no rows to cut into chunks, but S (and S') are N × N.
        parts = 2 if isinstance(model, LoRA) else 1
        chunk = parts * len(x) ** 2 * dtype.itemsize
    return {
        "kernel_bytes": estimate["kernel"],
        "features_bytes": features,
        "chunk_bytes": chunk,
    }


def _engine(name: str, accumulate: torch.dtype, model: nn.Module, x: Tensor) -> Run:
    return lambda: jacobian(model, x, engine=name, accumulate=accumulate).gram()


def _takes(name: str, model: nn.Module) -> bool:
    if name != "structured":
        return True
    try:
        some = torch.zeros(1, _in_features(model)).to(next(model.parameters()))
        jacobian(model, some, engine=name)
    except InputError:
        return False
    return True


def _in_features(model: nn.Module) -> int:
    return model.in_features if isinstance(model, Adapter) else model[0].in_features  # type: ignore[index]
