"""The options of a language model's last layer: train with --task wikitext."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ntklab.cli.groups import option
from ntklab.cli.options import check_page

HEAD_NAMES = ("add", "replace")


@dataclass(frozen=True, kw_only=True)
class Language:
    """What only the last layer of a language model has a use for."""

    model: Annotated[
        str | None,
        option(
            "--model NAME",
            "wikitext: hub name, folder or .gguf; the fetched SmolLM2 or gpt2 when left out.",
        ),
    ] = None
    tokenizer: Annotated[
        str | None, option("--tokenizer NAME", "wikitext: if the model has none of its own.")
    ] = None
    context: Annotated[
        int | None, option("--context TOKENS", "wikitext: tokens a window.", min=2)
    ] = None
    stride: Annotated[
        int | None,
        option(
            "--stride TOKENS",
            "wikitext: from one window judged to the next; the context when left out.",
            min=1,
        ),
    ] = None
    windows: Annotated[
        str | None, option("--windows TRAIN,VALID,TEST", "wikitext: how many; 16,4,8 if left out.")
    ] = None
    head: Annotated[
        str | None,
        option(
            "--head WORD",
            "wikitext: add to the frozen projection, or replace it.",
            words=HEAD_NAMES,
        ),
    ] = None
    chunk: Annotated[
        int | None, option("--chunk TOKENS", "wikitext: tokens whose logits are held.", min=1)
    ] = None
    look: Annotated[
        int | None, option("--look STEPS", "wikitext: updates between looks at validation.")
    ] = None
    patience: Annotated[
        int | None, option("--patience LOOKS", "wikitext: looks without gain that end a run.")
    ] = None
    keep_logits: Annotated[
        bool, option("--keep-logits", "wikitext: keep the frozen logits in memory, for many runs.")
    ] = False
    rates: Annotated[
        str | None, option("--rates R1,R2,..", "wikitext: choose the rate by validation.")
    ] = None
    table: Annotated[
        int | None, option("--table 3", "wikitext: all rows of the paper's table 3.")
    ] = None
    quick: Annotated[bool, option("--quick", "wikitext: few windows and updates: minutes.")] = False
    markdown: Annotated[
        Path | None,
        option(
            "--markdown FILE.md",
            "wikitext: write the table with its sentences.",
            callback=check_page,
        ),
    ] = None
