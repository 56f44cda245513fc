"""The options of the commands that train: train, dynamics, pair."""

from typing import Annotated, Any

import typer

from ntklab.cli.options import METHOD_NAMES, _option

PAIR_METHODS = (*METHOD_NAMES, "dense-head")

Method: Any = Annotated[
    str,
    _option(
        "--method", "-m", metavar="METHOD", words=PAIR_METHODS, help=f"{', '.join(PAIR_METHODS)}."
    ),
]
Methods: Any = Annotated[
    list[str],
    _option(
        "--method",
        "-m",
        metavar="METHOD",
        words=(*PAIR_METHODS, "all"),
        help=f"{', '.join(PAIR_METHODS)}, or all; may be given several times.",
    ),
]
TrainingRows: Any = Annotated[
    int | None,
    _option("--samples", "-n", metavar="N", help="Training samples N; all when left out.", min=2),
]
Optimizer: Any = Annotated[
    str,
    _option("--optimizer", metavar="NAME", words=("gd", "sgd", "adam"), help="gd, sgd or adam."),
]
Loss: Any = Annotated[
    str,
    _option(
        "--loss",
        metavar="NAME",
        words=("squared", "cross-entropy"),
        help="squared or cross-entropy.",
    ),
]
LearningRate: Any = Annotated[
    float | None, _option("--lr", metavar="RATE", help="Step size; chosen when left out.")
]
Batch: Any = Annotated[
    int | None, _option("--batch", metavar="COUNT", help="Samples a step; wikitext: tokens, 256.")
]
Epochs: Any = Annotated[
    int | None, _option("--epochs", metavar="COUNT", help="Passes over the training samples.")
]
Steps: Any = Annotated[
    int | None, _option("--steps", metavar="COUNT", help="Updates, instead of epochs.")
]
Latent: Any = Annotated[
    str,
    _option(
        "--latent",
        metavar="WORD",
        words=("fixed", "redrawn"),
        help="fixed, or redrawn for every minibatch.",
    ),
]
Alpha: Any = Annotated[
    float | None,
    _option("--alpha", metavar="NUMBER", help="Train α(f − f0) at rate lr/α²: large is lazy."),
]
Watched: Any = Annotated[
    int | None,
    _option("--watched", metavar="COUNT", help="Rows whose kernel is measured along the run."),
]
Rates: Any = Annotated[
    str | None,
    _option("--rates", metavar="R1,R2,..", help="Rates that matched runs choose from."),
]
Settings: Any = Annotated[
    str,
    _option(
        "--settings",
        metavar="WORD",
        words=("matched", "released", "both"),
        help="matched, released or both.",
    ),
]
Matched: Any = Annotated[bool, typer.Option("--matched", help="The same as --settings matched.")]
Released: Any = Annotated[bool, typer.Option("--released", help="The same as --settings released.")]
Table: Any = Annotated[
    int | None,
    _option("--table", metavar="1|2|5", help="The paper's table: methods, widths or TT-ranks."),
]
PairSeeds: Any = Annotated[
    str | None,
    _option("--seeds", "-s", metavar="SEEDS", help="0:10 (0 to 9) when left out; 0:3 if --quick."),
]
Quick: Any = Annotated[
    bool, typer.Option("--quick", help="Few seeds, images and rates: about a minute.")
]
Markdown: Any = Annotated[
    str | None,
    _option("--markdown", metavar="FILE.md", help="Write the table with its sentences there."),
]
EndToEnd: Any = Annotated[
    bool,
    typer.Option("--end-to-end", help="Through the backbone with conv1 trained, as released."),
]
