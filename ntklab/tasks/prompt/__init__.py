"""Sentences with classes, asked of a language model in its own words."""

from ntklab.tasks.prompt.model import PromptModel, WordLogits, load_prompt_model
from ntklab.tasks.prompt.sentences import Sentences, read_labelled, read_rated, split_shots
from ntklab.tasks.prompt.states import frozen_states
from ntklab.tasks.prompt.table import read_rows
from ntklab.tasks.prompt.task import Prompts, PromptTask, load_prompt
from ntklab.tasks.prompt.template import Template, Tokens, word_tokens
from ntklab.tasks.prompt.top import head_name, top_of

__all__ = [
    "PromptModel",
    "PromptTask",
    "Prompts",
    "Sentences",
    "Template",
    "Tokens",
    "WordLogits",
    "frozen_states",
    "head_name",
    "load_prompt",
    "load_prompt_model",
    "read_labelled",
    "read_rated",
    "read_rows",
    "split_shots",
    "top_of",
    "word_tokens",
]
