"""What decides a pair: a measured training run and the prediction that stands beside it."""

from dataclasses import dataclass
from typing import Any

from ntklab.adapters import METHODS
from ntklab.errors import InputError, unknown
from ntklab.sweeps.config import HeadConfig
from ntklab.training import RELEASED, TrainConfig

#: W1 and W2 themselves, all their entries trained: what every generated head is shown against.
DENSE_HEAD = "dense-head"
BASELINES = ("linear-probe", DENSE_HEAD)
SETTINGS = ("matched", "released", "own")

#: Whose script a method without one borrows under the released settings.
BORROWED = "tensorguide"
EPOCHS = 15

#: Rates tried on the validation rows, the same for every method.
RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
QUICK_RATES = (1e-3, 1e-2)


@dataclass(frozen=True, kw_only=True)
class PairConfig(HeadConfig):
    """One pair: one method, one seed, one way of training.

    Settings. `matched`: Adam, the same batch, epochs and frozen random base layer for every
    method, the rate chosen from `rates` by accuracy on a fifth of the training rows, then all of
    them trained on. `released`: start, batch, rate, epochs, scale and base layer of the authors'
    script of the method; one that has none borrows TensorGuide's. `own`: as the fields say.

    Attributes:
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
        >>> PairConfig(method="lora", settings="released").preset
        'released'
        >>> PairConfig(method="lora", settings="mached")
        Traceback (most recent call last):
        ntklab.errors.InputError: unknown settings 'mached': did you mean 'matched'? Known: \
matched, own, released.
    """

    settings: str = "matched"
    samples: int | None = None
    optimizer: str = "adam"
    loss: str = "cross-entropy"
    batch: int | None = 16
    epochs: int | None = None
    steps: int | None = None
    lr: float | None = None
    rates: tuple[float, ...] = RATES
    latent: str = "fixed"
    alpha: float | None = None
    predict: bool = True
    watched: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.settings not in SETTINGS:
            raise unknown("settings", self.settings, SETTINGS)
        self.check_least(watched=0, samples=2)
        if self.settings == "matched" and self.lr is None and not self.rates:
            raise InputError("no rates to choose from: give at least one.")
        self._resolve()
        self.training(1.0 if self.lr is None else self.lr)  # refuses words and numbers early

    @staticmethod
    def sizes_used(method: str) -> frozenset[str]:
        """The dense head is shaped by its width alone."""
        return frozenset({"width"}) if method == DENSE_HEAD else HeadConfig.sizes_used(method)

    def _resolve(self) -> None:
        """Fill in what other fields decide, so that equal runs have equal configurations."""
        found: dict[str, Any] = {}
        if self.settings == "released":
            script = RELEASED.get(self.method, RELEASED[BORROWED])
            found |= {"preset": "released", "optimizer": script.optimizer, "loss": script.loss}
            found |= {"batch": script.batch, "lr": script.lr}
        if self.optimizer == "gd":
            found["batch"] = None
        if self.epochs is None and self.steps is None:
            found["epochs"] = EPOCHS
        if self.settings != "matched" or self.lr is not None:
            found["rates"] = ()
        for name, value in found.items():
            object.__setattr__(self, name, value)

    def training(self, lr: float) -> TrainConfig:
        """The configuration of the loop at a rate.

        Example:
            >>> PairConfig(method="lora").training(0.01).epochs
            15
        """
        return TrainConfig(
            optimizer=self.optimizer,  # type: ignore[arg-type]
            lr=lr,
            steps=self.steps,
            epochs=self.epochs,
            batch=self.batch,
            loss=self.loss,  # type: ignore[arg-type]
            seed=self.seed,
            latent=self.latent,  # type: ignore[arg-type]
        )

    @property
    def variant(self) -> str:
        """The method with the sizes that were asked for: what a row of a table is about.

        Example:
            >>> PairConfig(method="tensorguide", width=2048).variant
            'tensorguide M=2048'
            >>> PairConfig(method="lora").variant
            'lora'
        """
        told = [self.method]
        told += [f"M={self.width}"] if self.width is not None else []
        told += [f"r={self.rank}"] if self.rank is not None else []
        told += [f"ranks={','.join(map(str, self.tt_ranks))}"] if self.tt_ranks is not None else []
        told += [f"P<={self.budget}"] if self.budget is not None else []
        told += [f"α={self.alpha:g}"] if self.alpha is not None else []
        return " ".join(told)


def pair_methods(words: list[str]) -> list[str]:
    """The methods that a list of words names, in order; "all" is every one and the dense head.

    Raises:
        InputError: for an unknown word, with the nearest match.

    Example:
        >>> pair_methods(["all"])[-2:], pair_methods(["lora", "dense-head"])
        (['linear-probe', 'dense-head'], ['lora', 'dense-head'])
    """
    known = (*METHODS, DENSE_HEAD)
    found: dict[str, None] = {}
    for word in words:
        if word != "all" and word not in known:
            raise unknown("method", word, known)
        found |= dict.fromkeys(known if word == "all" else [word])
    return list(found)
