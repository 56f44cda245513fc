"""Training an adapter of a language model's last projection, judged by perplexity."""

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ntklab import accelerator
from ntklab.adapters import Adapter
from ntklab.adapters.adapter import trainable
from ntklab.display import ShortRepr
from ntklab.errors import InputError
from ntklab.jacobians.memory import default_memory
from ntklab.tasks import HiddenStates, NextToken, feature_hash
from ntklab.training.config import Stopping, TrainConfig
from ntklab.training.loop import PatientLoop, Progress
from ntklab.training.measure import Row
from ntklab.training.seeds import stream
from ntklab.training.state import State
from ntklab.training.vocabulary_head import VocabularyHead
from ntklab.training.vocabulary_logits import FrozenLogits


@dataclass(frozen=True, eq=False, repr=False)
class VocabularyRun(ShortRepr):
    """The result of training a vocabulary head.

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
    chunk: int | None = None,
    frozen: FrozenLogits | None = None,
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
        chunk: see `VocabularyHead`.
        frozen: the frozen projection's logits, where they are kept between runs; about three times
            as fast, and the same but for rounding.
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
    head = VocabularyHead(adapter, centred=centred, chunk=chunk)
    trainer = _Trainer(head, data, config, stopping or Stopping(), frozen, folder, progress)
    trainer.run(checkpoint_seconds)
    return trainer.result()


class _Trainer(PatientLoop):
    progress_seconds = 0.0  # an update of a whole vocabulary takes long enough

    def __init__(
        self,
        head: VocabularyHead,
        data: NextToken,
        config: TrainConfig,
        stopping: Stopping,
        frozen: FrozenLogits | None,
        folder: Path | str | None,
        progress: Progress | None,
    ) -> None:
        params = trainable(head)
        first = next(iter(params.values()))
        self.head, self.data, self.frozen = head, data, frozen
        self.dtype = first.dtype
        kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.SGD
        optimizer = kind(params.values(), lr=config.lr, weight_decay=config.weight_decay)
        start = {name: value.detach().clone() for name, value in params.items()}
        state = State(head, optimizer, stream(config.seed, "latent"), first.device, start)
        # Rows are gathered where the states lie: on the device, unless they crowd it.
        self.train_states = _placed(data.train, first.device)
        home, samples = self.train_states.features.device, data.train.n_samples
        super().__init__(
            state, config, samples, home=home, folder=folder, progress=progress, stopping=stopping
        )

    def describe(self) -> dict[str, Any]:
        empty = self.data.weight.new_zeros(0)
        return {
            "config": self.config.to_dict(),
            "stopping": asdict(self.stopping),
            "centred": self.head.origin is not None,
            "chunk": self.head.chunk,
            "frozen logits": self.frozen is not None,
            "train": self.data.train.digest,
            "valid": self.data.valid.digest,
            "start of the head": feature_hash(self.head, empty),
        }

    def logs_at(self, step: int) -> bool:
        return step % self.stopping.every == 0 or step == self.total

    def update(self) -> Tensor:
        state, train = self.state, self.train_states
        rows = self.batches.rows(state.step)
        batch = slice(None) if rows is None else rows
        features = train.features[batch].to(state.device, self.dtype)
        self.set_rate()
        state.optimizer.zero_grad()
        known = None if self.frozen is None else _rows_of(self.frozen.train, batch)
        loss = self.head.loss(features, train.labels[batch].to(state.device), known)
        loss.backward()
        state.optimizer.step()
        # Added where they are: to read the loss here would wait for the device at each step.
        self.head.running[0] += loss.detach()
        self.head.running[1] += 1
        return loss

    def log(self) -> None:
        total, count = self.head.running.tolist()
        valid = self.head.mean_loss(self.data.valid, self._known("valid"))
        self.append(
            self.row()
            | {
                "train_loss": total / count if count else None,
                "valid_loss": valid,
                "valid_perplexity": math.exp(min(valid, 700.0)),
            }
        )
        self.head.running.zero_()
        if self.best_look == len(self.state.rows) - 1:
            self.head.keep()

    def _known(self, split: str) -> Tensor | None:
        return None if self.frozen is None else getattr(self.frozen, split)

    def result(self) -> VocabularyRun:
        state = self.state
        self.head.restore()
        batch = self.config.batch or self.data.train.n_samples
        tokens = state.step * min(batch, self.data.train.n_samples)
        return VocabularyRun(
            config=self.config,
            rows=tuple(state.rows),
            steps=state.step,
            best_step=int(state.rows[self.best_look]["step"] or 0),
            stopped=self.stopped and state.step < self.total,
            diverged=state.diverged,
            test_loss=self.head.mean_loss(self.data.test, self._known("test")),
            baseline_loss=math.log(self.data.baseline("test")),
            train_seconds=state.train_seconds,
            tokens_per_second=tokens / state.train_seconds if state.step else None,
            macs_per_token=self.head.macs,
            head=self.head,
        )


def _placed(states: HiddenStates, device: torch.device) -> HiddenStates:
    """The states on the device, where that takes no more than a quarter of what is free there."""
    tensors = states.features, states.labels
    bytes_needed = sum(one.numel() * one.element_size() for one in tensors)
    if not accelerator.is_accelerator(device) or bytes_needed > default_memory(device):
        return states
    features, labels = (one.to(device) for one in tensors)
    return replace(states, features=features, labels=labels)


def _rows_of(tensor: Tensor, rows: Tensor | slice) -> Tensor:
    return tensor[rows if isinstance(rows, slice) else rows.to(tensor.device)]


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
