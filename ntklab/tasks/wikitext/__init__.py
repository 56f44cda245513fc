"""Next-token prediction on WikiText-2 with a frozen causal language model."""

from ntklab.tasks.wikitext.fetch import fetch_smollm2, find_smollm2
from ntklab.tasks.wikitext.hidden import HiddenStates, hidden_states
from ntklab.tasks.wikitext.language_model import LanguageModel, load_language_model
from ntklab.tasks.wikitext.perplexity import perplexity, token_losses
from ntklab.tasks.wikitext.sources import default_model, default_text
from ntklab.tasks.wikitext.task import (
    NextToken,
    load_next_token,
    load_wikitext,
    next_token_samples,
)
from ntklab.tasks.wikitext.text import read_text
from ntklab.tasks.wikitext.windows import Windows, cut_windows

__all__ = [
    "HiddenStates",
    "LanguageModel",
    "NextToken",
    "Windows",
    "cut_windows",
    "default_model",
    "default_text",
    "fetch_smollm2",
    "find_smollm2",
    "hidden_states",
    "load_language_model",
    "load_next_token",
    "load_wikitext",
    "next_token_samples",
    "perplexity",
    "read_text",
    "token_losses",
]
