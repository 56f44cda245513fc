"""The extractor takes any torch module: real ImageNet weights on another simulator's images."""

import torch
from safetensors.torch import load_file
from torch import nn

from ntklab.tasks.features import extract
from ntklab.tasks.quantum_dot import load_diagrams


class Fire(nn.Module):
    def __init__(self, inside, squeeze, expand):
        super().__init__()
        self.squeeze = nn.Conv2d(inside, squeeze, 1)
        self.e1 = nn.Conv2d(squeeze, expand, 1)
        self.e3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x):
        x = self.squeeze(x).relu()
        return torch.cat([self.e1(x), self.e3(x)], 1).relu()


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1 up to its last convolution; standardised grey images in."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, stride=2)
        widths = [
            (16, 64),
            (16, 64),
            (32, 128),
            (32, 128),
            (48, 192),
            (48, 192),
            (64, 256),
            (64, 256),
        ]
        inside = [64, *(2 * expand for _, expand in widths)]
        self.fires = nn.ModuleList(Fire(i, *w) for i, w in zip(inside, widths, strict=False))
        self.conv10 = nn.Conv2d(512, 1000, 1)

    def forward(self, x):
        pixels = (128 + 50 * x).clamp(0, 255).expand(-1, 3, -1, -1)
        x = pixels - torch.tensor([104.006, 116.669, 122.679])[:, None, None]
        x = nn.functional.max_pool2d(self.conv1(nn.functional.pad(x, (0, 1, 0, 1))).relu(), 3, 2)
        for k, fire in enumerate(self.fires):
            x = fire(x)
            if k in (1, 3):
                x = nn.functional.max_pool2d(x, 3, 2)
        return x


def probe_accuracy(features, labels, train):
    """Accuracy on the rest of a ridge probe fitted to the first rows.

    Not plain least squares: about 250 of the 512 channels are alive on these images, close to the
    number of training rows, where the interpolating solution generalizes worst.
    """
    x = features.double()
    x = (x - x[:train].mean(0)) / (x[:train].std(0) + 1e-6)
    y = 2.0 * labels.double() - 1
    a = x[:train]
    ridge = 100 * torch.eye(x.shape[1], dtype=torch.float64)
    weight = torch.linalg.solve(a.T @ a + ridge, a.T @ y[:train])
    return ((x[train:] @ weight > 0) == (y[train:] > 0)).double().mean().item()


def test_pretrained_squeezenet_gives_features_that_tell_one_dot_from_two(shared_data, tmp_path):
    network = SqueezeNet()
    network.load_state_dict(load_file(shared_data("squeezenet/squeezenet1_1-imagenet.safetensors")))
    diagrams = load_diagrams(shared_data("qdflow-csd.npz"))
    images = torch.from_numpy(diagrams.clean)[:, None]
    features = extract(network, images, cache=tmp_path)
    assert features.shape == (300, 512)
    assert torch.isfinite(features).all()
    with torch.no_grad():
        by_hand = torch.stack([network(image[None])[0].mean((1, 2)) for image in images[::60]])
    torch.testing.assert_close(features[::60], by_hand, rtol=1e-4, atol=1e-4)
    assert torch.equal(extract(network, images, cache=tmp_path), features)
    # 100 test rows: by chance 0.5 ± 0.05, so 0.75 is five standard deviations above it.
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    labels = torch.from_numpy(diagrams.labels)
    assert probe_accuracy(features[order], labels[order], train=200) > 0.75
