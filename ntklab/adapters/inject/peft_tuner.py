"""Our adapters as a method of peft: trained, saved, loaded and merged by peft's own machinery.

peft has no door for methods of others. `register` adds a member to its enumeration of types, then
calls its `register_peft_method`; it works with peft 0.21. Import this module before a saved
adapter is loaded.
"""

from dataclasses import dataclass, field
from typing import Any, cast

import torch
from jaxtyping import Float
from peft.config import PeftConfig
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer, check_adapters_to_merge
from peft.utils import register_peft_method
from peft.utils.peft_types import PeftType
from torch import Tensor, nn

from ntklab.adapters.adapter import Adapter
from ntklab.adapters.base_layer import is_conv1d
from ntklab.adapters.inject.recentred import Recentred
from ntklab.adapters.inject.replace import build_layer_adapter
from ntklab.adapters.inject.targets import is_linear
from ntklab.errors import InputError

_NAME = "ntklab"


@dataclass
class NtklabConfig(PeftConfig):
    """The configuration of one of our adapters, as `get_peft_model` takes it.

    Attributes:
        method: a name of `ntklab.adapters.METHODS`.
        target_modules: as everywhere in peft.
        exclude_modules: likewise.
        layers_to_transform: likewise.
        layers_pattern: likewise.
        start: `ntk`, `released` or `zero`.
        seed: of the draws.
        scale: factor of the adapted part; None for the preset's.
        sizes: width, rank and the like, as `ntklab.inject` takes them.
    """

    method: str = "tt-lora"
    target_modules: list[str] | str | None = None
    exclude_modules: list[str] | str | None = None
    layers_to_transform: list[int] | int | None = None
    layers_pattern: list[str] | str | None = None
    start: str = "zero"
    seed: int = 0
    scale: float | None = None
    sizes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = getattr(PeftType, _NAME.upper())


class NtklabLayer(nn.Module, BaseTunerLayer):
    """A linear layer with adapters of ours beside it, by peft's name of each."""

    adapter_layer_names = (f"{_NAME}_adapter",)
    other_param_names = ()

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.ntklab_adapter = nn.ModuleDict()
        self._disable_adapters = False
        self.merged_adapters: list[str] = []

    def update_layer(
        self, name: str, config: NtklabConfig, key: str, owners: dict[Any, Adapter]
    ) -> None:
        """Add one adapter."""
        adapter = build_layer_adapter(
            self._base(),
            key,
            config.method,
            start=config.start,
            seed=config.seed,
            scale=config.scale,
            **{k: tuple(v) if isinstance(v, list) else v for k, v in config.sizes.items()},
        )
        if isinstance(adapter.base, Recentred):
            raise InputError(
                f"{config.method} starts at zero by subtracting its start, which peft would not "
                "save: use start 'ntk' or 'released' with peft."
            )
        adapter.base, adapter.inside_a_model = None, False
        if adapter.sharing_key is not None:
            owner = owners.setdefault((name, *adapter.sharing_key), adapter)
            if owner is not adapter:
                adapter.share(owner)
        self.ntklab_adapter[name] = adapter
        self._move_adapter_to_device_of_base_layer(name)
        self.set_adapter(self.active_adapters)

    def forward(self, x: Float[Tensor, "*N d"], *args: Any, **kwargs: Any) -> Tensor:
        """The base layer, plus the active adapters unless they are merged or disabled."""
        if self.disable_adapters and self.merged:
            self.unmerge()
        result: Tensor = self.base_layer(x, *args, **kwargs)
        if self.disable_adapters or self.merged:
            return result
        for name in self.active_adapters:
            if name in self.ntklab_adapter:
                result = result + self.ntklab_adapter[name](x)
        return result

    @torch.no_grad()
    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Add every ΔW to the base weight.

        Raises:
            InputError: an adapter that is not linear in its input.
        """
        for name in check_adapters_to_merge(self, adapter_names):
            if name not in self.ntklab_adapter:
                continue
            if not self._adapter(name).linear:
                raise InputError(
                    "an adapter that is not linear in its input equals no weight: it cannot be "
                    "merged."
                )
            weight = self._base().weight
            merged = weight + self._update(name)
            if safe_merge and not torch.isfinite(merged).all():
                raise ValueError(f"NaNs detected in the merged weights of adapter {name}.")
            weight.copy_(merged)
            self.merged_adapters.append(name)

    @torch.no_grad()
    def unmerge(self) -> None:
        """Subtract every merged ΔW again, up to rounding."""
        while self.merged_adapters:
            self._base().weight.sub_(self._update(self.merged_adapters.pop()))

    def _update(self, name: str) -> Tensor:
        update = self._adapter(name).update()
        return update if is_conv1d(self._base()) else update.T

    def _base(self) -> nn.Linear:
        return cast(nn.Linear, self.get_base_layer())

    def _adapter(self, name: str) -> Adapter:
        return cast(Adapter, self.ntklab_adapter[name])


class NtklabModel(BaseTuner):
    """The tuner: puts an `NtklabLayer` in the place of every target."""

    prefix = f"{_NAME}_"
    tuner_layer_cls = NtklabLayer
    target_module_mapping = {}  # noqa: RUF012 - as in peft

    def _create_and_replace(  # type: ignore[override]
        self,
        config: NtklabConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        **unused: Any,
    ) -> None:
        owners = self.__dict__.setdefault("_ntklab_owners", {})
        if isinstance(target, NtklabLayer):
            target.update_layer(adapter_name, config, current_key, owners)
            return
        if not is_linear(target):
            raise InputError(f"target '{current_key}' is {type(target).__name__}, no linear layer.")
        layer = NtklabLayer(target)
        layer.update_layer(adapter_name, config, current_key, owners)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)


def register() -> None:
    """Make our adapters known to peft; called when this module is imported, and harmless again."""
    if _NAME.upper() in PeftType.__members__:
        return
    member = str.__new__(PeftType, _NAME.upper())
    member._name_, member._value_ = _NAME.upper(), _NAME.upper()
    PeftType._member_map_[member._name_] = member
    PeftType._value2member_map_[member._value_] = member
    PeftType._member_names_.append(member._name_)
    type.__setattr__(PeftType, member._name_, member)
    register_peft_method(name=_NAME, config_cls=NtklabConfig, model_cls=NtklabModel)


register()
