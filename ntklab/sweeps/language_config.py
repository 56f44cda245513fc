"""What decides one training run of a language model's last layer."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntklab.errors import InputError, unknown
from ntklab.sweeps.config import AdapterConfig

HEADS = ("add", "replace")

#: Baselines that nothing is trained for: the frozen model, and its projection cut to rank r.
FROZEN, TRUNCATED = "frozen", "truncated"

#: Where the search for a rate begins; it goes on by a factor of about 3 while an end is best.
RATES = (1e-3, 3e-3, 1e-2)

#: Adam's rate where none is given: what the searches of Table 3 found most often.
DEFAULT_RATES = {"lora": 1e-3, "tera": 1e-2}
DEFAULT_RATE = 3e-3

#: Seeds of searches, far from those that are reported.
SEARCH_SEED = 1000


@dataclass(frozen=True, kw_only=True)
class LanguageConfig(AdapterConfig):
    """One run: one method on the last projection of one model, at one seed and one rate.

    Attributes:
        head: `add` to the frozen projection, or `replace` it (logits then have rank at most M).
        purpose: `measure`, or `search` for a run that helps choose a rate by validation.
        model: name, folder or file of the language model.
        tokenizer: its tokenizer, or None for its own.
        data: folder or file of text; the `datasets` hub if None.
        context: tokens a window.
        stride: of validation and test windows; `context` if None.
        train_windows: windows to train on.
        valid_windows: windows that decide when to stop, and between rates.
        test_windows: windows to judge by.
        optimizer: `adam` or `sgd`.
        lr: rate at the start; the method's default if None.
        steps: updates.
        batch: tokens an update.
        schedule: of the rate.
        look: updates between two looks at the validation text.
        patience: looks without a new least loss after which a run ends.
        chunk: tokens whose logits are held at a time; about 32 MiB of them if None.
        keep_logits: whether the frozen projection's logits of all texts are kept in memory.

    `method` may also be `frozen` or `truncated` (to rank `rank`); `data_seed` chooses the training
    windows, `seed` draws start and minibatches, and the head is in float32 unless told.

    Raises:
        InputError: a value that cannot work whatever the text.

    Example:
        >>> LanguageConfig(method="lora", rank=2).variant
        'lora r=2'
        >>> LanguageConfig(method="tensorguide", width=4, head="replace").variant
        'replace: tensorguide M=4'
    """

    head: str = "add"
    purpose: str = "measure"
    model: str = "gpt2"
    tokenizer: str | None = None
    data: str | None = None
    context: int = 1024
    stride: int | None = None
    train_windows: int = 16
    valid_windows: int = 4
    test_windows: int = 8
    optimizer: str = "adam"
    lr: float | None = None
    steps: int = 120
    batch: int = 256
    schedule: str = "cosine"
    look: int = 20
    patience: int | None = 5
    chunk: int | None = None
    keep_logits: bool = False
    dtype: str = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head not in HEADS:
            raise unknown("head", self.head, HEADS)
        if self.method == TRUNCATED and self.rank is None:
            raise InputError("truncated = the frozen projection cut to a rank: give rank.")
        self.check_least(train_windows=1, valid_windows=1, test_windows=1)
        self.check_least(steps=1, batch=1, look=1, chunk=1)

    @staticmethod
    def sizes_used(method: str) -> frozenset[str]:
        """The baselines are shaped by nothing but the rank that a projection is cut to."""
        if method in (FROZEN, TRUNCATED):
            return frozenset({"rank"} if method == TRUNCATED else ())
        return AdapterConfig.sizes_used(method)

    @property
    def trained(self) -> bool:
        """Whether there is anything to train."""
        return self.method not in (FROZEN, TRUNCATED)

    @property
    def rate(self) -> float:
        """The rate that the run starts with."""
        return self.lr or DEFAULT_RATES.get(self.method, DEFAULT_RATE)

    @property
    def variant(self) -> str:
        """The method with its sizes, and how it is put to the projection unless it is added."""
        told = {"M": self.width, "r": self.rank, "P≤": self.budget}
        words = [self.method, *(f"{name}={value}" for name, value in told.items() if value)]
        if self.tt_ranks is not None:
            words.append(f"ranks={','.join(map(str, self.tt_ranks))}")
        return ("replace: " if self.head == "replace" and self.trained else "") + " ".join(words)

    def to_dict(self) -> dict[str, Any]:
        """The configuration as JSON data, without folders of this machine in its names."""
        told = super().to_dict()
        for name in ("model", "tokenizer", "data"):
            value = told[name]
            told[name] = Path(value).name if value and Path(value).exists() else value
        return told

    @property
    def texts(self) -> tuple[object, ...]:
        """What decides hidden states: runs that agree on it share them."""
        return tuple(getattr(self, name) for name in TEXT_FIELDS)


TEXT_FIELDS = (
    *("model", "tokenizer", "data", "context", "stride", "train_windows", "valid_windows"),
    *("test_windows", "data_seed", "device"),
)


def next_rate(tried: Iterable[tuple[float, float]], rates: tuple[float, ...]) -> float | None:
    """The rate that a search tries next; None when its best lies between two others.

    Args:
        tried: (rate, least validation loss) of the runs so far; infinite where one diverged.
        rates: where the search begins.

    Example:
        >>> next_rate([], (1e-3, 3e-3, 1e-2))
        0.001
        >>> next_rate([(1e-3, 2.0), (3e-3, 1.9), (1e-2, 1.8)], (1e-3, 3e-3, 1e-2))
        0.03
        >>> next_rate([(1e-3, 2.0), (3e-3, 1.9), (1e-2, 2.8)], (1e-3, 3e-3, 1e-2)) is None
        True
    """
    found = dict(tried)
    for rate in rates:
        if rate not in found:
            return rate
    ordered = sorted(found)
    best = min(ordered, key=lambda rate: found[rate])
    if len(ordered) == 1 or best not in (ordered[0], ordered[-1]):
        return None
    further = _LADDER.index(best) + (1 if best == ordered[-1] else -1) if best in _LADDER else -1
    return _LADDER[further] if 0 <= further < len(_LADDER) else None


_LADDER = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
