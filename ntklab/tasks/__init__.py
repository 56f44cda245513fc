"""Tasks: real and synthetic input, as features of a frozen backbone with labels.

Names are loaded when first used: registry and specifications need no torch.
"""

from typing import TYPE_CHECKING

from ntklab.lazy_names import lazily

if TYPE_CHECKING:
    from ntklab.tasks.backbones import load_backbone, resnet18
    from ntklab.tasks.cache import default_cache
    from ntklab.tasks.features import extract, feature_hash
    from ntklab.tasks.loading import load_data, load_task
    from ntklab.tasks.quantum_dot import Diagrams, load_diagrams, load_quantum_dot, simulate
    from ntklab.tasks.random_model import write_random_model
    from ntklab.tasks.registry import TASKS
    from ntklab.tasks.spec import CONDITIONS, DataSpec
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
    # data as a configuration names them
    "DataSpec",
    "CONDITIONS",
    "load_data",
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
    "write_random_model",
    # features
    "default_cache",
    "extract",
    "feature_hash",
    "load_backbone",
    "resnet18",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "backbones": ("load_backbone", "resnet18"),
        "cache": ("default_cache",),
        "features": ("extract", "feature_hash"),
        "loading": ("load_data", "load_task"),
        "quantum_dot": ("Diagrams", "load_diagrams", "load_quantum_dot", "simulate"),
        "registry": ("TASKS",),
        "random_model": ("write_random_model",),
        "spec": ("CONDITIONS", "DataSpec"),
        "synthetic": (
            *("BarronTarget", "SyntheticProblem", "barron_target"),
            *("load_synthetic", "synthetic_problem"),
        ),
        "task": ("Split", "Task"),
        "wikitext": (
            *("HiddenStates", "LanguageModel", "NextToken", "fetch_smollm2", "find_smollm2"),
            *("hidden_states", "load_language_model", "load_next_token", "load_wikitext"),
            *("perplexity", "token_losses"),
        ),
    },
)
