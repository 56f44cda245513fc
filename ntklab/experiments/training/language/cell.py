"""One training run of a language model's last layer: a configuration in, a row out."""

import math
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from ntklab.adapters import Adapter, build_adapter
from ntklab.experiments.peak_memory import taken_since
from ntklab.experiments.training.language.config import FROZEN, LanguageConfig
from ntklab.records import Cell
from ntklab.tasks import NextToken, load_next_token, token_losses
from ntklab.training import Stopping, TrainConfig, VocabularyRun, train_vocabulary_head
from ntklab.training.loop import Progress
from ntklab.training.vocabulary_logits import FrozenLogits, frozen_logits


def run_language(
    config: LanguageConfig, *, running: Path | None = None, progress: Progress | None = None
) -> Cell:
    """Train one head (or judge a baseline) and measure it on the validation and test texts.

    Row and curves depend on the configuration, the texts and the library versions alone; clock and
    memory stand apart in `measured`. Losses are in nats a token of the model's own vocabulary.

    Args:
        config: what to run.
        running: where its checkpoint goes; a run that was stopped or killed goes on from there
            and ends with the same bits.
        progress: called with (updates done, all updates).

    Returns:
        The row, and of a run that is measured arrays `step`, `train_loss`, `valid_loss` of its
        looks.

    Raises:
        InputError: for a model, text, size or number that does not fit.
        KeyboardInterrupt: after the checkpoint was written.
    """
    data, start = language_data(config), time.perf_counter()
    if not config.trained:
        row = _of_baseline(config, data)
        return Cell(row, taken_since(start, config.compute.device), {})
    adapter = language_adapter(config, data)
    run = train_vocabulary_head(
        adapter,
        data,
        _train_config(config),
        stopping=Stopping(config.look, config.patience),
        chunk=config.chunk,
        frozen=_logits_of(data) if config.keep_logits and config.head == "add" else None,
        folder=running,
        progress=progress,
    )
    timed = {"train_seconds": run.train_seconds, "tokens_per_second": run.tokens_per_second}
    row = _named(config, data) | _sizes(adapter) | _of_run(config, run)
    curves = _curves(run) if config.purpose == "measure" else {}
    return Cell(row, taken_since(start, config.compute.device) | timed, curves)


def language_data(config: LanguageConfig, progress: Progress | None = None) -> NextToken:
    """Hidden states of the three texts, from memory, from disk, or from the model.

    Args:
        config: see `LanguageConfig`.
        progress: called with (tokens read, all tokens) where the model must read them.
    """
    given, key = config.text.to_dict(), (config.text, config.compute.device)
    if key not in _TEXTS:
        _TEXTS.clear()  # one model's texts at a time: they may be gigabytes
        _TEXTS[key] = load_next_token(progress=progress, device=config.compute.device, **given)
    return _TEXTS[key]


_TEXTS: dict[tuple[Any, ...], NextToken] = {}


@lru_cache(maxsize=1)
def _logits_of(data: NextToken) -> FrozenLogits:
    return frozen_logits(data)


def language_adapter(config: LanguageConfig, data: NextToken) -> Adapter:
    """The adapter of a run at its start, drawn by `seed`.

    Raises:
        InputError: for sizes that the method has no use for, or shapes that do not fit.
    """
    return build_adapter(
        config.adapter,
        data.width,
        data.vocabulary,
        base=data.projection() if config.head == "add" else None,
        generator=Generator().manual_seed(config.compute.seed),
        dtype=config.compute.torch_dtype,
        device=config.compute.device,
    )


def truncated_projection(weight: Float[Tensor, "V d"], rank: int) -> Float[Tensor, "V d"]:
    """The nearest matrix of that rank (Eckart and Young 1936), by the d × d Gram matrix.

    Example:
        >>> cut = truncated_projection(torch.diag(torch.tensor([3.0, 2.0, 1.0])), 2)
        >>> cut.diagonal().round(decimals=4).abs()
        tensor([3., 2., 0.])
    """
    wide = weight.double()
    vectors = torch.linalg.eigh(wide.T @ wide).eigenvectors[:, -rank:]
    return (wide @ vectors @ vectors.T).to(weight.dtype)


def _of_baseline(config: LanguageConfig, data: NextToken) -> dict[str, Any]:
    weight = data.weight
    if config.adapter.method != FROZEN:
        weight = truncated_projection(weight, config.adapter.rank or 1)
    losses = {
        f"{name}_loss": float(token_losses(s.features, s.labels, weight, data.bias).mean())
        for name, s in (("valid", data.valid), ("test", data.test))
    }
    return _named(config, data) | {"params": 0} | _with_perplexity(losses) | {"reason": None}


def _named(config: LanguageConfig, data: NextToken) -> dict[str, Any]:
    flat = config.to_dict()
    names = ("method", "head", "purpose", "model", "preset", "seed", "width", "context")
    windows = ("train_windows", "valid_windows", "test_windows")
    return {
        "task": "wikitext",
        "variant": config.variant,
        **{name: flat[name] for name in (*names, *windows)},
        "stride": config.text.stride or config.text.context,
        "train_tokens": data.train.n_samples,
        "test_tokens": data.test.n_samples,
        "baseline_valid_perplexity": data.baseline("valid"),
        "baseline_perplexity": data.baseline("test"),
    }


def _sizes(adapter: Adapter) -> dict[str, Any]:
    ranks = [",".join(map(str, shape.ranks)) for shape in adapter.shapes.values()]
    return {
        "params": adapter.parameter_count,
        "shapes": "; ".join(map(str, adapter.shapes.values())) or None,
        "tt_ranks": ";".join(ranks) or None,
    }


def _of_run(config: LanguageConfig, run: VocabularyRun) -> dict[str, Any]:
    best = next(row for row in run.rows if row["step"] == run.best_step)
    losses = {"valid_loss": best["valid_loss"], "test_loss": run.test_loss}
    reason = None if run.diverged is None else f"diverged at step {run.diverged[0]}"
    return {
        **{name: getattr(config, name) for name in ("optimizer", "batch", "schedule")},
        "lr": config.rate,
        "steps": run.steps,
        "best_step": run.best_step,
        "stopped_early": run.stopped,
        "diverged": run.diverged is not None,
        "macs_per_token": run.macs_per_token,
        **_with_perplexity(losses),
        "reason": reason,
    }


def _with_perplexity(losses: dict[str, Any]) -> dict[str, Any]:
    perplexities = {
        name.replace("loss", "perplexity"): math.exp(min(value, 700.0))
        for name, value in losses.items()
    }
    return losses | perplexities


def _curves(run: VocabularyRun) -> dict[str, np.ndarray]:
    def column(name: str) -> np.ndarray:
        values: Sequence[Any] = [row[name] for row in run.rows]
        return np.array([math.nan if value is None else value for value in values], np.float64)

    return {name: column(name) for name in ("step", "train_loss", "valid_loss")}


def _train_config(config: LanguageConfig) -> TrainConfig:
    return TrainConfig(
        optimizer=config.optimizer,  # type: ignore[arg-type]
        lr=config.rate,
        steps=config.steps,
        batch=config.batch,
        schedule=config.schedule,  # type: ignore[arg-type]
        seed=config.compute.seed,
    )
