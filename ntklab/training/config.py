"""The configuration of a training run, and of early stopping: immutable, compared on resume."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, get_args

from ntklab.errors import InputError, unknown

OptimizerName = Literal["gd", "sgd", "adam"]
LossName = Literal["squared", "cross-entropy"]
Reduction = Literal["mean", "sum"]
Schedule = Literal["constant", "step", "cosine"]
Latent = Literal["fixed", "redrawn"]

# Draws of z over which a model trained with a redrawn latent is judged.
FRESH_LATENTS = 16


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the numbers of a run, beside model and data.

    Attributes:
        optimizer: `gd` (all samples a step), `sgd` (minibatches, no momentum) or `adam` (torch's,
            β = 0.9, 0.999).
        lr: step size η at the start.
        steps: number of parameter updates; give this or `epochs`.
        epochs: passes over the training samples.
        batch: samples a minibatch, the last of an epoch may be smaller; None takes all.
        loss: `squared`, ½‖f − y‖² a sample, or `cross-entropy`.
        reduction: `mean` over the samples of a batch, or their `sum`.
        schedule: `constant`; `step`, η·decay^⌊epoch / decay_epochs⌋ (torch's StepLR); `cosine`,
            η·½(1 + cos(π step / steps)).
        decay: factor of `step`.
        decay_epochs: epochs between its drops.
        weight_decay: λ of the term λ/2 ‖θ‖² whose gradient joins the loss's (for Adam too, as in
            torch.optim.Adam).
        seed: of minibatches, latents and dropout.
        latent: `fixed`, or `redrawn` for every minibatch (Algorithm 1 of the TensorGuide paper).
        fresh_latents: draws of z that an evaluation averages over; 16 for a redrawn latent and
            none for a fixed one, if None.
        logs_per_decade: logged steps in each tenfold of steps; steps 0 and the last are always
            logged.

    Raises:
        InputError: a name or number that means nothing, or both or neither of steps and epochs.

    Example:
        >>> config = TrainConfig(epochs=3, batch=10)
        >>> config.total_steps(25), config.steps_per_epoch(25)
        (9, 3)
    """

    optimizer: OptimizerName = "adam"
    lr: float = 1e-3
    steps: int | None = None
    epochs: int | None = None
    batch: int | None = None
    loss: LossName = "cross-entropy"
    reduction: Reduction = "mean"
    schedule: Schedule = "constant"
    decay: float = 0.1
    decay_epochs: int = 10
    weight_decay: float = 0.0
    seed: int = 0
    latent: Latent = "fixed"
    fresh_latents: int | None = None
    logs_per_decade: int = 8

    def __post_init__(self) -> None:
        for field, known in _NAMES.items():
            if getattr(self, field) not in known:
                raise unknown(field, str(getattr(self, field)), known)
        if (self.steps is None) == (self.epochs is None):
            raise InputError(
                f"steps = {self.steps} and epochs = {self.epochs}: give exactly one of the two."
            )
        if self.optimizer == "gd" and self.batch is not None:
            raise InputError(
                f"batch = {self.batch} with optimizer gd, which takes all samples a step: leave "
                "batch out, or use sgd."
            )
        for field in ("steps", "epochs", "batch", "decay_epochs", "logs_per_decade"):
            _at_least(field, getattr(self, field), 1)
        for field in ("weight_decay", "fresh_latents", "seed"):
            _at_least(field, getattr(self, field), 0)
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise InputError(f"lr = {self.lr} must be a positive finite number.")
        if self.latent == "redrawn" and self.fresh_latents == 0:
            raise InputError(
                "fresh_latents = 0 with a redrawn latent: no draw of z is the model's own, so an "
                "evaluation needs at least one."
            )

    def steps_per_epoch(self, n_samples: int) -> int:
        """Minibatches a pass over N samples, the last one possibly smaller."""
        return 1 if self.batch is None else -(-n_samples // self.batch)

    def total_steps(self, n_samples: int) -> int:
        """Parameter updates of the whole run on N samples."""
        if self.steps is not None:
            return self.steps
        return (self.epochs or 0) * self.steps_per_epoch(n_samples)

    @property
    def evaluation_latents(self) -> int:
        """Draws of z that an evaluation takes; 0 judges the latent in place."""
        if self.fresh_latents is not None:
            return self.fresh_latents
        return FRESH_LATENTS if self.latent == "redrawn" else 0

    def to_dict(self) -> dict[str, object]:
        """The fields as JSON data."""
        return asdict(self)

    def with_(self, **changes: object) -> "TrainConfig":
        """The same configuration with some fields changed.

        >>> TrainConfig(steps=5).with_(seed=3).seed
        3
        """
        return replace(self, **changes)  # type: ignore[arg-type]


_NAMES: dict[str, tuple[str, ...]] = {
    "optimizer": get_args(OptimizerName),
    "loss": get_args(LossName),
    "reduction": get_args(Reduction),
    "schedule": get_args(Schedule),
    "latent": get_args(Latent),
}


def _at_least(field: str, value: float | None, least: int) -> None:
    if value is not None and not (math.isfinite(value) and value >= least):
        raise InputError(f"{field} = {value} must be at least {least}.")


def learning_rate(config: TrainConfig, step: int, n_samples: int) -> float:
    """η of a step (counted from 0): a function of the step alone, so that resume needs no state.

    Example:
        >>> config = TrainConfig(lr=1.0, epochs=20, schedule="step")
        >>> [learning_rate(config, step, 5) for step in (0, 9, 10)]
        [1.0, 1.0, 0.1]
    """
    if config.schedule == "step":
        epoch = step // config.steps_per_epoch(n_samples)
        return config.lr * config.decay ** (epoch // config.decay_epochs)
    if config.schedule == "cosine":
        return config.lr * 0.5 * (1 + math.cos(math.pi * step / config.total_steps(n_samples)))
    return config.lr


def log_steps(total: int, per_decade: int) -> list[int]:
    """0, then steps at equal ratios, then the last: early training changes fastest.

    Example:
        >>> log_steps(100, 4)
        [0, 1, 2, 3, 6, 10, 18, 32, 56, 100]
    """
    decades = math.log10(max(total, 1))
    grid = (10 ** (k / per_decade) for k in range(math.ceil(decades * per_decade) + 1))
    return sorted({0, total, *(round(step) for step in grid if step <= total)})


@dataclass(frozen=True)
class Stopping:
    """When to look at the validation samples, and when to give up.

    Attributes:
        every: updates between two looks.
        patience: training ends `patience` times `every` updates after the last new least loss,
            however many looks at other steps lie between; None never ends early. The parameters of
            the least loss are kept either way.

    Raises:
        InputError: a number below 1.
    """

    every: int = 20
    patience: int | None = 5

    def __post_init__(self) -> None:
        if self.every < 1 or (self.patience is not None and self.patience < 1):
            raise InputError(
                f"every = {self.every} and patience = {self.patience} must be at least 1."
            )

    def ends(self, steps: Sequence[int], losses: Sequence[float]) -> bool:
        """Whether the last `patience` times `every` updates brought nothing.

        Args:
            steps: of the looks so far.
            losses: seen at them.

        >>> stopping = Stopping(every=10, patience=2)
        >>> stopping.ends([0, 10, 20], [3.0, 2.0, 2.1]), stopping.ends([0, 10, 20], [3.0, 3.0, 3.1])
        (False, True)
        >>> stopping.ends([0, 1, 3, 10], [3.0, 2.0, 2.1, 2.2])  # 9 updates, not 20
        False
        """
        if self.patience is None:
            return False
        return steps[-1] - steps[best(losses)] >= self.patience * self.every


def best(losses: Sequence[float]) -> int:
    """Index of the first least loss.

    >>> best([3.0, 1.0, 1.0])
    1
    """
    return min(range(len(losses)), key=lambda k: losses[k])


# 15 epochs of Adam on cross-entropy. LoRA's script builds StepLR(10, 0.1) and never steps it, so
# its rate is constant too.
RELEASED = {
    "lora": TrainConfig(lr=1e-3, epochs=15, batch=8),
    "tt-lora": TrainConfig(lr=3e-3, epochs=15, batch=8),
    "tensorguide": TrainConfig(lr=3e-3, epochs=15, batch=16),
}


def released_config(method: str, *, seed: int = 0) -> TrainConfig:
    """Batch, rate and epochs of the released script of a method.

    Raises:
        InputError: a method that has no released script.

    Example:
        >>> config = released_config("tensorguide")
        >>> config.optimizer, config.batch, config.lr, config.epochs, config.schedule
        ('adam', 16, 0.003, 15, 'constant')
    """
    if method not in RELEASED:
        raise unknown("released method", method, RELEASED)
    return RELEASED[method].with_(seed=seed)
