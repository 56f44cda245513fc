"""ResNet-18 in plain torch, with the names that torchvision gives its parameters."""

from collections.abc import Iterable
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ntklab.errors import InputError
from ntklab.tasks.backbones.weights import read_state_dict


def _conv3x3(inside: int, outside: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut (He et al. 2015, figure 5, left)."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(inside, outside, stride)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = _conv3x3(outside, outside)
        self.bn2 = nn.BatchNorm2d(outside)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inside != outside:
            shortcut = nn.Conv2d(inside, outside, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outside))

    def forward(self, x: Float[Tensor, "N c h w"]) -> Float[Tensor, "N c2 h2 w2"]:
        """relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x))."""
        residual = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        shortcut = x if self.downsample is None else self.downsample(x)
        return torch.relu(residual + shortcut)


class ResNet18(nn.Module):
    """ResNet-18 without its classifier: images (N, in_channels, H, W) to features (N, 512).

    Args:
        in_channels: Channels of the images that ``conv1`` reads.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, 2), BasicBlock(512, 512, 1))

    def forward(self, x: Float[Tensor, "N c h w"]) -> Float[Tensor, "N 512"]:
        """Pooled features, the mean over the places of the last feature map."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3))


def _initialise(network: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_out", nonlinearity="relu", generator=generator
            )
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()  # weight 1, bias 0, running mean 0 and variance 1


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _load(network: ResNet18, path: Path) -> None:
    state = {k: v for k, v in read_state_dict(path).items() if not k.startswith("fc.")}
    own = network.state_dict()
    # Files older than BatchNorm's counter lack it, and evaluation never reads it.
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in state if k not in own]
    if missing or unexpected:
        parts = [("missing", missing), ("unexpected", unexpected)]
        raise InputError(
            f"'{path}' does not hold the weights of a ResNet-18: "
            + "; ".join(f"{word} {_some(names)}" for word, names in parts if names)
            + ": give a state dict with torchvision's names."
        )
    if own["conv1.weight"].shape[1] == 1 and state["conv1.weight"].shape == (64, 3, 7, 7):
        state["conv1.weight"] = state["conv1.weight"].sum(dim=1, keepdim=True)
    wrong = [
        f"{k} {tuple(v.shape)} where {tuple(own[k].shape)} was expected"
        for k, v in state.items()
        if v.shape != own[k].shape
    ]
    if wrong:
        raise InputError(
            f"'{path}' holds weights of another shape than this ResNet-18: {_some(wrong)}: "
            "give the file of a ResNet-18, or another number of input channels."
        )
    network.load_state_dict({**own, **state})


def resnet18(
    *,
    in_channels: int = 1,
    seed: int = 0,
    weights: Path | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> ResNet18:
    """A frozen ResNet-18 in evaluation mode (He et al. 2015, arXiv:1512.03385).

    Its state dict has torchvision's names and shapes without ``fc``. Random weights follow
    torchvision too: normal convolutions of variance 2 / fan_out, BatchNorm 1 and 0; torch's
    global random state is left alone.

    Args:
        in_channels: Channels of the images; 1 for charge stability diagrams.
        seed: Seed of the random weights; of no effect where ``weights`` are given.
        weights: A safetensors file, or a state dict saved by torch (loaded without unpickling
            code). ``fc.*`` is ignored. A ``conv1`` of three channels loaded into one channel is
            summed over its channels: the same as showing the grey image to all three.
        dtype: Dtype of the parameters; random weights are drawn in float32 and then converted.

    Returns:
        The network: images (N, in_channels, H, W) to features (N, 512); 11,176,512 parameters
        at three channels, none of which asks for a gradient.

    Raises:
        InputError: If the file cannot be read, or its names or shapes are not a ResNet-18's.

    Example:
        >>> network = resnet18(seed=0)
        >>> network(torch.zeros(2, 1, 50, 50)).shape
        torch.Size([2, 512])
    """
    with torch.device("meta"):  # torch's own random initialization would be thrown away
        network = ResNet18(in_channels)
    network.to_empty(device="cpu")
    _initialise(network, seed)
    if weights is not None:
        _load(network, Path(weights))
    return network.to(dtype).eval().requires_grad_(False)
