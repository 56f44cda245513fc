"""Measured training runs: one loop, checkpoints that resume bit for bit, and what they log.

Names are loaded when first used: configurations need no torch.
"""

from typing import TYPE_CHECKING

from ntklab.lazy_names import lazily

if TYPE_CHECKING:
    from ntklab.training.comparison import Comparison, compare
    from ntklab.training.config import (
        RELEASED,
        Stopping,
        TrainConfig,
        learning_rate,
        log_steps,
        released_config,
    )
    from ntklab.training.data import Data
    from ntklab.training.dense import DenseHead
    from ntklab.training.divergence import Divergence
    from ntklab.training.end_to_end import Network, released_network
    from ntklab.training.fine_tuning import FineTuning, finetune
    from ntklab.training.lazy import LazyModel
    from ntklab.training.losses import accuracy, loss_function, one_hot
    from ntklab.training.run import Moment, Observer, Run
    from ntklab.training.supervised import train
    from ntklab.training.vocabulary import VocabularyRun, train_vocabulary_head
    from ntklab.training.vocabulary_head import VocabularyHead

__all__ = [  # noqa: RUF022 - grouped by use
    # the verb and its result
    "train",
    "Run",
    # beside its prediction
    "compare",
    "Comparison",
    # what it takes
    "TrainConfig",
    "Data",
    # what watches it
    "Observer",
    "Moment",
    "Divergence",
    # models beside the adapters themselves
    "DenseHead",
    "LazyModel",
    "Network",
    "RELEASED",
    "released_config",
    "released_network",
    # with early stopping
    "finetune",
    "FineTuning",
    "Stopping",
    # the last layer of a language model
    "train_vocabulary_head",
    "VocabularyHead",
    "VocabularyRun",
    # pieces
    "accuracy",
    "loss_function",
    "one_hot",
    "learning_rate",
    "log_steps",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "comparison": ("Comparison", "compare"),
        "config": (
            "RELEASED",
            "Stopping",
            "TrainConfig",
            "learning_rate",
            "log_steps",
            "released_config",
        ),
        "data": ("Data",),
        "dense": ("DenseHead",),
        "divergence": ("Divergence",),
        "end_to_end": (
            "Network",
            "released_network",
        ),
        "fine_tuning": (
            "FineTuning",
            "finetune",
        ),
        "lazy": ("LazyModel",),
        "losses": (
            "accuracy",
            "loss_function",
            "one_hot",
        ),
        "run": (
            "Moment",
            "Observer",
            "Run",
        ),
        "supervised": ("train",),
        "vocabulary": (
            "VocabularyRun",
            "train_vocabulary_head",
        ),
        "vocabulary_head": ("VocabularyHead",),
    },
)
