"""Tasks: real and synthetic input, as features of a frozen backbone with labels."""

from ntklab.tasks.backbones import load_backbone, resnet18
from ntklab.tasks.features import default_cache, extract, feature_hash
from ntklab.tasks.quantum_dot import Diagrams, load_diagrams, load_quantum_dot, simulate
from ntklab.tasks.registry import TASKS, load_task
from ntklab.tasks.synthetic import (
    BarronTarget,
    SyntheticProblem,
    barron_target,
    load_synthetic,
    synthetic_problem,
)
from ntklab.tasks.task import Split, Task
from ntklab.tasks.wikitext import (
    HiddenStates,
    LanguageModel,
    NextToken,
    fetch_smollm2,
    find_smollm2,
    hidden_states,
    load_language_model,
    load_next_token,
    load_wikitext,
    perplexity,
    token_losses,
)

__all__ = [  # noqa: RUF022 - grouped by what they are for
    # what a task is, and tasks by name
    "Task",
    "Split",
    "TASKS",
    "load_task",
    # quantum dots
    "Diagrams",
    "load_diagrams",
    "load_quantum_dot",
    "simulate",
    # synthetic
    "BarronTarget",
    "SyntheticProblem",
    "barron_target",
    "load_synthetic",
    "synthetic_problem",
    # next tokens
    "HiddenStates",
    "LanguageModel",
    "NextToken",
    "fetch_smollm2",
    "find_smollm2",
    "hidden_states",
    "load_language_model",
    "load_next_token",
    "load_wikitext",
    "perplexity",
    "token_losses",
    # features
    "default_cache",
    "extract",
    "feature_hash",
    "load_backbone",
    "resnet18",
]
