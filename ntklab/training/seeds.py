"""Independent sources of randomness from one seed, and a global state that is left alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from ntklab import accelerator

_PURPOSES = ("batches", "latent", "evaluation", "model")


def word(seed: int, purpose: str, number: int = 0) -> int:
    """A 63-bit seed for one purpose of a run.

    >>> word(0, "batches", 1) == word(0, "batches", 1) != word(0, "latent", 1)
    True
    """
    sequence = np.random.SeedSequence([seed, _PURPOSES.index(purpose), number])
    return int(sequence.generate_state(1, np.uint64)[0]) % 2**63


def stream(seed: int, purpose: str, number: int = 0) -> torch.Generator:
    """A CPU generator for one purpose of a run, the same on every device."""
    return torch.Generator().manual_seed(word(seed, purpose, number))


@contextmanager
def private_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators (dropout draws from them) and put them back afterwards.

    Example:
        >>> before = torch.get_rng_state()
        >>> with private_randomness(1, torch.device("cpu")):
        ...     _ = torch.rand(3)
        >>> torch.equal(torch.get_rng_state(), before)
        True
    """
    with accelerator.same_random_state(device):
        accelerator.seed(word(seed, "model"), device)
        yield


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """The global generators' states that a model on this device draws from, as byte tensors."""
    states = {"cpu": torch.get_rng_state()}
    if accelerator.is_accelerator(device):
        states[device.type] = accelerator.random_state(device)
    return states


def set_random_state(states: dict[str, torch.Tensor], device: torch.device) -> None:
    """Put back the states that `random_state` gave."""
    torch.set_rng_state(states["cpu"])
    if accelerator.is_accelerator(device) and device.type in states:
        accelerator.set_random_state(states[device.type], device)


class Minibatches:
    """Rows of each step: every epoch visits all samples once, in an order of its own.

    The order of epoch e depends on (seed, e) alone, so a resumed run needs no state.

    Args:
        n_samples: N.
        batch: samples a minibatch; None takes all, in their own order.
        seed: of the run.
        device: where the rows will index.

    Example:
        >>> batches = Minibatches(5, 2, seed=0, device=torch.device("cpu"))
        >>> sorted(torch.cat([batches.rows(step) for step in range(3)]).tolist())
        [0, 1, 2, 3, 4]
    """

    def __init__(self, n_samples: int, batch: int | None, seed: int, device: torch.device) -> None:
        self.n_samples, self.batch, self.seed, self.device = n_samples, batch, seed, device
        self._epoch, self._parts = -1, [torch.empty(0, dtype=torch.int64)]

    def rows(self, step: int) -> torch.Tensor | None:
        """Indices of the step's samples; None stands for all of them."""
        if self.batch is None:
            return None
        per_epoch = -(-self.n_samples // self.batch)
        epoch, place = divmod(step, per_epoch)
        if epoch != self._epoch:
            generator = stream(self.seed, "batches", epoch)
            order = torch.randperm(self.n_samples, generator=generator)
            self._epoch, self._parts = epoch, list(order.to(self.device).split(self.batch))
        return self._parts[place]
