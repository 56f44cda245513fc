"""The configuration of one fine-tuning run on prompts, and of the search that gives it a rate."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from ntklab.adapters.spec import AdapterSpec
from ntklab.compute import ComputeSpec
from ntklab.configuration import setting
from ntklab.errors import InputError
from ntklab.experiments.training.config import TrainingConfig
from ntklab.tasks.spec import PromptSpec
from ntklab.training.config import TrainConfig

#: All parameters of the chosen blocks, and the head of the label words alone.
FULL, PROBE = "full", "linear-probe"

#: Methods of peft that have a kernel of pairs of samples and go into the chosen layers.
PEFT = (
    *("boft", "delora", "fourierft", "gralora", "hira", "hra", "ia3", "ln-tuning", "loha", "lokr"),
    *("lora", "miss", "oft", "psoft", "pvera", "randlora", "road", "shira", "tinylora", "unilora"),
    *("vblora", "vera", "waveft"),
)
PREFIX = "peft:"

#: What `AdapterSpec` knows no sizes of.
STAND_INS: dict[str, frozenset[str]] = {FULL: frozenset()} | {
    f"{PREFIX}{name}": frozenset({"rank"}) for name in PEFT
}

#: Those of them that stand in the panel: one of every kind, and fast enough.
PEFT_PANEL = (
    *("fourierft", "hira", "hra", "ia3", "ln-tuning", "loha", "lokr", "miss", "oft", "road"),
    *("shira", "vblora", "vera", "waveft"),
)

#: Methods with sizes: our five twice, the two ends of what can be trained, and peft's.
PANEL: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("lora", {"rank": rank}) for rank in (2, 8)),
    *(("tt-lora", {"rank": rank}) for rank in (2, 8)),
    *(("tensorguide", {"width": width}) for width in (64, 1024)),
    *(("tt-delta", {"rank": rank}) for rank in (2, 8)),
    *(("tera", {"rank": rank}) for rank in (4, 16)),
    (PROBE, {}),
    (FULL, {}),
    *((f"{PREFIX}{name}", {}) for name in PEFT_PANEL),
)

_SQUARE = {"targets": "q_proj,o_proj"}
_SHAPES = ("576,576", "72,64,72", "24,24,24,24", "8,8,9,8,8,9", "4,4,6,6,4,4,6,6")

#: Sets of variants by name, a record each: every method; LoRA by where it goes; TT-LoRA's shapes
#: and ranks, on the two square layers of the default model's attention; TeRA by sharing.
PANELS: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "methods": PANEL,
    "layers": (
        *(
            ("lora", {"rank": 8, "targets": names})
            for names in (
                *("q_proj,v_proj", "q_proj", "k_proj", "v_proj", "o_proj"),
                *("gate_proj", "up_proj", "down_proj", "all-linear"),
            )
        ),
        *(
            ("lora", {"rank": 8, "targets": "q_proj,v_proj", "layers": layers})
            for layers in ("-6:-3", "-6,-4,-2", "-6", "-3:", "-1")
        ),
    ),
    "shapes": tuple(
        ("tt-delta", {"rank": rank, "out_dims": tuple(map(int, dims.split(","))), **_SQUARE})
        for dims in _SHAPES
        for rank in (2, 8)
    ),
    "sharing": tuple(
        ("tera", {"rank": rank, "shared": shared}) for rank in (4, 16) for shared in (True, False)
    ),
}

#: The one grid of all methods. For Adam rates; for sgd multiples of the stability limit of
#: gradient descent at the start, since λ_max differs by orders of magnitude between methods. Far
#: below 1 too, since the kernel of a method that starts at ΔW = 0 grows tenfold and more.
RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
MULTIPLES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
GRIDS = {"adam": RATES, "sgd": MULTIPLES}

#: Where a search goes on when the first or last of its grid is the best: below, and above. Without
#: this a method with a small kernel would be trained with too small a rate, and be less accurate
#: for no other reason.
BEYOND: dict[tuple[float, ...], tuple[tuple[float, ...], tuple[float, ...]]] = {
    RATES: ((3e-7, 1e-6, 3e-6), (0.3, 1.0, 3.0)),
    MULTIPLES: ((1e-4, 3e-4, 1e-3), (3.0, 10.0, 30.0)),
}

#: Searches draw shots, start and order by this seed, of which no result is reported.
SEARCH_SEED = 1000


@dataclass(frozen=True, kw_only=True)
class PromptConfig(TrainingConfig):
    """One method, one seed: the kernel at the start, the run, and what the kernel predicts of it.

    `seed` draws shots, test sentences, start and the order of the batches.

    Attributes:
        adapter: which adapter; its preset is not used, see `start`.
        data: which sentences, and how the model is asked.
        compute: seed, dtype and device of the run; the training kernel is in float64.
        layers: the adapted blocks, in peft's words; what is below the lowest is computed once.
        targets: names of the adapted layers with commas; peft's for the architecture if None.
        shared: whether layers of one shape share TeRA's frozen tensors.
        start: `zero`, ΔW = 0; or `ntk`, `released`. Methods of peft start as peft has it.
        optimizer: `adam` or `sgd`.
        loss: `cross-entropy` over the label words; or `squared`, of the difference of two logits.
        lr: η for Adam; for sgd a multiple of the stability limit. Searched if None.
        rates: what is searched; those of `GRIDS` if empty.
        epochs: most passes over the shots.
        patience: epochs without a lower validation loss that end a run.
        batch: sentences a step.
        predict: whether the kernel is computed beside the run.
        watched: shots on which drift and linearization are measured along the run; 0 for none.
        purpose: `measure`, or `search` for what chooses a rate.

    Raises:
        InputError: a value that cannot work whatever the data.

    Example:
        >>> PromptConfig.of(method="lora", rank=8).variant
        'lora r=8'
        >>> PromptConfig.of(method="full", layers="-3:").first
        -3
    """

    heading: ClassVar[str] = "Prompts"
    places: ClassVar[tuple[str, ...]] = ("model", "tokenizer", "data")
    baselines: ClassVar[Mapping[str, frozenset[str]]] = STAND_INS

    adapter: AdapterSpec
    data: PromptSpec = field(default_factory=PromptSpec)
    compute: ComputeSpec = field(default_factory=lambda: ComputeSpec(dtype="float32"))
    layers: str = setting("-6:", "Adapted blocks: -6: (the last six), 0:4, 3,5.", "SLICE")
    targets: str | None = setting(None, "Adapted layers in them; peft's choice.", "NAME,..")
    shared: bool = setting(True, "TeRA's frozen tensors shared by layers.", young=True)
    start: str = setting(
        "zero", "zero, ntk or released.", "WORD", words=("zero", "ntk", "released")
    )
    optimizer: str = setting("adam", "adam or sgd.", "NAME", words=("adam", "sgd"))
    loss: str = setting(
        "cross-entropy", "cross-entropy or squared.", "NAME", words=("cross-entropy", "squared")
    )
    lr: float | None = setting(None, "Step size; searched when left out.", "RATE")
    rates: tuple[float, ...] = setting((), "Rates to search.", "R1,R2,..")
    epochs: int = setting(12, "Most passes over the shots.", "COUNT", least=1)
    patience: int = setting(3, "Epochs without gain that end a run.", "COUNT", least=1)
    batch: int = setting(16, "Sentences a step.", "COUNT", least=1)
    predict: bool = setting(True, "The kernel of all sentences, and what it predicts.")
    watched: int = setting(8, "Shots whose kernel is followed.", "COUNT", least=0)
    purpose: str = "measure"

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.first
        if not self.rates:
            object.__setattr__(self, "rates", GRIDS[self.optimizer])
        if self.lr is not None:
            object.__setattr__(self, "rates", ())
            self.training(self.lr, self.epochs)
        if self.loss == "squared" and self.data.words.count(",") != 1:
            raise InputError("the squared loss is of the difference of two logits: give two words.")

    def with_(self, **flat: Any) -> Self:
        """As everywhere; a grid that nobody asked for follows the optimizer.

        Example:
            >>> PromptConfig.of(method="lora").with_(optimizer="sgd").rates
            (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
        """
        if "optimizer" in flat and self.rates == GRIDS[self.optimizer]:
            flat = {"rates": (), **flat}
        return super().with_(**flat)

    @property
    def first(self) -> int:
        """The lowest adapted block; all below are frozen.

        Raises:
            InputError: layers that are no numbers or slices.
        """
        starts = [part.split(":")[0].strip() or "0" for part in self.layers.split(",")]
        try:
            numbers = [int(start) for start in starts]
        except ValueError:
            raise InputError(
                f"layers = '{self.layers}' means no layers: write a number, numbers with commas, "
                "or a slice such as '-6:'."
            ) from None
        mixed = min(numbers) < 0 <= max(numbers)  # which is lower depends on the model
        return 0 if mixed else min(numbers)

    def training(self, lr: float, epochs: int) -> TrainConfig:
        """The configuration of the loop at a rate."""
        return TrainConfig(
            optimizer=self.optimizer,  # type: ignore[arg-type]
            lr=lr,
            epochs=epochs,
            batch=self.batch,
            loss=self.loss,  # type: ignore[arg-type]
            seed=self.compute.seed,
        )

    @property
    def variant(self) -> str:
        """The method with the sizes that were asked for, and where it goes if that was said."""
        one, words = self.adapter, [super().variant]
        dims = {"in": one.in_dims, "out": one.out_dims}
        words += [f"{k}={','.join(map(str, v))}" for k, v in dims.items() if v is not None]
        words += [f"targets={self.targets}"] if self.targets is not None else []
        words += [] if self.shared else ["own tensors"]
        return " ".join(words + ([f"layers={self.layers}"] if self.layers != "-6:" else []))
