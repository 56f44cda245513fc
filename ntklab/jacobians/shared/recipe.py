"""The recipe of a Jacobian: what a worker needs to build it, as words and safetensors."""

from dataclasses import asdict
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ntklab.adapters import Adapter
from ntklab.distributed.recipe import Recipe, packed, with_state
from ntklab.errors import InputError
from ntklab.jacobians.engines.engine import Engine
from ntklab.jacobians.inputs import Inputs, call_arguments, take
from ntklab.jacobians.readout import Custom

# By name: a recipe is words, and the Jacobian's own module may not import whoever builds it.
_BUILDER = "ntklab.jacobians:jacobian"


class Shareable(Protocol):
    """The part of a `Jacobian` that sharing needs; see there for each name."""

    x: Inputs
    shape: tuple[int, int]
    n_samples: int
    n_outputs: int
    dtype: torch.dtype
    device: torch.device
    memory: int
    accumulate: torch.dtype
    checks: bool

    @property
    def engine(self) -> Engine:
        """The engine in use."""
        ...

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows of samples start..stop."""
        ...

    def gram(self, other: Any = None, output: str = "full") -> Tensor:
        """A kernel."""
        ...


def recipe_of(J: Shareable, model: Recipe | None = None) -> Recipe:
    """The recipe of a Jacobian.

    Args:
        J: the Jacobian; nothing of it is computed.
        model: of its model, whatever its kind. Adapters of `build_adapter` need none: their
            sizes are words, and their parameters travel as safetensors.

    Raises:
        InputError: a model or a readout that no recipe is known of, or a recipe of another model.

    Example:
        >>> from ntklab import build_adapter, jacobian
        >>> J = jacobian(build_adapter("lora", 3, 2, rank=1), torch.eye(3))
        >>> torch.equal(recipe_of(J).build().dense(), J.dense())
        True
    """
    f = J.engine.functional
    if isinstance(f.readout, Custom):
        raise InputError(
            "a readout that is a function of yours cannot travel to workers: put it into the "
            "model, and give a Recipe of that."
        )
    recipe = model or _of_adapter(f.module)
    if recipe is None:
        raise InputError(
            f"workers cannot build a {type(f.module).__name__} from words: give recipe=Recipe("
            "'package.module:function', {...}), a function that returns the model."
        )
    check_recipe(recipe, J)
    return Recipe(
        _BUILDER,
        {
            "model": recipe,
            "x": packed(J.x),
            "params": list(f.names),
            "readout": f.readout,
            "engine": J.engine.name,
            "memory": J.memory,
            "accumulate": J.accumulate,
            "check": J.checks,
        },
    )


def check_recipe(recipe: Recipe, J: Shareable) -> None:
    """Refuse a recipe whose model gives other outputs than the Jacobian's.

    Raises:
        InputError: other parameters, or another output at the first sample.

    Cost: the model is built once, and run twice on one sample.
    """
    f, made = J.engine.functional, recipe.build()
    if not isinstance(made, nn.Module):
        raise InputError(
            f"the recipe '{recipe.builder}' gives a {type(made).__name__}: it must give a module."
        )
    names = {name for name, _ in made.named_parameters()}
    first = take(J.x, 0, 1)
    try:
        alike = set(f.names) <= names and _close(_outputs(made, first), _outputs(f.module, first))
    except (TypeError, RuntimeError):  # shapes that do not fit
        alike = False
    if not alike:
        raise InputError(
            f"the recipe '{recipe.builder}' builds another model than the one given: their outputs "
            "at the first sample differ; add its weights (`with_state`), or mend the recipe."
        )


def _outputs(model: nn.Module, x: Any) -> Tensor:
    positional, named = call_arguments(x)
    with torch.no_grad():
        outputs = model(*positional, **named)
    return outputs if isinstance(outputs, Tensor) else outputs.logits


def _close(first: Tensor, second: Tensor) -> bool:
    rounding = 100 * torch.finfo(first.dtype).eps
    return first.shape == second.shape and torch.allclose(first, second, rounding, rounding)


def _of_adapter(module: nn.Module) -> Recipe | None:
    """An adapter as `build_adapter` made it, with the numbers that it has now."""
    spec = module.spec if isinstance(module, Adapter) else None
    if spec is None:
        return None
    base = module.base
    arguments: dict[str, Any] = {name: v for name, v in asdict(spec).items() if v is not None}
    arguments |= {"in_features": module.in_features, "out_features": module.out_features}
    arguments |= {"dtype": next(module.parameters()).dtype, "scale": module.scale}
    if type(base) is nn.Linear:
        sizes = {"in_features": base.in_features, "out_features": base.out_features}
        words = {"bias": base.bias is not None, "dtype": base.weight.dtype}
        arguments["base"] = Recipe("torch.nn:Linear", sizes | words)
    elif base is not None:
        return None
    return with_state(Recipe("ntklab.adapters:build_adapter", arguments), module)
