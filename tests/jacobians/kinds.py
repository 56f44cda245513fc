"""Kinds of models for the conformance sweep: one for each module of torch.nn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

F = nn.functional


@dataclass(frozen=True)
class Kind:
    """A family of small models around one module or operation.

    Attributes:
        name: of the module or operation.
        middle: builds the part under test.
        shape: of one sample where that part sees it.
        refused: words of the sentence, where no engine can have such a model.
        tokens: whether its inputs are token numbers.
    """

    name: str
    middle: Callable[[], nn.Module]
    shape: tuple[int, ...] = (3,)
    refused: str | None = None
    tokens: bool = False

    def model(self, outputs: int) -> nn.Module:
        """In evaluation mode, float64, with drawn parameters and buffers of real numbers."""
        built = Around(self.middle(), self.shape, outputs, self.tokens).double()
        for p in built.parameters():
            nn.init.normal_(p, std=0.5)
        for name, buffer in built.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.uniform_(0.5, 1.5)
        return built.eval()

    def inputs(self, samples: int) -> Tensor:
        """Drawn: token numbers, or real numbers on both sides of the usual thresholds."""
        if self.tokens:
            return torch.randint(5, (samples, *self.shape))
        return 2 * torch.randn(samples, *self.shape, dtype=torch.float64)


class Around(nn.Module):
    """Linear layers around the part under test, so that gradients pass through it."""

    def __init__(
        self, middle: nn.Module, shape: tuple[int, ...], outputs: int, tokens: bool
    ) -> None:
        super().__init__()
        self.front = nn.Identity() if tokens else nn.Linear(shape[-1], shape[-1])
        self.middle = middle
        probe = torch.zeros(2, *shape, dtype=torch.long if tokens else torch.float32)
        probe = probe if tokens else torch.randn_like(probe, requires_grad=True)
        size = middle.eval()(probe).flatten(1).shape[1]
        self.tail = nn.Linear(size, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.middle(self.front(x)).flatten(1))


class Operation(nn.Module):
    """A function as a module, with one matrix that it may use."""

    def __init__(self, function: Callable[..., Tensor], *sizes: int) -> None:
        super().__init__()
        self.function = function
        if sizes:
            self.weight = nn.Parameter(torch.randn(*sizes))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.weight) if hasattr(self, "weight") else self.function(x)


class First(nn.Module):
    """A module that returns several things: the first of them."""

    def __init__(self, inner: nn.Module, call: Callable[[Any, Tensor], Any] | None = None) -> None:
        super().__init__()
        self.inner, self.call = inner, call

    def forward(self, x: Tensor) -> Tensor:
        result = self.inner(x) if self.call is None else self.call(self.inner, x)
        return result if isinstance(result, Tensor) else result[0]


def unpooled(unpool: type[nn.Module], pool: Callable[..., Any]) -> Callable[[Tensor], Tensor]:
    """Maxima put back where they were."""
    return lambda x: unpool(2)(*pool(x, 2, return_indices=True))


LINE, PLANE, SPACE = (3, 6), (3, 4, 4), (2, 4, 4, 4)
SEQUENCE = (3, 4)


def of_classes(
    shape: tuple[int, ...], *modules: Callable[[], nn.Module], **named: Any
) -> list[Kind]:
    """Kinds from modules that are built without further ado; named by their classes."""
    return [Kind(type(build()).__name__, build, shape, **named) for build in modules]


def operation(
    name: str, function: Callable[..., Tensor], *sizes: int, shape=(3,), **named: Any
) -> Kind:
    return Kind(name, lambda: Operation(function, *sizes), shape, **named)


ACTIVATIONS = [
    *of_classes(
        (3,),
        *(nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh),
        *(nn.LeakyReLU, nn.LogSigmoid, nn.Mish, nn.PReLU, nn.ReLU, nn.ReLU6, nn.RReLU, nn.SELU),
        *(nn.SiLU, nn.Sigmoid, nn.Softplus, nn.Softshrink, nn.Softsign, nn.Tanh, nn.Tanhshrink),
        lambda: nn.Threshold(0.1, 0.5),
        lambda: nn.Softmax(-1),
        lambda: nn.Softmin(-1),
        lambda: nn.LogSoftmax(-1),
    ),
    *of_classes((4,), nn.GLU),
    *of_classes(PLANE, nn.Softmax2d),
    Kind("PReLU of three channels", lambda: nn.PReLU(3), (3,)),
    Kind(
        "PReLU after a convolution", lambda: nn.Sequential(nn.Conv2d(3, 3, 2), nn.PReLU(3)), PLANE
    ),
    Kind("GELU by tanh", lambda: nn.GELU("tanh")),
    Kind("Softplus beyond its threshold", lambda: nn.Softplus(2.0, 1.0)),
]

POOLING = [
    *of_classes(
        LINE,
        lambda: nn.AdaptiveAvgPool1d(2),
        lambda: nn.AdaptiveMaxPool1d(2),
        lambda: nn.AvgPool1d(2),
        lambda: nn.MaxPool1d(2),
        lambda: nn.LPPool1d(2, 2),
    ),
    *of_classes(
        PLANE,
        lambda: nn.AdaptiveAvgPool2d(3),
        lambda: nn.AdaptiveMaxPool2d(3),
        lambda: nn.AvgPool2d(2),
        lambda: nn.MaxPool2d(2),
        lambda: nn.LPPool2d(2, 2),
    ),
    *of_classes(
        SPACE,
        lambda: nn.AdaptiveAvgPool3d(3),
        lambda: nn.AdaptiveMaxPool3d(3),
        lambda: nn.AvgPool3d(2),
        lambda: nn.MaxPool3d(2),
        lambda: nn.LPPool3d(2, 2),
    ),
    *of_classes(
        (3, 7, 7), lambda: nn.FractionalMaxPool2d(2, output_size=3), refused="called again"
    ),
    *of_classes(
        (1, 7, 7, 7), lambda: nn.FractionalMaxPool3d(2, output_size=3), refused="called again"
    ),
    operation("MaxUnpool1d", unpooled(nn.MaxUnpool1d, F.max_pool1d), shape=LINE),
    operation("MaxUnpool2d", unpooled(nn.MaxUnpool2d, F.max_pool2d), shape=PLANE),
    operation("MaxUnpool3d", unpooled(nn.MaxUnpool3d, F.max_pool3d), shape=SPACE),
    Kind("MaxPool2d, overlapping and padded", lambda: nn.MaxPool2d(3, 1, 1, ceil_mode=True), PLANE),
    Kind("AvgPool2d without padding's zeros", lambda: nn.AvgPool2d(2, 1, 1, True, False), PLANE),
]

CONVOLUTIONS = [
    *of_classes(LINE, lambda: nn.Conv1d(3, 2, 3), lambda: nn.ConvTranspose1d(3, 2, 2)),
    *of_classes(PLANE, lambda: nn.Conv2d(3, 2, 3), lambda: nn.ConvTranspose2d(3, 2, 2)),
    *of_classes(SPACE, lambda: nn.Conv3d(2, 2, 3), lambda: nn.ConvTranspose3d(2, 1, 2)),
    Kind("Conv2d, depthwise", lambda: nn.Conv2d(3, 3, 2, groups=3), PLANE),
    Kind("Conv2d, dilated, strided, padded", lambda: nn.Conv2d(3, 2, 2, 2, 1, 2), PLANE),
    Kind(
        "Conv2d, padded in circles",
        lambda: nn.Conv2d(3, 2, 3, padding=1, padding_mode="circular"),
        PLANE,
    ),
    Kind("Conv1d, padded to the same length", lambda: nn.Conv1d(3, 3, 2, padding="same"), LINE),
    Kind("ConvTranspose2d, strided", lambda: nn.ConvTranspose2d(3, 2, 2, 2, 1, 1), PLANE),
    Kind("ConvTranspose1d, in groups", lambda: nn.ConvTranspose1d(3, 3, 2, groups=3), LINE),
    *of_classes(PLANE, lambda: nn.Unfold(2)),
    *of_classes((4, 9), lambda: nn.Fold((4, 4), 2)),
]

NORMALIZATIONS = [
    *of_classes((3,), lambda: nn.BatchNorm1d(3), lambda: nn.LayerNorm(3), lambda: nn.RMSNorm(3)),
    *of_classes(
        PLANE,
        lambda: nn.BatchNorm2d(3),
        lambda: nn.InstanceNorm2d(3, affine=True),
        lambda: nn.GroupNorm(3, 3),
        lambda: nn.LocalResponseNorm(2),
        lambda: nn.CrossMapLRN2d(2),
    ),
    *of_classes(LINE, lambda: nn.InstanceNorm1d(3, affine=True)),
    *of_classes(SPACE, lambda: nn.BatchNorm3d(2), lambda: nn.InstanceNorm3d(2)),
    Kind(
        "InstanceNorm2d with running statistics",
        lambda: nn.InstanceNorm2d(3, track_running_stats=True),
        PLANE,
    ),
    Kind(
        "BatchNorm2d without running statistics",
        lambda: nn.BatchNorm2d(3, track_running_stats=False),
        PLANE,
        refused="no running statistics",
    ),
    Kind("SyncBatchNorm", lambda: nn.SyncBatchNorm(3), PLANE),
    Kind("weight_norm", lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))),
    Kind("spectral_norm", lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3))),
    Kind("orthogonal", lambda: nn.utils.parametrizations.orthogonal(nn.Linear(3, 3))),
]

PADDING = [
    *of_classes(
        LINE,
        lambda: nn.CircularPad1d(1),
        lambda: nn.ConstantPad1d(1, 0.5),
        lambda: nn.ReflectionPad1d(1),
        lambda: nn.ReplicationPad1d(1),
        lambda: nn.ZeroPad1d(1),
    ),
    *of_classes(
        PLANE,
        lambda: nn.CircularPad2d(1),
        lambda: nn.ConstantPad2d(1, 0.5),
        lambda: nn.ReflectionPad2d(1),
        lambda: nn.ReplicationPad2d(1),
        lambda: nn.ZeroPad2d(1),
    ),
    *of_classes(
        (1, 2, 2, 2),
        lambda: nn.CircularPad3d(1),
        lambda: nn.ConstantPad3d(1, 0.5),
        lambda: nn.ReflectionPad3d(1),
        lambda: nn.ReplicationPad3d(1),
        lambda: nn.ZeroPad3d(1),
    ),
]

RESHAPING = [
    *of_classes(
        PLANE,
        lambda: nn.Upsample(scale_factor=2),
        lambda: nn.UpsamplingBilinear2d(scale_factor=2),
        lambda: nn.UpsamplingNearest2d(scale_factor=2),
        lambda: nn.PixelUnshuffle(2),
        nn.Identity,
        nn.Flatten,
        nn.Dropout,
        nn.Dropout2d,
        nn.AlphaDropout,
        nn.FeatureAlphaDropout,
    ),
    *of_classes(LINE, nn.Dropout1d),
    *of_classes(SPACE, nn.Dropout3d),
    *of_classes((4, 2, 2), lambda: nn.PixelShuffle(2), lambda: nn.ChannelShuffle(2)),
    *of_classes((6,), lambda: nn.Unflatten(1, (2, 3))),
    Kind("Upsample, bicubic", lambda: nn.Upsample(scale_factor=1.5, mode="bicubic"), PLANE),
    Kind("Upsample, linear", lambda: nn.Upsample(scale_factor=1.5, mode="linear"), LINE),
    Kind(
        "Upsample, trilinear", lambda: nn.Upsample(scale_factor=2, mode="trilinear"), (1, 2, 2, 2)
    ),
]

RECURRENT = [
    Kind("RNN", lambda: First(nn.RNN(4, 3, batch_first=True)), SEQUENCE),
    Kind("LSTM", lambda: First(nn.LSTM(4, 3, batch_first=True)), SEQUENCE),
    Kind("GRU", lambda: First(nn.GRU(4, 3, batch_first=True)), SEQUENCE),
    Kind(
        "LSTM, two ways",
        lambda: First(nn.LSTM(4, 2, 2, batch_first=True, bidirectional=True)),
        SEQUENCE,
    ),
    Kind("RNN along the samples", lambda: First(nn.RNN(4, 3)), SEQUENCE, refused="other samples"),
    Kind("RNNCell", lambda: nn.RNNCell(3, 2)),
    Kind("LSTMCell", lambda: First(nn.LSTMCell(3, 2))),
    Kind("GRUCell", lambda: nn.GRUCell(3, 2)),
]


def _itself(inner: nn.Module, x: Tensor) -> Any:
    return inner(x, x, x)


ATTENTION = [
    Kind(
        "MultiheadAttention",
        lambda: First(nn.MultiheadAttention(4, 2, batch_first=True), _itself),
        SEQUENCE,
    ),
    Kind(
        "MultiheadAttention without weights",
        lambda: First(
            nn.MultiheadAttention(4, 2, batch_first=True),
            lambda m, x: m(x, x, x, need_weights=False),
        ),
        SEQUENCE,
    ),
    *of_classes(
        SEQUENCE,
        lambda: nn.TransformerEncoderLayer(4, 2, 5, batch_first=True),
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(4, 2, 5, batch_first=True, norm_first=True),
            2,
            enable_nested_tensor=False,
        ),
    ),
    Kind(
        "TransformerDecoderLayer",
        lambda: First(nn.TransformerDecoderLayer(4, 2, 5, batch_first=True), lambda m, x: m(x, x)),
        SEQUENCE,
    ),
    Kind(
        "TransformerDecoder",
        lambda: First(
            nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 5, batch_first=True), 1),
            lambda m, x: m(x, x),
        ),
        SEQUENCE,
    ),
    Kind(
        "Transformer",
        lambda: First(nn.Transformer(4, 2, 1, 1, 5, batch_first=True), lambda m, x: m(x, x)),
        SEQUENCE,
    ),
    operation(
        "scaled_dot_product_attention",
        lambda x: F.scaled_dot_product_attention(x, x.tanh(), x),
        shape=SEQUENCE,
    ),
    operation(
        "scaled_dot_product_attention, causal",
        lambda x: F.scaled_dot_product_attention(x, x.tanh(), x, is_causal=True),
        shape=(2, 3, 4),
    ),
    operation(
        "scaled_dot_product_attention, masked",
        lambda x: F.scaled_dot_product_attention(
            x, x.tanh(), x, attn_mask=torch.ones(3, 3, dtype=torch.bool).tril()
        ),
        shape=(2, 3, 4),
    ),
]

EMBEDDING = [
    Kind("Embedding", lambda: nn.Embedding(5, 3), (4,), tokens=True),
    Kind("Embedding with padding", lambda: nn.Embedding(5, 3, padding_idx=0), (4,), tokens=True),
    Kind("Embedding, sparse", lambda: nn.Embedding(5, 3, sparse=True), (4,), tokens=True),
    Kind(
        "Embedding, rescaled",
        lambda: nn.Embedding(5, 3, max_norm=1.0),
        (4,),
        tokens=True,
        refused="max_norm",
    ),
    Kind(
        "Embedding, by frequency",
        lambda: nn.Embedding(5, 3, scale_grad_by_freq=True),
        (4,),
        tokens=True,
        refused="scale_grad_by_freq",
    ),
    Kind("EmbeddingBag", lambda: nn.EmbeddingBag(5, 3), (4,), tokens=True),
    Kind("EmbeddingBag, sums", lambda: nn.EmbeddingBag(5, 3, mode="sum"), (4,), tokens=True),
    Kind("EmbeddingBag, maxima", lambda: nn.EmbeddingBag(5, 3, mode="max"), (4,), tokens=True),
    Kind(
        "Embedding into LSTM",
        lambda: nn.Sequential(nn.Embedding(5, 3), First(nn.LSTM(3, 2, batch_first=True))),
        (4,),
        tokens=True,
    ),
]

PAIRS = [
    Kind("Linear", lambda: nn.Linear(3, 2)),
    Kind("Linear without bias", lambda: nn.Linear(3, 2, bias=False), SEQUENCE[:1]),
    Kind("Bilinear", lambda: First(nn.Bilinear(3, 3, 2), lambda m, x: m(x, x.tanh()))),
    operation("CosineSimilarity", lambda x, w: nn.CosineSimilarity(-1)(x.unsqueeze(1), w), 2, 3),
    operation("PairwiseDistance", lambda x, w: nn.PairwiseDistance()(x.unsqueeze(1), w), 2, 3),
]

MODULES = [
    *ACTIVATIONS,
    *POOLING,
    *CONVOLUTIONS,
    *NORMALIZATIONS,
    *PADDING,
    *RESHAPING,
    *RECURRENT,
    *ATTENTION,
    *EMBEDDING,
    *PAIRS,
]
