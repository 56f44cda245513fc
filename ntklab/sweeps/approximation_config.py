"""What decides one network of the approximation curves, and which networks make a curve."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ntklab.errors import InputError, unknown
from ntklab.records import plain
from ntklab.sweeps.loading import has_conditions

TARGETS = ("barron", "dense-head")
NETWORKS = ("dense", "linear", "adapter")
#: Released ranks; an open last bond (theory P2: no collapse of the width); then larger ones.
TT_RANKS = ((1, 2, 2, 1, 1), (1, 2, 2, 2, 1), (1, 4, 4, 4, 1), (1, 8, 8, 8, 1))
#: Adam's rate by target and network, the same at every width (see `DenseHead`). Found by trying
#: powers of about 3; features of a task are many and of one sign, so larger rates kill its ReLUs.
RATES = {
    "barron": {"dense": 1.0, "linear": 1.0, "adapter": 0.03},
    "dense-head": {"dense": 0.1, "linear": 0.1, "adapter": 0.01},
}


@dataclass(frozen=True, kw_only=True)
class ApproximationConfig:
    """One network to train, and what it is measured against.

    Attributes:
        target: "barron" or "dense-head".
        network: "dense", "linear" or "adapter".
        width: M.
        tt_ranks: r_0..r_K: one for an adapter; those at which a dense head is truncated.
        seed: of start, minibatches and, for a task, of which training rows are taken.
        features: d of the Barron target, one constant feature not counted.
        samples: N.
        steps: updates of Adam.
        batch: samples a step.
        rate: of Adam; that of `RATES` if None.
        task: of the target dense-head, as the next six.
        data_condition: "noisy" or "clean".
        data: file or folder of images.
        images: how many to simulate.
        backbone: of the features.
        backbone_weights: a file of weights.
        data_seed: of the data, or of the Barron target and its samples.
        device: a torch device.
        dtype: of training; bounds and truncation are in float64.

    Raises:
        InputError: an unknown target or network, or a number below 1.

    Example:
        >>> ApproximationConfig(target="barron", network="dense", width=16).data_condition
    """

    target: str
    network: str
    width: int
    tt_ranks: tuple[tuple[int, ...], ...] = ()
    seed: int = 0
    features: int = 8
    samples: int = 16384
    steps: int = 1500
    batch: int = 256
    rate: float | None = None
    task: str = "quantum-dot"
    data_condition: str | None = "noisy"
    data: str | None = None
    images: int | None = None
    backbone: str | None = None
    backbone_weights: str | None = None
    data_seed: int = 0
    device: str = "cpu"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for kind, word, known in (
            ("target", self.target, TARGETS),
            ("network", self.network, NETWORKS),
        ):
            if word not in known:
                raise unknown(kind, word, known)
        for name in ("width", "features", "samples", "steps", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} = {getattr(self, name)} must be at least 1.")
        if self.rate is None:
            object.__setattr__(self, "rate", RATES[self.target][self.network])
        if self.target == "barron":
            object.__setattr__(self, "task", "synthetic")
        if not has_conditions(self.task):
            object.__setattr__(self, "data_condition", None)

    def to_dict(self) -> dict[str, Any]:
        """The configuration as JSON data."""
        return plain(asdict(self))


def approximation_cells(
    start: ApproximationConfig,
    widths: Sequence[int],
    tt_ranks: Sequence[tuple[int, ...]],
    seeds: Sequence[int],
) -> list[ApproximationConfig]:
    """Every network of one target's curves, the widest first, since they take longest.

    Example:
        >>> start = ApproximationConfig(target="barron", network="dense", width=1)
        >>> cells = approximation_cells(start, (4, 16), TT_RANKS, (0,))
        >>> len(cells), cells[0].width
        (12, 16)
    """
    cells = []
    for width in sorted(set(widths), reverse=True):
        for seed in seeds:
            distinct = tuple(dict.fromkeys(tt_ranks))
            networks = [("dense", distinct), ("linear", ())]
            networks += [("adapter", (ranks,)) for ranks in distinct]
            # rate=None: every network has its own.
            cells += [
                replace(start, width=width, seed=seed, network=network, tt_ranks=ranks, rate=None)
                for network, ranks in networks
            ]
    return cells


def shared_by_target(configs: Sequence[ApproximationConfig]) -> dict[str, Any]:
    """What all networks of a target share; a folder may grow in widths, ranks and seeds."""
    varying = ("target", "network", "width", "tt_ranks", "seed", "rate")
    return {
        one.target: {name: value for name, value in one.to_dict().items() if name not in varying}
        for one in configs
    }


def approximation_config(configs: Sequence[ApproximationConfig]) -> dict[str, Any]:
    """The configuration of the record: sizes by target, rates, and the values along every axis."""
    return {
        **shared_by_target(configs),
        "widths": sorted({one.width for one in configs}),
        "tt_ranks": list(dict.fromkeys(r for one in configs for r in one.tt_ranks)),
        "seeds": sorted({one.seed for one in configs}),
        "optimizer": "adam, cosine schedule",
        "rates": {f"{one.target} {one.network}": one.rate for one in configs},
    }
