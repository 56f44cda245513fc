"""The configuration of a pair: a measured training run and the prediction beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, get_args

from ntklab.adapters.registry import METHODS
from ntklab.adapters.spec import AdapterSpec
from ntklab.compute import ComputeSpec
from ntklab.configuration import setting
from ntklab.errors import InputError, unknown
from ntklab.experiments.rates import HEAD_RATES
from ntklab.experiments.training.config import TrainingConfig
from ntklab.tasks.spec import DataSpec
from ntklab.training import RELEASED, TrainConfig
from ntklab.training.config import Latent, LossName, OptimizerName

#: W1 and W2 themselves, all their entries trained: what every generated head is shown against.
DENSE_HEAD = "dense-head"
BASELINES = ("linear-probe", DENSE_HEAD)
STAND_INS = {DENSE_HEAD: frozenset({"width"})}
SETTINGS = ("matched", "released", "own")

#: Whose script a method without one borrows under the released settings.
BORROWED = "tensorguide"
EPOCHS = 15

#: What `dynamics` computes where nothing else is asked for.
DYNAMICS_OPTIONS: dict[str, Any] = {
    **{"method": "tensorguide", "samples": 64, "optimizer": "gd", "loss": "squared", "steps": 300}
}

#: A measured run is looked at along the way only where that is asked for.
TRAIN_OPTIONS: dict[str, Any] = {"watched": 0}


@dataclass(frozen=True, kw_only=True)
class PairConfig(TrainingConfig):
    """One pair: one method, one seed, one way of training.

    Settings. `matched`: Adam, the same batch, epochs and frozen random base layer for every
    method, the rate chosen from `rates` by accuracy on a fifth of the training rows, then all of
    them trained on. `released`: start, batch, rate, epochs, scale and base layer of the authors'
    script of the method; one that has none borrows TensorGuide's. `own`: as the fields say.

    Attributes:
        adapter: which adapter.
        data: on which data.
        compute: seed, dtype and device.
        settings: see above; `released` sets the preset too.
        samples: N, drawn from the training rows by `seed`; all of them if None.
        optimizer: `gd`, `sgd` or `adam`.
        loss: `squared` or `cross-entropy`.
        batch: samples a step; all for `gd`.
        epochs: passes over the training rows, unless `steps` is given; 15 if neither is.
        steps: updates.
        lr: η; if None, from `rates` where matched, else half the stability limit of plain
            gradient descent (1e-3 for Adam).
        rates: what a matched rate is chosen from.
        latent: `fixed`, or `redrawn` for every minibatch.
        alpha: train α (f − f_0) with rate η/α² (`ntklab.training.LazyModel`).
        predict: whether the kernel's prediction and the bounds are computed, at N·C rows.
        watched: rows on which drift and linearization are measured along the run; 0 for none.

    `method` may also be `dense-head`; the data are trained on in one `data_condition` and judged
    in both; `seed` also draws base layer, minibatches and validation rows.

    Raises:
        InputError: a value that cannot work whatever the data.

    Example:
        >>> PairConfig.of(method="lora", settings="released").adapter.preset
        'released'
        >>> PairConfig.of(method="lora", settings="mached")
        Traceback (most recent call last):
        ntklab.errors.InputError: unknown settings 'mached': did you mean 'matched'? Known: \
matched, own, released.
    """

    heading: ClassVar[str] = "Training"
    baselines: ClassVar[Mapping[str, frozenset[str]]] = STAND_INS

    adapter: AdapterSpec
    data: DataSpec = field(default_factory=DataSpec)
    compute: ComputeSpec = field(default_factory=ComputeSpec)
    settings: str = setting("matched", "matched, released or both.", "WORD", words=SETTINGS)
    samples: int | None = setting(None, "Training samples N; all when left out.", "-n N", least=2)
    optimizer: str = setting("adam", "gd, sgd or adam.", "NAME", words=get_args(OptimizerName))
    loss: str = setting(
        "cross-entropy", "squared or cross-entropy.", "NAME", words=get_args(LossName)
    )
    batch: int | None = setting(16, "Samples a step; wikitext: tokens, 256.", "COUNT")
    epochs: int | None = setting(None, "Passes over the training samples.", "COUNT")
    steps: int | None = setting(None, "Updates, instead of epochs.", "COUNT")
    lr: float | None = setting(None, "Step size; chosen when left out.", "RATE")
    rates: tuple[float, ...] = setting(
        HEAD_RATES, "Rates that matched runs choose from.", "R1,R2,.."
    )
    latent: str = setting(
        "fixed", "fixed, or redrawn for every minibatch.", "WORD", words=get_args(Latent)
    )
    alpha: float | None = setting(None, "Train α(f − f0) at rate lr/α²: large is lazy.", "NUMBER")
    predict: bool = setting(True, "The kernel's prediction and the bounds beside the run.")
    watched: int = setting(32, "Rows whose kernel is measured along the run.", "COUNT", least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.settings == "matched" and self.lr is None and not self.rates:
            raise InputError("no rates to choose from: give at least one.")
        self._resolve()
        self.training(1.0 if self.lr is None else self.lr)  # refuses words and numbers early

    def _resolve(self) -> None:
        """Fill in what other fields decide, so that equal runs have equal configurations."""
        decided: dict[str, Any] = {}
        if self.settings == "released":
            script = RELEASED.get(self.adapter.method, RELEASED[BORROWED])
            decided |= {"adapter": self.adapter.with_(preset="released"), "lr": script.lr}
            decided |= {"optimizer": script.optimizer, "loss": script.loss, "batch": script.batch}
        if self.optimizer == "gd":
            decided["batch"] = None
        if self.epochs is None and self.steps is None:
            decided["epochs"] = EPOCHS
        if self.settings != "matched" or self.lr is not None:
            decided["rates"] = ()
        for name, value in decided.items():
            object.__setattr__(self, name, value)

    def training(self, lr: float) -> TrainConfig:
        """The configuration of the loop at a rate.

        Example:
            >>> PairConfig.of(method="lora").training(0.01).epochs
            15
        """
        return TrainConfig(
            optimizer=self.optimizer,  # type: ignore[arg-type]
            lr=lr,
            steps=self.steps,
            epochs=self.epochs,
            batch=self.batch,
            loss=self.loss,  # type: ignore[arg-type]
            seed=self.compute.seed,
            latent=self.latent,  # type: ignore[arg-type]
        )

    @property
    def variant(self) -> str:
        """The method with the sizes that were asked for, and α where it is given."""
        return super().variant + ("" if self.alpha is None else f" α={self.alpha:g}")


def pair_methods(words: list[str]) -> list[str]:
    """The methods that words name, in order, also several in one word.

    "all" is every one and the dense head.

    Raises:
        InputError: for an unknown word, with the nearest match.

    Example:
        >>> pair_methods(["all"])[-2:], pair_methods(["lora", "dense-head"])
        (['linear-probe', 'dense-head'], ['lora', 'dense-head'])
    """
    known = (*METHODS, DENSE_HEAD)
    methods: dict[str, None] = {}
    for word in (part for text in words for part in text.split(",")):
        if word != "all" and word not in known:
            raise unknown("method", word, known)
        methods |= dict.fromkeys(known if word == "all" else [word])
    return list(methods)
