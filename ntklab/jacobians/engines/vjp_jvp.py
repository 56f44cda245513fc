"""Engine `vjp-jvp`: matrix-free products, and forward mode where rows are asked for."""

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.jacobians.engines.engine import Engine
from ntklab.jacobians.inputs import Inputs


class VjpJvp(Engine):
    """J v by forward mode, Jᵀ u by reverse mode: no row of J is ever formed for a product.

    A product costs about two forward passes. `rows` runs forward mode over the P basis vectors,
    a route independent of `jacrev`'s; use it where P is small.
    """

    name = "vjp-jvp"
    products_form_rows = False

    def rows(self, x: Inputs) -> Float[Tensor, "n C P"]:
        """Column by column: J e_p for every parameter."""
        f = self.functional
        basis = torch.eye(f.parameter_count, dtype=f.dtype, device=f.device)
        return self.matvec(x, basis)

    def bytes_per_sample(self, x: Inputs) -> int:
        """Forward mode carries P tangents through every intermediate of a sample."""
        per_output = super().bytes_per_sample(x) // max(1, 2 * self.functional.n_outputs)
        return per_output * self.functional.parameter_count

    def matvec(self, x: Inputs, v: Float[Tensor, "P k"]) -> Float[Tensor, "n C k"]:
        """J v, vectorized over the columns of v."""
        f = self.functional

        def push(tangent: Tensor) -> Tensor:
            def outputs(params: dict[str, Tensor]) -> Tensor:
                return f.outputs(params, x)

            return torch.func.jvp(outputs, (f.params,), (f.split(tangent),))[1]

        # out_dims=-1 misplaces the dimension where no parameter reaches the outputs (torch 2.13).
        columns = torch.func.vmap(push, in_dims=1)(v.to(f.dtype))
        return columns.movedim(0, -1).to(v.dtype)

    def rmatvec(self, x: Inputs, u: Float[Tensor, "n C k"]) -> Float[Tensor, "P k"]:
        """Jᵀ u, one forward pass and a vectorized backward pass."""
        f = self.functional
        pull = torch.func.vjp(lambda params: f.outputs(params, x), f.params)[1]
        cotangents = u.to(f.dtype).movedim(-1, 0)
        pulled = torch.func.vmap(lambda cotangent: f.join(pull(cotangent)[0]))(cotangents)
        return pulled.T.to(u.dtype)
