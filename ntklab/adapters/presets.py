"""How adapters start: the three presets and the draws behind them.

- `ntk` (default, ours): generated weights have the variance of the NTK parameterization,
  Var W1 = 1/d for what meets the features and Var (scale · W2) = 1/M for what meets the hidden
  units. For a train with independent core entries of variance v_k and a latent z,

      Var w = ‖z‖² · Π_{0<k<K} r_k · Π_k v_k,

  because two different paths (n, a) ≠ (n', a') through the train share no complete set of core
  entries, so their products are uncorrelated. The cores share the target equally.
- `released`: what the TensorGuide authors' public code does. LoRA: A, B ~ 0.01 N(0, 1),
  scale 32 / r; TT-LoRA: cores 0.1 N(0, 1), scale 1; TensorGuide: cores 0.1 N(0, 1), scale 0.01,
  σ = identity, latent fixed. LoRA and TT-LoRA keep a random, frozen base layer.
- `paper`: what the TensorGuide text says. Cores Xavier-uniform, σ = ReLU, latent drawn anew for
  every minibatch; LoRA as Hu et al. 2021 (B = 0).

All draws are made in float64 on the CPU and then cast, so that a seed means the same adapter on
every device and in every dtype.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import torch
from torch import Generator, Tensor, nn

from ntklab.adapters.spec import PRESETS
from ntklab.errors import InputError, unknown
from ntklab.host_memory import refuse_beyond_memory
from ntklab.tensor_train import TTShape


def check_preset(preset: str) -> str:
    """The preset's name, if there is one of that name.

    Raises:
        InputError: unknown name, with the nearest match.
    """
    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    return preset


def largest(factors: Iterable[Tensor]) -> Tensor:
    """The factor with the most entries, of equals the last: the one that a zero start zeroes.

    It is the only one that moves at first, so the most parameters do.

    Example:
        >>> largest([torch.ones(2), torch.zeros(3), torch.ones(3)])
        tensor([1., 1., 1.])
    """
    return max(reversed(list(factors)), key=Tensor.numel)


def source(generator: Generator | None, seed: int | None) -> Generator | None:
    """Where draws come from: a generator, or a new one with a seed.

    Args:
        generator: torch's global one if None and no seed is given.
        seed: of a generator on the CPU, where every draw is made.

    Raises:
        InputError: both.

    Example:
        >>> source(None, 3).initial_seed(), source(None, None)
        (3, None)
    """
    if seed is None:
        return generator
    if generator is not None:
        raise InputError(f"seed = {seed} beside a generator: give one of the two.")
    return Generator().manual_seed(seed)


@dataclass(frozen=True)
class Draws:
    """Where random entries come from and where they go.

    Attributes:
        generator: source; torch's global one if None.
        dtype: of what is returned; torch's default if None.
        device: of what is returned.

    Example:
        >>> draws = Draws(torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> draws.normal(2, 3, std=0.1).shape
        torch.Size([2, 3])
    """

    generator: Generator | None = None
    dtype: torch.dtype | None = None
    device: torch.device | str | None = None

    def normal(self, *size: int, std: float = 1.0) -> Tensor:
        """Independent N(0, std²) entries.

        Raises:
            InputError: more of them than this machine can hold.
        """
        refuse_beyond_memory("a factor of the adapter", *size)
        return self._cast(torch.randn(*size, generator=self.generator, dtype=torch.float64) * std)

    def cores(
        self, shape: TTShape, preset: str, *, variance: float, latent: Tensor | None = None
    ) -> nn.ParameterList:
        """The initial cores of a train.

        Args:
            shape: modes and ranks.
            preset: `ntk` (Var w = `variance`, given z), `released` (0.1 N(0, 1)) or `paper`
                (Xavier-uniform with torch's fans: n m r' in, r m r' out).
            variance: target of `ntk`, ignored by the others.
            latent: z, shape (Π n_k,); a plain train has z = 1.

        Example:
            >>> shape = TTShape.plain((30, 40), (1, 3, 1))
            >>> [tuple(core.shape) for core in Draws().cores(shape, "ntk", variance=2.0)]
            [(1, 1, 30, 3), (3, 1, 40, 1)]
        """
        if check_preset(preset) == "paper":
            for size in shape.core_shapes:
                refuse_beyond_memory("a core", *size)
            empty = (torch.empty(size, dtype=torch.float64) for size in shape.core_shapes)
            cores = [nn.init.xavier_uniform_(core, generator=self.generator) for core in empty]
            return nn.ParameterList([nn.Parameter(self._cast(core)) for core in cores])
        std = 0.1
        if preset == "ntk":
            energy = 1.0 if latent is None else float(latent.double().square().sum())
            paths = prod(shape.ranks[1:-1])
            std = (variance / (energy * paths)) ** (0.5 / shape.length)
        cores = [self.normal(*size, std=std) for size in shape.core_shapes]
        return nn.ParameterList([nn.Parameter(core) for core in cores])

    def linear(self, in_features: int, out_features: int) -> nn.Linear:
        """A layer as `nn.Linear` draws it, U(±1/√d) weight and bias."""
        refuse_beyond_memory("a base layer", in_features, out_features)
        bound = in_features**-0.5
        layer = nn.Linear(in_features, out_features, dtype=self.dtype, device=self.device)
        for parameter in layer.parameters():
            uniform = torch.rand(parameter.shape, generator=self.generator, dtype=torch.float64)
            parameter.data.copy_(bound * (2 * uniform - 1))
        return layer

    def _cast(self, draw: Tensor) -> Tensor:
        return draw.to(device=self.device, dtype=self.dtype or torch.get_default_dtype())
