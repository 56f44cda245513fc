"""The network that Barron's theorem promises, drawn as its proof draws it.

`barron_bound` says that some network of M units is near a sum of cosines; here is one of them.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from ntklab.adapters.presets import source
from ntklab.display import ShortRepr
from ntklab.errors import InputError
from ntklab.tasks.barron import BarronTarget


@dataclass(frozen=True, eq=False, repr=False)
class ReluNetwork(ShortRepr):
    """f(x) = Σ_j c_j (a_j·x + b_j)₊ + slope·x + offset, a shallow ReLU network.

    Attributes:
        directions: a_j, shape (M, d).
        biases: b_j.
        coefficients: c_j.
        slope: of the affine part, which two units more carry on a bounded set.
        offset: its constant.
    """

    directions: Float[Tensor, "M d"]
    biases: Float[Tensor, " M"]
    coefficients: Float[Tensor, " M"]
    slope: Float[Tensor, " d"]
    offset: Float[Tensor, ""]

    def __call__(self, x: Float[Tensor, "N d"]) -> Float[Tensor, " N"]:
        """Values f(x), shape (N,)."""
        hidden = (x @ self.directions.T + self.biases).relu()
        return hidden @ self.coefficients + x @ self.slope + self.offset


def maurey_network(
    target: BarronTarget,
    width: int,
    radius: float,
    *,
    generator: Generator | None = None,
    seed: int | None = None,
) -> ReluNetwork:
    """M units drawn from the measure that represents a sum of cosines on the ball ‖x‖ ≤ radius.

    For |z| ≤ c, cos(z + b) − cos b + z sin b =
    −∫₀^c [(z − u)₊ cos(u + b) + (−z − u)₊ cos(u − b)] du (Klusowski and Barron 2018). With z = ω·x
    and c = radius ‖ω‖, units are drawn independently: cosine k in proportion to |a_k| ‖ω_k‖², the
    sign and u ∈ [0, c] uniformly. Their mean is the target on the ball, so the root mean square
    error falls as 1/√M and stays, over the draw, below `barron_bound` (Maurey's lemma).

    Args:
        target: Σ a_k cos(ω_k·x + b_k).
        width: M.
        radius: r; outside the ball the network is another function than the target.
        generator: of the draw, on the CPU; torch's global one if None.
        seed: of the draw, in place of a generator.

    Raises:
        InputError: width below 1, a radius that is not positive, or a target without frequencies.

    Example:
        >>> target = BarronTarget(torch.ones(1), torch.ones(1, 1), torch.zeros(1))
        >>> f = maurey_network(target, 4000, 1.0, seed=0)
        >>> x = torch.linspace(-1, 1, 5).unsqueeze(1)
        >>> bool((f(x) - target(x)).abs().max() < 0.05)
        True
    """
    generator = source(generator, seed)
    if width < 1 or not radius > 0:
        raise InputError(f"width={width} must be at least 1 and radius={radius} positive.")
    lengths = target.frequencies.norm(dim=1)
    mass = target.amplitudes.abs() * lengths.square()
    if not mass.sum() > 0:
        raise InputError("the target is a constant: it has no unit to draw.")
    dtype, device = target.frequencies.dtype, target.frequencies.device
    # Drawn on the CPU, so that a seed gives the same network on every device.
    k = mass.cpu().multinomial(width, replacement=True, generator=generator).to(device)
    sign = torch.randint(0, 2, (width,), generator=generator).to(device, dtype) * 2 - 1
    reach = radius * lengths[k]
    u = reach * torch.rand(width, generator=generator, dtype=dtype).to(device)
    # One over the density of (k, sign, u) at the drawn point.
    weight = mass.sum() / mass[k] * 2 * reach
    coefficients = -weight * target.amplitudes[k] * torch.cos(u + sign * target.phases[k])
    return ReluNetwork(
        sign.unsqueeze(1) * target.frequencies[k],
        -u,
        coefficients / width,
        -(target.amplitudes * target.phases.sin()) @ target.frequencies,
        target.amplitudes @ target.phases.cos(),
    )
