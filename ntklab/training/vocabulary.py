"""Training the last projection of a language model: cross-entropy over a whole vocabulary.

Logits are base(φ) + scale · σ(φ W1) W2 with tens of thousands of outputs, so they exist for some
tokens at a time only: each block's logits become its loss and its gradient by σ(φ W1) and W2, and
are gone. The frozen projection costs d V multiply-adds a token at every step (28 million for
SmolLM2's 576 × 49152), the adapter 3 M (d + V) beside it.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ntklab.adapters import Adapter, FactorAdapter
from ntklab.errors import InputError
from ntklab.tasks import HiddenStates, NextToken, feature_hash
from ntklab.training.config import TrainConfig, learning_rate
from ntklab.training.interrupt import deferred_interrupt
from ntklab.training.measure import Row
from ntklab.training.seeds import Minibatches, private_randomness, stream
from ntklab.training.state import FILE, State, load_state, save_state, trainable

Progress = Callable[[int, int], object]

# Logits held at a time: 2^23 float32 numbers are 32 MiB.
BLOCK = 1 << 23


@dataclass(frozen=True)
class Stopping:
    """When to look at the validation text, and when to give up.

    Attributes:
        every: updates between two looks.
        patience: looks in a row without a new least loss after which training ends; None never
            ends early. The parameters of the least loss are kept either way.

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

    def ends(self, losses: Sequence[float]) -> bool:
        """Whether the last `patience` looks brought nothing.

        >>> Stopping(patience=2).ends([3.0, 2.0, 2.1]), Stopping(patience=2).ends([3.0, 3.0, 3.1])
        (False, True)
        """
        return self.patience is not None and len(losses) - 1 - best(losses) >= self.patience


def best(losses: Sequence[float]) -> int:
    """Index of the first least loss.

    >>> best([3.0, 1.0, 1.0])
    1
    """
    return min(range(len(losses)), key=lambda k: losses[k])


class VocabularyHead(nn.Module):
    """f(x) = base(φ) + a(φ; θ) − a(φ; θ_0), a the adapted part; without a base, a(φ; θ) alone.

    Presets that draw both factors at random start with a ΔW of the size of the base itself, which
    would destroy a trained projection. Subtracting the frozen start (as the lazy-training papers
    do, Chizat et al. 2019) keeps the adapter's parameters, kernel and gradients, and starts at the
    base's own logits; where a(φ; θ_0) = 0 already (LoRA with B = 0) it changes nothing.

    Args:
        adapter: trained in place; its base is the frozen projection, or None to replace it.
        centred: subtract the start; only where there is a base.

    Example:
        >>> from ntklab.adapters import LoRA
        >>> base = nn.Linear(8, 30, bias=False)
        >>> head, phi = VocabularyHead(LoRA(8, 30, rank=2, base=base)), torch.randn(4, 8)
        >>> torch.allclose(head(phi), base(phi), atol=1e-6)
        True
    """

    def __init__(self, adapter: Adapter, *, centred: bool = True) -> None:
        super().__init__()
        self.adapter = adapter
        self.origin: Adapter | None = None
        if centred and adapter.base is not None:
            # The base is shared by nobody's copy: None stands for it in the memo.
            self.origin = copy.deepcopy(adapter, {id(adapter.base): None}).requires_grad_(False)
        for name, value in trainable(adapter).items():
            self.register_buffer(_kept(name), value.detach().clone())
        self.register_buffer("running", torch.zeros(2, dtype=torch.float64))

    running: Tensor

    def forward(self, features: Float[Tensor, "N d"]) -> Float[Tensor, "N V"]:
        """All logits; N · V numbers, so for a few tokens only."""
        base, bias, hidden, second = self.terms(features)
        adapted = hidden @ second
        return adapted if base is None else nn.functional.linear(features, base, bias) + adapted

    def terms(
        self, features: Float[Tensor, "N d"]
    ) -> tuple[Tensor | None, Tensor | None, Float[Tensor, "N K"], Float[Tensor, "K V"]]:
        """(W0, bias, h, S) with logits φ W0ᵀ + bias + h S; scale and start are inside h and S.

        A hidden layer has K = M, or 2 M with its start subtracted; a direct ΔW has K = d and takes
        the base into S, so that its logits are one product.
        """
        adapter, origin, base = self.adapter, self.origin, self.adapter.base
        weight = None if base is None else base.weight
        bias = None if base is None else base.bias
        if isinstance(adapter, FactorAdapter):
            hidden, second = _factors(adapter, features)
            if isinstance(origin, FactorAdapter):
                before, start = _factors(origin, features)
                hidden, second = torch.cat([hidden, -before], 1), torch.cat([second, start])
            return weight, bias, hidden, second
        update = adapter.scale * adapter.delta()  # type: ignore[operator]
        if origin is not None:
            update = update - origin.scale * origin.delta()  # type: ignore[operator]
        if weight is None:
            return None, None, features, update
        if bias is None:
            return None, None, features, weight.T + update
        ones = features.new_ones(len(features), 1)
        return (
            None,
            None,
            torch.cat([features, ones], 1),
            torch.cat([weight.T + update, bias[None]]),
        )

    def loss(self, features: Float[Tensor, "n d"], labels: Int[Tensor, " n"]) -> Tensor:
        """Mean cross-entropy of a batch, differentiable by the adapter's parameters.

        Memory: `BLOCK` logits and their like, however many tokens the batch has.
        """
        base, bias, hidden, second = self.terms(features)
        mean: Tensor = _CrossEntropy.apply(features, labels, base, bias, hidden, second)
        return mean

    @torch.no_grad()
    def mean_loss(self, states: HiddenStates, tokens: int = 4096) -> float:
        """Mean cross-entropy over a whole text, summed in float64."""
        total, device = 0.0, self.running.device
        dtype = next(iter(trainable(self.adapter).values())).dtype
        for phi, y in zip(states.features.split(tokens), states.labels.split(tokens), strict=True):
            features = phi.to(device, dtype)
            base, bias, hidden, second = self.terms(features)
            for rows in torch.arange(len(y)).split(_rows(second)):
                logits = _logits(features[rows], base, bias, hidden[rows], second)
                total += float(_losses(logits, y[rows].to(device)).double().sum())
        return total / states.n_samples

    @torch.no_grad()
    def keep(self) -> None:
        """Note the present parameters as the best so far."""
        for name, value in trainable(self.adapter).items():
            self.get_buffer(_kept(name)).copy_(value)

    @torch.no_grad()
    def restore(self) -> None:
        """Put the best parameters back in place."""
        for name, value in trainable(self.adapter).items():
            value.copy_(self.get_buffer(_kept(name)))

    @property
    def macs(self) -> int:
        """Multiply-adds of one token in a training step: base forward, adapter forward and back."""
        base = self.adapter.in_features * self.adapter.out_features
        if isinstance(self.adapter, FactorAdapter):
            start = 0 if self.origin is None else 2 * self.origin.macs
            return (0 if self.adapter.base is None else base) + 3 * self.adapter.macs + start
        return 2 * base  # forward and by S; φ needs no gradient


