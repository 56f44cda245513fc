"""Engine `structured`: an adapter's own tangent map, at the speed of its matrix products."""

from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ntklab.adapters import Adapter, DeltaAdapter, FactorAdapter
from ntklab.adapters.adapter import Decoupled
from ntklab.jacobians.decoupled import decoupled_kernel
from ntklab.jacobians.dual import dual_gram
from ntklab.jacobians.engines.engine import Engine, Output
from ntklab.jacobians.functional import Functional
from ntklab.jacobians.inputs import Inputs
from ntklab.jacobians.memory import Progress
from ntklab.jacobians.readout import Logits


def is_own_adapter(module: nn.Module) -> bool:
    """Whether a module is an adapter of this library as it stands here.

    A subclass, a parametrization (which makes one) or a hook may compute anything.

    >>> from ntklab.adapters import build_adapter
    >>> is_own_adapter(build_adapter("lora", 3, 2)), is_own_adapter(nn.Linear(3, 2))
    (True, False)
    """
    return (
        isinstance(module, Adapter)
        and type(module).__module__.partition(".")[0] == "ntklab"
        and not (module._forward_hooks or module._forward_pre_hooks)
    )


class Structured(Engine):
    """J_θ = J_w T for the adapters of this library; no N·C × D array is ever formed.

    - A hidden layer's gradient by W1 is rank one, φ ⊗ (W2[:, c] σ'(h)); the adapter contracts it
      with its tangent map (`jacobian_rows`).
    - A head that is linear in φ needs that for the d basis vectors only: J = Φ · ∂ΔW/∂θ, which
      is taken once there are twice as many samples, unless the head's own rows cost less.
    - LoRA and the linear probe have closed forms, K = S ⊗ I + S' ⊗ BBᵀ (`kernel`).

    Cost: see docs/engines.md; memory: rows of the batch, 4 M numbers a sample, and one block that
    fits the processor's cache.
    """

    name = "structured"

    def __init__(self, functional: Functional) -> None:
        super().__init__(functional)
        self.adapter: Adapter = functional.module  # type: ignore[assignment]

    @classmethod
    def supports(cls, functional: Functional, x: Inputs) -> bool:
        """Whether the model is an adapter and all parameters but its base layer's are asked for.

        Closed forms and tangent maps count every one of them, so none may be frozen; and they
        take one row of features a sample.
        """
        module = functional.module
        if not isinstance(module, (FactorAdapter, DeltaAdapter)):
            return False
        if not isinstance(functional.readout, Logits):  # its rows are those of all outputs
            return False
        own = [name for name, _ in module.named_parameters() if not name.startswith("base.")]
        return functional.names == own and isinstance(x, Tensor) and x.ndim == 2

    def vouches(self) -> bool:
        """For the adapters of this library, which the conformance suite covers."""
        return is_own_adapter(self.adapter)

    def bytes_per_sample(self, x: Inputs) -> int:
        """Rows twice (parameters first, then samples first) and the hidden layer's cotangents."""
        f = self.functional
        width = self.adapter.width or 0
        numbers = 2 * f.n_outputs * f.parameter_count + width * (4 + 2 * f.n_outputs)
        return numbers * f.dtype.itemsize

    def fixed_bytes(self) -> int:
        """∂ΔW/∂θ, or one sample's cotangents by W1 before the train's cut shrinks them."""
        adapter, f = self.adapter, self.functional
        direct = isinstance(adapter, DeltaAdapter)
        inner = f.parameter_count if direct else adapter.width or 1
        numbers = adapter.in_features * adapter.out_features * inner
        return numbers * f.dtype.itemsize

    def block_bytes(self, samples: int) -> int:
        """The cotangents that a sweep through the cores holds at a time."""
        adapter, f = self.adapter, self.functional
        if not isinstance(adapter, FactorAdapter):
            return 0
        itemsize = f.dtype.itemsize
        return adapter.block_bytes(samples, itemsize)

    @torch.no_grad()
    def rows(self, x: Inputs) -> Float[Tensor, "n C P"]:
        """Rows of J for a batch of features (n, d)."""
        assert isinstance(x, Tensor)
        adapter = self.adapter
        if isinstance(adapter, FactorAdapter) and not adapter.basis_pays(x):
            return adapter.jacobian_rows(x)
        tangent = self._update_tangent
        return (x @ tangent.flatten(1)).reshape(len(x), *tangent.shape[1:])

    @torch.no_grad()
    def kernel(
        self,
        x1: Inputs,
        x2: Inputs,
        output: Output,
        dtype: torch.dtype,
        memory: int,
        progress: Progress | None = None,
    ) -> Tensor | None:
        """The closed form of a class-decoupled kernel, or None."""
        assert isinstance(x1, Tensor)
        assert isinstance(x2, Tensor)
        first = self.adapter.decoupled(x1.to(dtype))
        second = first if x2 is x1 else self.adapter.decoupled(x2.to(dtype))
        if first is None or second is None:
            return None
        return decoupled_kernel(first, second, output)

    @torch.no_grad()
    def decoupled(self, x: Inputs) -> Decoupled | None:
        """The adapter's own closed form."""
        assert isinstance(x, Tensor)
        return self.adapter.decoupled(x)

    @torch.no_grad()
    def dual_gram(self, x: Inputs, dtype: torch.dtype, memory: int) -> Tensor | None:
        """The dual Gram matrix through the weights, where rows cost more."""
        assert isinstance(x, Tensor)
        return dual_gram(self.adapter, x, dtype, memory)

    @cached_property
    def _update_tangent(self) -> Float[Tensor, "d C P"]:
        """Scale · ∂ΔW/∂θ of a head that is linear in φ: its rows at the basis vectors."""
        adapter, f = self.adapter, self.functional
        if isinstance(adapter, DeltaAdapter):
            return adapter.scale * adapter.update_tangent()
        assert isinstance(adapter, FactorAdapter)
        basis = torch.eye(adapter.in_features, dtype=f.dtype, device=f.device)
        return adapter.jacobian_rows(basis)
