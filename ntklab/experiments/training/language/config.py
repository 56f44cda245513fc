"""The configuration of one training run of a language model's last layer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ntklab.adapters.spec import AdapterSpec
from ntklab.compute import ComputeSpec
from ntklab.configuration import setting
from ntklab.errors import InputError
from ntklab.experiments.training.config import TrainingConfig
from ntklab.tasks.spec import TextSpec

HEADS = ("add", "replace")

#: Baselines that nothing is trained for: the frozen model, and its projection cut to rank r.
FROZEN, TRUNCATED = "frozen", "truncated"
_STAND_INS: dict[str, frozenset[str]] = {FROZEN: frozenset(), TRUNCATED: frozenset({"rank"})}

#: Adam's rate where none is given: what the searches of Table 3 found most often.
DEFAULT_RATES = {"lora": 1e-3, "tera": 1e-2}
DEFAULT_RATE = 3e-3

#: Seeds of searches, far from those that are reported.
SEARCH_SEED = 1000


@dataclass(frozen=True, kw_only=True)
class LanguageConfig(TrainingConfig):
    """One run: one method on the last projection of one model, at one seed and one rate.

    Attributes:
        adapter: which adapter.
        text: of which model, on which texts.
        compute: seed, dtype and device.
        head: `add` to the frozen projection, or `replace` it (logits then have rank at most M).
        purpose: `measure`, or `search` for a run that helps choose a rate by validation.
        optimizer: `adam` or `sgd`.
        lr: rate at the start; if None, the best of a search from `rates` on, or the method's
            default where there are none.
        rates: where a search on the validation text begins.
        steps: updates.
        batch: tokens an update.
        schedule: of the rate.
        look: updates between two looks at the validation text.
        patience: times `look` updates without a new least loss after which a run ends.
        chunk: tokens whose logits are held at a time; about 32 MiB of them if None.
        keep_logits: whether the frozen projection's logits of all texts are kept in memory.

    `method` may also be `frozen` or `truncated` (to rank `rank`); `data_seed` chooses the training
    windows, `seed` draws start and minibatches, and the head is in float32 unless told.

    Raises:
        InputError: a value that cannot work whatever the text.

    Example:
        >>> LanguageConfig.of(method="lora", rank=2).variant
        'lora r=2'
        >>> LanguageConfig.of(method="tensorguide", width=4, head="replace").variant
        'replace: tensorguide M=4'
    """

    heading: ClassVar[str] = "Language model"
    places: ClassVar[tuple[str, ...]] = ("model", "tokenizer", "data")
    baselines: ClassVar[Mapping[str, frozenset[str]]] = _STAND_INS

    adapter: AdapterSpec
    text: TextSpec = field(default_factory=TextSpec)
    compute: ComputeSpec = field(default_factory=lambda: ComputeSpec(dtype="float32"))
    head: str = setting("add", "Add to the frozen projection, or replace it.", "WORD", words=HEADS)
    purpose: str = "measure"
    optimizer: str = setting("adam", "adam or sgd.", "NAME", words=("adam", "sgd"))
    lr: float | None = setting(None, "Step size; chosen when left out.", "RATE")
    rates: tuple[float, ...] = setting(
        (), "Choose the rate by validation, from these on.", "R1,R2,..", young=True
    )
    steps: int = setting(120, "Updates.", "COUNT", least=1)
    batch: int = setting(256, "Tokens an update.", "COUNT", least=1)
    schedule: str = "cosine"
    look: int = setting(20, "Updates between looks at validation.", "STEPS", least=1)
    patience: int | None = setting(5, "Looks without gain that end a run.", "LOOKS")
    chunk: int | None = setting(None, "Tokens whose logits are held.", "TOKENS", least=1)
    keep_logits: bool = setting(False, "Keep the frozen logits in memory, for many runs.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lr is not None:
            object.__setattr__(self, "rates", ())  # it is decided
        if self.adapter.method == TRUNCATED and self.adapter.rank is None:
            raise InputError("truncated = the frozen projection cut to a rank: give rank.")

    @property
    def trained(self) -> bool:
        """Whether there is anything to train."""
        return self.adapter.method not in (FROZEN, TRUNCATED)

    @property
    def rate(self) -> float:
        """The rate that the run starts with."""
        return self.lr or DEFAULT_RATES.get(self.adapter.method, DEFAULT_RATE)

    @property
    def variant(self) -> str:
        """The method with its sizes, and how it is put to the projection unless it is added."""
        replaced = self.head == "replace" and self.trained
        return ("replace: " if replaced else "") + super().variant