@dataclass(frozen=True, eq=False)
class VocabularyRun:
    """What training a vocabulary head leaves.

    Attributes:
        config: what it was run with.
        rows: one a look: `step`, `epoch`, `lr`, `train_loss` (mean over the batches since the last
            look, None at the start), `valid_loss`, `valid_perplexity`; nothing of the clock.
        steps: updates made.
        best_step: the look whose parameters were kept.
        stopped: whether patience ended it.
        diverged: (step, loss) where the loss was no number, or None.
        test_loss: mean cross-entropy on the test text with the kept parameters, in nats a token.
        baseline_loss: the same for the frozen projection.
        train_seconds: time spent on updates, over all sittings.
        tokens_per_second: tokens of all updates over that time; None without updates.
        macs_per_token: multiply-adds of a token in an update.
        head: the trained head with the kept parameters.
    """

    config: TrainConfig
    rows: tuple[Row, ...]
    steps: int
    best_step: int
    stopped: bool
    diverged: tuple[int, float] | None
    test_loss: float
    baseline_loss: float
    train_seconds: float
    tokens_per_second: float | None
    macs_per_token: int
    head: VocabularyHead

    @property
    def test_perplexity(self) -> float:
        """exp of the test loss."""
        return math.exp(self.test_loss)

    @property
    def baseline_perplexity(self) -> float:
        """exp of the frozen model's loss."""
        return math.exp(self.baseline_loss)


