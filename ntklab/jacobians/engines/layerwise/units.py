"""Which layer answers for which parameters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from ntklab.jacobians.engines.layerwise.rules import GenericRule, Rule, rule_for

# Modules that hold parameters and are not called with samples: what contains them is the layer.
_HOLDERS = (nn.ParameterList, nn.ParameterDict, nn.ModuleList, nn.ModuleDict, ParametrizationList)


@dataclass(frozen=True)
class Unit:
    """A layer and its parameters that are asked for.

    Attributes:
        name: its path in the model.
        module: the layer.
        params: its parameters' names in it, and in the model.
    """

    name: str
    module: nn.Module
    params: Mapping[str, str]

    @property
    def rule(self) -> Rule:
        """The layer's own rule, where that knows all these parameters; else the generic one."""
        own = rule_for(self.module)
        if own is None or not own.knows(self.params):
            return GenericRule()
        direct = own.nested or all("." not in local for local in self.params)
        return own if direct else GenericRule()


def units_of(model: nn.Module, names: Iterable[str]) -> list[Unit]:
    """The layers that hold these parameters; one that several hold (tied) is in each of them.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        >>> [(unit.name, *unit.params) for unit in units_of(model, ["0.weight", "2.bias"])]
        [('0', 'weight'), ('2', 'bias')]
    """
    parameters = dict(model.named_parameters())
    wanted = {id(parameters[name]): name for name in names}
    by_module: dict[str, dict[str, str]] = {}
    for path, module in model.named_modules():
        for local, parameter in module._parameters.items():
            if parameter is not None and id(parameter) in wanted:
                home, inside = _layer(model, path, local)
                by_module.setdefault(home, {})[inside] = wanted[id(parameter)]
    return [Unit(path, model.get_submodule(path), params) for path, params in by_module.items()]


def _layer(model: nn.Module, path: str, local: str) -> tuple[str, str]:
    """The module that is called with samples, from a parameter's owner upwards."""
    while path and isinstance(model.get_submodule(path), _HOLDERS):
        path, _, last = path.rpartition(".")
        local = f"{last}.{local}"
    return path, local


def climb(model: nn.Module, units: list[Unit], names: Iterable[str]) -> list[Unit] | None:
    """The units with some parameters moved to the layers around theirs; None above the model.

    Args:
        model: that contains them.
        units: as they are.
        names: parameters, by their names in the model, that are used outside of their layers.
    """
    moving = set(names)
    by_module: dict[str, dict[str, str]] = {}
    for unit in units:
        staying = {local: name for local, name in unit.params.items() if name not in moving}
        if staying:
            by_module.setdefault(unit.name, {}).update(staying)
        for local, name in unit.params.items():
            if name in moving:
                path, _, last = unit.name.rpartition(".")
                if not path:
                    return None  # the layer around is the whole model
                home, inside = _layer(model, path, f"{last}.{local}")
                if not home:
                    return None
                by_module.setdefault(home, {})[inside] = name
    return [Unit(path, model.get_submodule(path), params) for path, params in by_module.items()]


def groups_of(units: list[Unit]) -> list[list[int]]:
    """Numbers of units, those together that share a parameter.

    Example:
        >>> shared = [Unit(n, nn.Identity(), {"weight": w}) for n, w in ["aw", "bv", "cw"]]
        >>> groups_of(shared)
        [[0, 2], [1]]
    """
    groups: list[tuple[list[int], set[str]]] = []
    for number, unit in enumerate(units):
        numbers, names, rest = [number], set(unit.params.values()), []
        for group in groups:
            if names & group[1]:
                numbers, names = group[0] + numbers, names | group[1]
            else:
                rest.append(group)
        groups = [*rest, (numbers, names)]
    return sorted(sorted(numbers) for numbers, _ in groups)
