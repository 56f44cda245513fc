"""The options of the commands that train: train, dynamics, pair."""

from pathlib import Path
from typing import Annotated

from ntklab.cli.groups import option
from ntklab.cli.options import METHOD_NAMES, MOST_THREADS, check_page

PAIR_METHODS = (*METHOD_NAMES, "dense-head")

Method = Annotated[
    str, option("--method -m METHOD", f"{', '.join(PAIR_METHODS)}.", words=PAIR_METHODS)
]
Methods = Annotated[
    list[str],
    option(
        "--method -m METHOD",
        f"{', '.join(PAIR_METHODS)}, or all; may be given several times.",
        words=(*PAIR_METHODS, "all"),
    ),
]
TrainingRows = Annotated[
    int | None, option("--samples -n N", "Training samples N; all when left out.", min=2)
]
Optimizer = Annotated[
    str, option("--optimizer NAME", "gd, sgd or adam.", words=("gd", "sgd", "adam"))
]
Loss = Annotated[
    str, option("--loss NAME", "squared or cross-entropy.", words=("squared", "cross-entropy"))
]
LearningRate = Annotated[float | None, option("--lr RATE", "Step size; chosen when left out.")]
Batch = Annotated[int | None, option("--batch COUNT", "Samples a step; wikitext: tokens, 256.")]
Epochs = Annotated[int | None, option("--epochs COUNT", "Passes over the training samples.")]
Steps = Annotated[int | None, option("--steps COUNT", "Updates, instead of epochs.")]
Latent = Annotated[
    str,
    option("--latent WORD", "fixed, or redrawn for every minibatch.", words=("fixed", "redrawn")),
]
Alpha = Annotated[
    float | None, option("--alpha NUMBER", "Train α(f − f0) at rate lr/α²: large is lazy.")
]
Watched = Annotated[
    int | None, option("--watched COUNT", "Rows whose kernel is measured along the run.")
]
Rates = Annotated[str | None, option("--rates R1,R2,..", "Rates that matched runs choose from.")]
Settings = Annotated[
    str,
    option("--settings WORD", "matched, released or both.", words=("matched", "released", "both")),
]
Matched = Annotated[bool, option("--matched", "The same as --settings matched.")]
Released = Annotated[bool, option("--released", "The same as --settings released.")]
Table = Annotated[
    int | None, option("--table 1|2|5", "The paper's table: methods, widths or TT-ranks.")
]
PairSeeds = Annotated[
    str | None, option("--seeds -s SEEDS", "0:10 (0 to 9) when left out; 0:3 if --quick.")
]
Quick = Annotated[bool, option("--quick", "Few seeds, images and rates: about a minute.")]
Markdown = Annotated[
    Path | None,
    option("--markdown FILE.md", "Write the table with its sentences there.", callback=check_page),
]
EndToEnd = Annotated[
    bool, option("--end-to-end", "Through the backbone with conv1 trained, as released.")
]
Threads = Annotated[
    int | None,
    option(
        "--threads COUNT",
        "CPU threads; one when left out, for wikitext torch's own number.",
        min=1,
        max=MOST_THREADS,
    ),
]