def train_vocabulary_head(
    adapter: Adapter,
    data: NextToken,
    config: TrainConfig,
    *,
    stopping: Stopping | None = None,
    centred: bool = True,
    folder: Path | str | None = None,
    checkpoint_seconds: float = 30.0,
    progress: Progress | None = None,
) -> VocabularyRun:
    """Train an adapter of the last projection, by batches of tokens mixed over all windows.

    The validation text decides when to stop and which parameters to keep; the test text is judged
    once, at the end. Equal seeds give equal numbers bit for bit on one machine with the same
    threads, over any number of sittings in `folder`.

    Args:
        adapter: d × V, its base the frozen projection (`data.projection()`) to add to it, or None
            to replace it; trained in place.
        data: hidden states of the three splits.
        config: optimizer, rate, schedule, steps or epochs, batch (in tokens), seed.
        stopping: looks at the validation text; every 20 updates with patience 5 if None.
        centred: see `VocabularyHead`.
        folder: where the checkpoint lives; one of this run is resumed, another's is refused.
        checkpoint_seconds: time between checkpoints; 0 writes one after every update.
        progress: called with (updates done, all updates).

    Raises:
        InputError: sizes that do not fit, a loss other than the mean cross-entropy, a redrawn
            latent, a folder of another run.
        KeyboardInterrupt: after the checkpoint was written.

    Cost: (d V + 3 M (d + V)) multiply-adds a token and update; a look d V a validation token.
    """
    _check(adapter, data, config)
    head = VocabularyHead(adapter, centred=centred)
    trainer = _Trainer(head, data, config, stopping or Stopping(), folder, progress)
    return trainer.run(checkpoint_seconds)


class _Trainer:
    def __init__(
        self,
        head: VocabularyHead,
        data: NextToken,
        config: TrainConfig,
        stopping: Stopping,
        folder: Path | str | None,
        progress: Progress | None,
    ) -> None:
        params = trainable(head)
        first = next(iter(params.values()))
        self.head, self.data, self.config, self.stopping = head, data, config, stopping
        self.progress = progress or (lambda done, total: None)
        self.total = config.total_steps(data.train.n_samples)
        # Rows are gathered where the states lie, on the CPU, and only then moved.
        self.batches = Minibatches(
            data.train.n_samples, config.batch, config.seed, torch.device("cpu")
        )
        kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.SGD
        optimizer = kind(params.values(), lr=config.lr, weight_decay=config.weight_decay)
        start = {name: value.detach().clone() for name, value in params.items()}
        self.state = State(head, optimizer, stream(config.seed, "latent"), first.device, start)
        self.dtype = first.dtype
        self.path = None if folder is None else Path(folder) / FILE
        self.identity = {} if self.path is None else self._identity()

    def run(self, checkpoint_seconds: float) -> VocabularyRun:
        state = self.state
        with private_randomness(self.config.seed, state.device):
            if self.path is None or not load_state(self.path, state, self.identity):
                self._look()
            with nullcontext(lambda: False) if self.path is None else deferred_interrupt() as stop:
                self._steps(stop, checkpoint_seconds)
            self._save()
            if stop() and not self._done:
                raise KeyboardInterrupt
        return self._result()

    def _steps(self, stop: Callable[[], bool], checkpoint_seconds: float) -> None:
        state, saved = self.state, time.perf_counter()
        while not self._done and not stop():
            since = time.perf_counter()
            loss = self._update()
            state.step += 1
            state.train_seconds += time.perf_counter() - since
            if not math.isfinite(loss):
                state.diverged = (state.step - 1, loss)
            elif state.step % self.stopping.every == 0 or state.step == self.total:
                self._look()
            if self.path is not None and time.perf_counter() - saved >= checkpoint_seconds:
                self._save()
                saved = time.perf_counter()
            self.progress(state.step, self.total)

    def _update(self) -> float:
        state, train = self.state, self.data.train
        rows = self.batches.rows(state.step)
        kept = slice(None) if rows is None else rows
        features = train.features[kept].to(state.device, self.dtype)
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, state.step, train.n_samples)
        state.optimizer.zero_grad()
        loss = self.head.loss(features, train.labels[kept].to(state.device))
        loss.backward()
        state.optimizer.step()
        value = float(loss.detach())
        self.head.running += torch.tensor([value, 1.0], dtype=torch.float64)
        return value

    def _look(self) -> None:
        state, (total, count) = self.state, self.head.running.tolist()
        valid = self.head.mean_loss(self.data.valid)
        row: Row = {
            "step": state.step,
            "epoch": state.step / self.config.steps_per_epoch(self.data.train.n_samples),
            "lr": learning_rate(self.config, state.step, self.data.train.n_samples),
            "train_loss": total / count if count else None,
            "valid_loss": valid,
            "valid_perplexity": math.exp(min(valid, 700.0)),
        }
        state.rows.append(row)
        state.row_seconds.append(state.train_seconds)
        self.head.running.zero_()
        if best(self._valid_losses) == len(state.rows) - 1:
            self.head.keep()

    @property
    def _valid_losses(self) -> list[float]:
        losses = (float(row["valid_loss"] or 0.0) for row in self.state.rows)
        return [loss if math.isfinite(loss) else math.inf for loss in losses]

    @property
    def _stopped(self) -> bool:
        return self.stopping.ends(self._valid_losses)

    @property
    def _done(self) -> bool:
        state = self.state
        return state.step >= self.total or state.diverged is not None or self._stopped

    def _save(self) -> None:
        if self.path is not None:
            save_state(self.path, self.state, self.identity)

    def _identity(self) -> dict[str, Any]:
        empty = self.data.weight.new_zeros(0)
        return {
            "config": self.config.to_dict(),
            "stopping": asdict(self.stopping),
            "centred": self.head.origin is not None,
            "train": self.data.train.digest,
            "valid": self.data.valid.digest,
            "start of the head": feature_hash(self.head, empty),
        }

    def _result(self) -> VocabularyRun:
        state = self.state
        self.head.restore()
        batch = self.config.batch or self.data.train.n_samples
        tokens = state.step * min(batch, self.data.train.n_samples)
        return VocabularyRun(
            config=self.config,
            rows=tuple(state.rows),
            steps=state.step,
            best_step=int(state.rows[best(self._valid_losses)]["step"] or 0),
            stopped=self._stopped and state.step < self.total,
            diverged=state.diverged,
            test_loss=self.head.mean_loss(self.data.test),
            baseline_loss=math.log(self.data.baseline("test")),
            train_seconds=state.train_seconds,
            tokens_per_second=tokens / state.train_seconds if state.step else None,
            macs_per_token=self.head.macs,
            head=self.head,
        )


