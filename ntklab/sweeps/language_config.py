"""What decides one training run of a language model's last layer."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ntklab.adapters import Sizes, method_named
from ntklab.errors import InputError, unknown
from ntklab.records import plain
from ntklab.sweeps.loading import DTYPES

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
class LanguageConfig:
    """One run: one method on the last projection of one model, at one seed and one rate.

    Attributes:
        method: a name of `ntklab.adapters.METHODS`, or `frozen` or `truncated` (rank `rank`).
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
        data_seed: of the choice of training windows.
        seed: of start and minibatches.
        preset: initialization.
        width: M, like all sizes below planned by the method if None.
        rank: r.
        in_dims: latent modes n_k.
        out_dims: weight modes m_k.
        tt_ranks: r_0..r_K.
        budget: the most parameters.
        activation: σ of the hidden layer.
        scale: factor of the adapted part.
        optimizer: `adam` or `sgd`.
        lr: rate at the start; the method's default if None.
        steps: updates.
        batch: tokens an update.
        schedule: of the rate.
        look: updates between two looks at the validation text.
        patience: looks without a new least loss after which a run ends.
        chunk: tokens whose logits are held at a time; about 32 MiB of them if None.
        keep_logits: whether the frozen projection's logits of all texts are kept in memory.
        dtype: of the head.
        device: a torch device.

    Raises:
        InputError: a value that cannot work whatever the text.

    Example:
        >>> LanguageConfig(method="lora", rank=2).variant
        'lora r=2'
        >>> LanguageConfig(method="tensorguide", width=4, head="replace").variant
        'replace: tensorguide M=4'
    """

    method: str
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
    data_seed: int = 0
    seed: int = 0
    preset: str = "ntk"
    width: int | None = None
    rank: int | None = None
    in_dims: tuple[int, ...] | None = None
    out_dims: tuple[int, ...] | None = None
    tt_ranks: tuple[int, ...] | None = None
    budget: int | None = None
    activation: str | None = None
    scale: float | None = None
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
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.method not in (FROZEN, TRUNCATED):
            method_named(self.method)
        if self.head not in HEADS:
            raise unknown("head", self.head, HEADS)
        if self.dtype not in DTYPES:
            raise unknown("dtype", self.dtype, DTYPES)
        if self.method == TRUNCATED and self.rank is None:
            raise InputError("truncated = the frozen projection cut to a rank: give rank.")
        for name in ("train_windows", "valid_windows", "test_windows", "steps", "batch", "look"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} = {getattr(self, name)} must be at least 1.")
        if self.chunk is not None and self.chunk < 1:
            raise InputError(f"chunk = {self.chunk} must be at least 1 token.")

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
        told = asdict(self)
        for name in ("model", "tokenizer", "data"):
            value = told[name]
            told[name] = Path(value).name if value and Path(value).exists() else value
        return plain(told)

    def for_method(self, method: str) -> "LanguageConfig":
        """The same run of another method, without the sizes that it has no use for."""
        uses = method_named(method).uses
        idle = [field.name for field in fields(Sizes) if field.name not in uses]
        cleared: dict[str, Any] = dict.fromkeys(idle)
        return replace(self, method=method, **cleared)

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
