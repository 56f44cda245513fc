"""The options of a language model's last layer: train and spectrum with --task wikitext."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ntklab.cli.options import _option

HEAD_NAMES = ("add", "replace")

Model: Any = Annotated[
    str | None,
    _option(
        "--model",
        metavar="NAME",
        help="wikitext: hub name, folder or .gguf; the fetched SmolLM2 or gpt2 when left out.",
    ),
]
Tokenizer: Any = Annotated[
    str | None,
    _option("--tokenizer", metavar="NAME", help="wikitext: if the model has none of its own."),
]
Context: Any = Annotated[
    int | None, _option("--context", metavar="TOKENS", help="wikitext: tokens a window.", min=2)
]
Stride: Any = Annotated[
    int | None,
    _option(
        "--stride",
        metavar="TOKENS",
        help="wikitext: from one window judged to the next; the context when left out.",
        min=1,
    ),
]
Windows: Any = Annotated[
    str | None,
    _option(
        "--windows", metavar="TRAIN,VALID,TEST", help="wikitext: how many; 16,4,8 if left out."
    ),
]
Head: Any = Annotated[
    str | None,
    _option(
        "--head",
        metavar="WORD",
        words=HEAD_NAMES,
        help="wikitext: add to the frozen projection, or replace it.",
    ),
]
Chunk: Any = Annotated[
    int | None,
    _option("--chunk", metavar="TOKENS", help="wikitext: tokens whose logits are held.", min=1),
]
Look: Any = Annotated[
    int | None,
    _option("--look", metavar="STEPS", help="wikitext: updates between looks at validation."),
]
Patience: Any = Annotated[
    int | None,
    _option("--patience", metavar="LOOKS", help="wikitext: looks without gain that end a run."),
]
KeepLogits: Any = Annotated[
    bool,
    typer.Option(
        "--keep-logits", help="wikitext: keep the frozen logits in memory, for many runs."
    ),
]
SearchedRates: Any = Annotated[
    str | None,
    _option("--rates", metavar="R1,R2,..", help="wikitext: choose the rate by validation."),
]
Table: Any = Annotated[
    int | None, _option("--table", metavar="3", help="wikitext: all rows of the paper's table 3.")
]
Quick: Any = Annotated[
    bool, typer.Option("--quick", help="wikitext: few windows and updates: minutes.")
]
Markdown: Any = Annotated[
    Path | None,
    _option("--markdown", metavar="FILE.md", help="wikitext: write the table with its sentences."),
]
Weighted: Any = Annotated[
    bool,
    typer.Option(
        "--weighted", help="Also J^T(diag p - pp^T)J, the kernel that cross-entropy curves by."
    ),
]
