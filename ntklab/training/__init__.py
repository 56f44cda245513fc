"""Measured training runs: one loop, checkpoints that resume bit for bit, and what they log."""

from ntklab.training.config import TrainConfig, learning_rate, log_steps
from ntklab.training.data import Data
from ntklab.training.divergence import Divergence
from ntklab.training.end_to_end import RELEASED, Network, released_config, released_network
from ntklab.training.lazy import LazyModel
from ntklab.training.losses import accuracy, loss_function, one_hot
from ntklab.training.run import Moment, Observer, Run
from ntklab.training.supervised import train
from ntklab.training.vocabulary import Stopping, VocabularyRun, train_vocabulary_head
from ntklab.training.vocabulary_head import VocabularyHead

__all__ = [  # noqa: RUF022 - grouped by use
    # the verb and its result
    "train",
    "Run",
    # what it takes
    "TrainConfig",
    "Data",
    # what watches it
    "Observer",
    "Moment",
    "Divergence",
    # models beside the adapters themselves
    "LazyModel",
    "Network",
    "RELEASED",
    "released_config",
    "released_network",
    # the last layer of a language model
    "train_vocabulary_head",
    "VocabularyHead",
    "VocabularyRun",
    "Stopping",
    # pieces
    "accuracy",
    "loss_function",
    "one_hot",
    "learning_rate",
    "log_steps",
]