class _CrossEntropy(torch.autograd.Function):
    """Mean of −log softmax(φ W0ᵀ + b + h S)[y], with its gradients by h and S made on the way.

    ∂/∂logits = (p − e_y)/n is at hand when the loss is, so nothing of size n × V is kept for the
    backward pass (the idea of the fused cross-entropies of training libraries).
    """

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        labels: Tensor,
        base: Tensor | None,
        bias: Tensor | None,
        hidden: Tensor,
        second: Tensor,
    ) -> Tensor:
        by_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[4] else None
        by_second = torch.zeros_like(second) if ctx.needs_input_grad[5] else None
        total = torch.zeros((), dtype=torch.float64, device=hidden.device)
        for rows in torch.arange(len(labels), device=labels.device).split(_rows(second)):
            logits, y = _logits(features[rows], base, bias, hidden[rows], second), labels[rows]
            log_sums = logits.logsumexp(1)
            total += (log_sums - logits.gather(1, y[:, None])[:, 0]).double().sum()
            residual = logits.sub_(log_sums[:, None]).exp_()
            residual[torch.arange(len(y), device=y.device), y] -= 1
            if by_hidden is not None:
                by_hidden[rows] = residual @ second.T
            if by_second is not None:
                by_second.addmm_(hidden[rows].T, residual)
        ctx.gradients = by_hidden, by_second
        ctx.count = len(labels)
        return (total / len(labels)).to(hidden.dtype)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        factor = outer[0] / ctx.count
        by_hidden, by_second = (None if g is None else factor * g for g in ctx.gradients)
        return None, None, None, None, by_hidden, by_second


def _factors(adapter: FactorAdapter, features: Tensor) -> tuple[Tensor, Tensor]:
    first, second = adapter.factors()
    return adapter.activation.function(features @ first), adapter.scale * second


def _logits(
    features: Tensor, base: Tensor | None, bias: Tensor | None, hidden: Tensor, second: Tensor
) -> Tensor:
    if base is None:
        return hidden @ second
    return nn.functional.linear(features, base, bias).addmm_(hidden, second)


def _losses(logits: Float[Tensor, "n V"], labels: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    return nn.functional.cross_entropy(logits, labels, reduction="none")


def _rows(second: Tensor) -> int:
    return max(1, BLOCK // second.shape[1])


def _kept(name: str) -> str:
    return "kept_" + name.replace(".", "_")


def _check(adapter: Adapter, data: NextToken, config: TrainConfig) -> None:
    if (adapter.in_features, adapter.out_features) != (data.width, data.vocabulary):
        raise InputError(
            f"the adapter maps {adapter.in_features} to {adapter.out_features}, but the model's "
            f"last projection maps {data.width} to {data.vocabulary}: build it with those."
        )
    if (config.loss, config.reduction) != ("cross-entropy", "mean"):
        raise InputError(
            f"loss = {config.loss} with reduction = {config.reduction}: a vocabulary head is "
            "trained by the mean cross-entropy."
        )
    if config.latent != "fixed" or config.fresh_latents:
        raise InputError(
            "a redrawn latent is not offered for a vocabulary head: use latent = fixed."
        )
