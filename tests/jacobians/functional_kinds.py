"""Kinds of models for the conformance sweep: functional operations."""

from typing import Any

import torch
from torch import Tensor, nn

from tests.jacobians.kinds import LINE, PLANE, SEQUENCE, operation

F = nn.functional


class _Sine(torch.autograd.Function):
    """A gradient written by hand, as older code does it: no vmap rule."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * x.cos()


def _square(x: Tensor) -> Tensor:
    """A positive matrix, of well separated eigenvalues, from any."""
    return x @ x.mT + torch.diag(torch.arange(1.0, 4.0, dtype=x.dtype))


def _assigned(x: Tensor) -> Tensor:
    result = torch.zeros_like(x)
    result[:, 1:] = x[:, :-1] * 2
    return result + x


POINTWISE = [
    operation("erf and exp", lambda x: torch.erf(x) * torch.exp(-x.abs())),
    operation("log1p and expm1", lambda x: torch.log1p(x.square()) + torch.expm1(-x.abs())),
    operation(
        "lgamma and digamma", lambda x: torch.lgamma(x.abs() + 1) + torch.digamma(x.abs() + 1)
    ),
    operation("sinc and atan2", lambda x: torch.sinc(x) + torch.atan2(x, x.roll(1, -1) + 3)),
    operation("where and clamp", lambda x: torch.where(x > 0, x.clamp(-1, 1), x.square())),
    operation(
        "logaddexp and hypot", lambda x: torch.logaddexp(x, x.flip(-1)) + torch.hypot(x, x + 1)
    ),
    operation("masked_fill and pow", lambda x: x.masked_fill(x > 1, 0.5).abs().pow(1.5)),
    operation("lerp and addcmul", lambda x, w: torch.lerp(x, w, 0.3) + torch.addcmul(x, x, w), 3),
    operation("in place", lambda x: x.clone().mul_(2).add_(x).sigmoid_()),
    operation("a slice assigned", _assigned),
    operation("complex numbers", lambda x: torch.view_as_real(torch.complex(x, x.cos()).exp())),
    operation("fft", lambda x: torch.fft.rfft(x).abs()),
    operation(
        "fft in two dimensions",
        lambda x: torch.fft.ifft2(torch.fft.fft2(x) * (1 + 1j)).real,
        shape=SEQUENCE,
    ),
]

REDUCTIONS = [
    operation("sum, mean, prod", lambda x: torch.stack([x.sum(-1), x.mean(-1), x.prod(-1)], -1)),
    operation("var and std", lambda x: torch.stack([x.var(-1), x.std(-1)], -1)),
    operation("amax and min", lambda x: torch.stack([x.amax(-1), x.min(-1).values], -1)),
    operation(
        "median and kthvalue",
        lambda x: torch.stack([x.median(-1).values, x.kthvalue(2).values], -1),
    ),
    operation("logsumexp", lambda x: torch.logsumexp(x, -1, keepdim=True)),
    operation("norms", lambda x: torch.stack([x.norm(p, -1) for p in (1, 2, 3, float("inf"))], -1)),
    operation(
        "cumsum, cumprod, logcumsumexp", lambda x: x.cumsum(-1) + x.cumprod(-1) + x.logcumsumexp(-1)
    ),
    operation("cummax and diff", lambda x: torch.cat([x.cummax(-1).values, x.diff(dim=-1)], -1)),
    operation("topk", lambda x: x.topk(2).values),
    operation("sort", lambda x: x.sort(-1).values.square()),
    operation("trapezoid", lambda x: torch.trapezoid(x, dim=-1).unsqueeze(-1)),
    operation("renorm", lambda x: torch.renorm(x, 2, 0, 1.0) + x),
    operation(
        "normalize and cosine",
        lambda x: F.normalize(x) * F.cosine_similarity(x, x.roll(1, -1)).unsqueeze(-1),
    ),
]

ALGEBRA = [
    operation("matmul", lambda x, w: x @ w, 3, 2),
    operation("bmm", lambda x: torch.bmm(x, x.mT), shape=SEQUENCE),
    operation("baddbmm", lambda x: torch.baddbmm(x @ x.mT, x, x.mT), shape=SEQUENCE),
    operation(
        "einsum", lambda x, w: torch.einsum("nti,ij,nsj->nts", x, w, x), 4, 4, shape=SEQUENCE
    ),
    operation("outer products", lambda x: x.unsqueeze(1) * x.unsqueeze(2)),
    operation("kron", lambda x, w: torch.einsum("ni,jk->nijk", x, torch.kron(w, w)), 2, 2),
    operation("tensordot", lambda x, w: torch.tensordot(x, w, dims=1), 3, 2),
    operation("cdist", torch.cdist, 2, 3),
    operation("determinant", lambda x: torch.linalg.det(_square(x)).unsqueeze(-1), shape=(3, 3)),
    operation("inverse", lambda x: torch.linalg.inv(_square(x)), shape=(3, 3)),
    operation("solve", lambda x, w: torch.linalg.solve(_square(x), w), 3, 2, shape=(3, 3)),
    operation("cholesky", lambda x: torch.linalg.cholesky(_square(x)), shape=(3, 3)),
    operation("eigvalsh", lambda x: torch.linalg.eigvalsh(_square(x)), shape=(3, 3)),
    operation("svdvals", torch.linalg.svdvals, shape=(3, 3)),
    operation("qr", lambda x: torch.linalg.qr(x).R, shape=(3, 3)),
    operation("matrix_exp", lambda x: torch.matrix_exp(0.1 * x), shape=(3, 3)),
    operation("pinv", torch.linalg.pinv, shape=(3, 4)),
    operation(
        "slogdet", lambda x: torch.linalg.slogdet(_square(x)).logabsdet.unsqueeze(-1), shape=(3, 3)
    ),
]

INDEXING = [
    operation("gather", lambda x: x.gather(-1, x.argsort(-1))),
    operation("index_select", lambda x: x.index_select(-1, torch.tensor([2, 0, 0]))),
    operation("scatter_add", lambda x: torch.zeros_like(x).scatter_add(-1, x.argsort(-1) // 2, x)),
    operation("index_add", lambda x: torch.zeros_like(x).index_add(-1, torch.tensor([0, 0, 2]), x)),
    operation("boolean masks", lambda x: x * (x > 0)),
    operation(
        "masked_select of every sample",
        lambda x: torch.stack([row[row > row.median()].sum() for row in x]).unsqueeze(-1),
    ),
    operation("roll, flip, tril", lambda x: (x.roll(1, -1) + x.flip(-1)).tril(), shape=(3, 3)),
    operation("unfold", lambda x: x.unfold(-1, 2, 1), shape=LINE),
    operation(
        "diagonal and diag_embed",
        lambda x: torch.diag_embed(x.diagonal(dim1=-2, dim2=-1)),
        shape=(3, 3),
    ),
    operation(
        "repeat_interleave and chunk",
        lambda x: torch.cat(x.repeat_interleave(2, -1).chunk(3, -1)[:2], -1),
    ),
    operation("pad and stack", lambda x: torch.stack([F.pad(x, (1, 0)), F.pad(x, (0, 1))], 1)),
    operation("one_hot", lambda x: F.one_hot(x.argmax(-1), 3) * x),
    operation("take_along_dim", lambda x: torch.take_along_dim(x, x.argmax(-1, keepdim=True), -1)),
    operation(
        "bucketize",
        lambda x: torch.bucketize(x.detach(), torch.tensor([-1.0, 0.0, 1.0], dtype=x.dtype)) * x,
    ),
]

FUNCTIONS = [
    operation("layer_norm", lambda x, w: F.layer_norm(x, (3,), w), 3),
    operation("linear", F.linear, 2, 3),
    operation("prelu", F.prelu, 1),
    operation("prelu of channels", F.prelu, 3, shape=LINE),
    operation("glu", F.glu, shape=(4,)),
    operation("interpolate by areas", lambda x: F.interpolate(x, 3, mode="area"), shape=PLANE),
    operation(
        "grid_sample", lambda x: F.grid_sample(x, torch.tanh(x[:, :2].movedim(1, -1))), shape=PLANE
    ),
    operation(
        "affine_grid",
        lambda x, w: F.grid_sample(x, F.affine_grid(w.expand(len(x), 2, 3), list(x.shape))),
        2,
        3,
        shape=PLANE,
    ),
    operation(
        "convolution of a sample by itself",
        lambda x: torch.stack([F.conv1d(row, row[:, :, :2]) for row in x.unsqueeze(1)]),
        shape=LINE,
    ),
    operation("embedding by hand", lambda x, w: F.embedding(x.argsort(-1), w), 3, 2),
    operation(
        "cross_entropy of each sample",
        lambda x: F.cross_entropy(x, x.argmax(-1), reduction="none").unsqueeze(-1),
    ),
    operation(
        "smooth_l1 of each sample",
        lambda x: F.smooth_l1_loss(x, x.detach().roll(1, -1), reduction="none"),
    ),
    operation("dropout", lambda x: F.dropout(x, 0.5), refused="called again"),
    operation("gumbel_softmax", F.gumbel_softmax, refused="called again"),
    operation("a mean over the samples", lambda x: x - x.mean(0), refused="other samples"),
    operation(
        "a test of the values",
        lambda x: torch.stack([row if row.sum() > 0 else 2 * row for row in x]),
    ),
    operation("gradient through numpy", lambda x: torch.from_numpy(x.detach().numpy().copy()) * x),
    operation(
        "a checkpoint",
        lambda x, w: torch.utils.checkpoint.checkpoint(torch.matmul, x, w, use_reentrant=False),
        3,
        2,
    ),
    operation("a custom gradient", _Sine.apply),
    operation(
        "a gradient inside", lambda x: torch.autograd.grad(x.pow(3).sum(), x, create_graph=True)[0]
    ),
]

OPERATIONS = [*POINTWISE, *REDUCTIONS, *ALGEBRA, *INDEXING, *FUNCTIONS]
