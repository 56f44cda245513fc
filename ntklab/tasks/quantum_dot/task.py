"""The quantum-dot task: is the diagram that of one dot or of two?"""

from pathlib import Path

import torch
from torch import Tensor

from ntklab.errors import InputError, unknown
from ntklab.tasks.backbones import load_backbone
from ntklab.tasks.cache import cache_folder
from ntklab.tasks.features import Progress, extract, feature_hash
from ntklab.tasks.quantum_dot.diagrams import Diagrams, load_diagrams
from ntklab.tasks.quantum_dot.simulator import simulate
from ntklab.tasks.task import Split, Task

CONDITIONS = ("noisy", "clean")
SIMULATED_IMAGES = 600
TRAIN_SHARE = 0.8


def _read(data: Path | str | None, images: int | None, seed: int) -> tuple[Diagrams, str]:
    if data is None:
        return simulate(SIMULATED_IMAGES if images is None else images, seed=seed), "simulator"
    if images is not None:
        raise InputError(
            f"images={images} says how many to simulate, but data '{data}' was given: leave one "
            "of the two out (Task.subset takes fewer samples)."
        )
    return load_diagrams(data), Path(data).name


def _split(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Rows for training and for testing; they depend on the count and the seed only."""
    if count < 5:
        raise InputError(f"{count} images are too few for an 80/20 split: at least 5 are needed.")
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    train = round(TRAIN_SHARE * count)
    return order[:train], order[train:]


def load_quantum_dot(
    *,
    condition: str = "noisy",
    data: Path | str | None = None,
    images: int | None = None,
    backbone: str = "resnet18",
    backbone_weights: Path | str | None = None,
    backbone_seed: int = 0,
    data_seed: int = 0,
    cache: Path | str | None = "default",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float64,
    progress: Progress | None = None,
) -> Task:
    """Features and labels of charge stability diagrams, single (0) or double (1) dot.

    Args:
        condition: ``noisy`` or ``clean``; both have the same devices in the same split.
        data: A folder or file for :func:`load_diagrams`; left out, diagrams are simulated.
        images: How many to simulate (600 where left out); not together with ``data``.
        backbone: ``resnet18`` or ``hf:NAME_OR_FOLDER``.
        backbone_weights: Weights of ``resnet18``; random by ``backbone_seed`` where left out.
        backbone_seed: Seed of random weights.
        data_seed: Seed of the simulator and of the 80/20 split.
        cache: Folder of cached features, ``"default"`` for :func:`default_cache`, None for none.
        device: Where the backbone runs.
        dtype: Dtype of the features; they are computed in float32 and then converted.
        progress: Called as ``progress(done, total)`` while features are computed.

    Returns:
        The task; ``source`` says condition, data and its SHA-256, backbone, weights, the hash of
        the features and the seeds.

    Raises:
        InputError: For an unknown condition or backbone, bad data or weights, fewer than 5
            images, or features that are not finite.

    Cost: with a random ResNet-18 on two CPU cores a few seconds for 600 images; then the cache.

    Example:
        >>> task = load_quantum_dot(images=5, cache=None)
        >>> task.train.features.shape, task.test.n_samples
        (torch.Size([4, 512]), 1)
    """
    if condition not in CONDITIONS:
        raise unknown("condition", condition, CONDITIONS)
    diagrams, origin = _read(data, images, data_seed)
    train, test = _split(len(diagrams), data_seed)
    network = load_backbone(backbone, backbone_weights, backbone_seed)
    shown = torch.from_numpy(getattr(diagrams, condition)).unsqueeze(1)
    key, folder = feature_hash(network, shown), cache_folder(cache)
    features = extract(network, shown, device=device, cache=folder, key=key, progress=progress)
    labels = torch.from_numpy(diagrams.labels)
    random = backbone_weights is None and not backbone.startswith("hf:")
    source: dict[str, object] = {
        "condition": condition,
        "data": origin,
        "data_sha256": diagrams.sha256,
        "images": len(diagrams),
        "data_seed": data_seed,
        "backbone": backbone,
        "backbone_weights": None if backbone_weights is None else Path(backbone_weights).name,
        "backbone_seed": backbone_seed if random else None,
        "features_hash": key,
    }
    return Task(
        "quantum-dot",
        Split(features[train].to(dtype), labels[train]),
        Split(features[test].to(dtype), labels[test]),
        n_classes=2,
        source=source,
    )
