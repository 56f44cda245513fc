"""The trace kernel of all V next-token logits, without V backward passes.

Logits at the last position are f = U h + b with a frozen U (V, d). So

    K_trace(x, x') = (1/V) Σ_v ⟨∂f_v(x), ∂f_v(x')⟩ = (1/V) Σ_k ⟨∂(R h)_k(x), ∂(R h)_k(x')⟩

for any R with RᵀR = UᵀU: d backward passes, exactly. Where d is too many, m random sign vectors s,
shared by all samples, give K_s = (1/V) ⟨∂(sᵀf)(x), ∂(sᵀf)(x')⟩, each unbiased for K_trace, and
their spread gives a standard error.

Softmax does not see a shift of all logits: the centred kernel is that of f − mean f, with
UᵀU − V ū ūᵀ for UᵀU.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor, nn

from ntklab.display import ShortRepr
from ntklab.errors import InputError
from ntklab.jacobians.guards.surroundings import undisturbed
from ntklab.jacobians.inputs import Inputs, as_inputs, call_arguments, first_samples
from ntklab.jacobians.kernel import ntk
from ntklab.jacobians.last_projection import last_positions, narrowed, output_embeddings
from ntklab.jacobians.memory import Progress
from ntklab.jacobians.model import select_parameters, unwrap
from ntklab.jacobians.readout import Readout, Run, logits_of

# Draws from which the number of draws is chosen: the spread of fewer says little of itself.
_PILOT = 16


@dataclass(frozen=True, repr=False)
class VocabularyKernel(ShortRepr):
    """A trace kernel over the vocabulary, and how it was come by.

    Attributes:
        kernel: (N, N), float64.
        standard_error: of every entry, from the spread of the draws; None where it is exact.
        route: `exact` or `sketch`.
        passes: backward passes.
        outputs: V.
        centred: whether it is of f − mean f.
    """

    kernel: Float[Tensor, "N N"]
    standard_error: Float[Tensor, "N N"] | None
    route: str
    passes: int
    outputs: int
    centred: bool

    def interval(self, confidence: float = 0.95) -> tuple[Tensor, Tensor]:
        """Bounds of every entry by Student's quantile for passes − 1; the kernel where exact.

        Example:
            >>> one = torch.ones(1, 1)
            >>> low, high = VocabularyKernel(one, one / 10, "sketch", 16, 99, False).interval()
            >>> round(float(high - low), 3)
            0.426
        """
        if self.standard_error is None:
            return self.kernel, self.kernel
        quantile = float(stats.t.ppf((1 + confidence) / 2, self.passes - 1))
        return (
            self.kernel - quantile * self.standard_error,
            self.kernel + quantile * self.standard_error,
        )


def vocabulary_kernel(
    model: nn.Module,
    x: Inputs,
    *,
    params: Iterable[str] | None = None,
    passes: int | str | None = None,
    tolerance: float = 0.05,
    centred: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
    **options: Any,
) -> VocabularyKernel:
    """K_trace of all next-token logits at the last real position.

    Args:
        model: of transformers, or any with `get_output_embeddings()`, a linear layer that the
            logits come from and that is not differentiated by.
        x: inputs as `jacobian` takes them.
        params: as `jacobian` has it.
        passes: "exact"; a number of draws; or None, which takes 16 draws, counts how many would
            bring every standard error below `tolerance`, and takes these or the d exact passes,
            whichever are fewer.
        tolerance: of the standard error of K_ij, in √(K_ii K_jj).
        centred: leave out what all logits share, which softmax does not see.
        seed: of the draws.
        progress: as `jacobian` has it.
        **options: `engine`, `memory`, `check` of `jacobian`.

    Raises:
        InputError: the last projection is not to be found, or is differentiated by; logits are
            more than that projection (scaled, capped); fewer than two draws.

    Cost: one forward pass and d (exact) or m (sketch) backward passes.
    """
    module = unwrap(model)
    inputs = as_inputs(x, module)
    head = _projection(module, select_parameters(dict(module.named_parameters()), params), inputs)
    asked = options | {"params": params, "progress": progress}
    if passes == "exact":
        return _exact(module, inputs, head, centred, asked)
    if passes is not None and (not isinstance(passes, int) or passes < 2):
        raise InputError(f"passes = {passes} must be 'exact', or at least 2 draws.")
    generator = torch.Generator().manual_seed(seed)
    count = _PILOT if passes is None else int(passes)
    draws = _draws(module, inputs, head, centred, count, generator, asked)
    if passes is None:
        needed = _draws_needed(draws, tolerance)
        if needed >= head.in_features:
            return _exact(module, inputs, head, centred, asked)
        if needed > count:
            more = _draws(module, inputs, head, centred, needed - count, generator, asked)
            draws = torch.cat([draws, more])
    error = draws.std(0) / len(draws) ** 0.5
    return VocabularyKernel(draws.mean(0), error, "sketch", len(draws), head.out_features, centred)


@dataclass(frozen=True)
class Projected(Readout):
    """R h at the last real position: the states that the last projection sees, times a matrix.

    Attributes:
        weights: R, shape (k, d).
    """

    weights: Float[Tensor, "k d"] = field(repr=False)

    def of(self, result: object, x: Inputs) -> Float[Tensor, "n k"]:
        """Of states (n, d)."""
        assert isinstance(result, Tensor)
        return result @ self.weights.T

    def describe(self) -> str:
        """How many combinations."""
        return f"{len(self.weights)} combinations of the whole vocabulary"

    def read(self, model: nn.Module, run: Run, x: Inputs) -> Float[Tensor, "n k"]:
        """Run the model and read its states; its logits are those of one position, unused."""
        head = output_embeddings(model)
        assert head is not None
        with narrowed(head, lambda states: last_positions(x, states)) as seen:
            run()
        return self.of(seen[0], x)


def metric(head: nn.Linear, centred: bool) -> Float[Tensor, "d d"]:
    """UᵀU in float64, or that of U without its mean row.

    Example:
        >>> head = nn.Linear(2, 3, bias=False)
        >>> torch.nn.init.ones_(head.weight).shape, metric(head, centred=True).abs().max().item()
        (torch.Size([3, 2]), 0.0)
    """
    weight = head.weight.detach().double()
    if centred:
        weight = weight - weight.mean(0)
    return weight.T @ weight


def _exact(
    module: nn.Module, x: Inputs, head: nn.Linear, centred: bool, options: dict[str, Any]
) -> VocabularyKernel:
    values, vectors = torch.linalg.eigh(metric(head, centred))
    nonzero = values > values[-1] * len(values) * torch.finfo(values.dtype).eps
    root = (vectors[:, nonzero] * values[nonzero].sqrt()).T.to(head.weight.dtype)
    mean = ntk(module, x, output="trace", readout=Projected(root), **options)
    kernel = mean * (len(root) / head.out_features)
    return VocabularyKernel(kernel, None, "exact", len(root), head.out_features, centred)


def _draws(
    module: nn.Module,
    x: Inputs,
    head: nn.Linear,
    centred: bool,
    count: int,
    generator: torch.Generator,
    options: dict[str, Any],
) -> Float[Tensor, "m N N"]:
    """One kernel a sign vector, each unbiased for K_trace."""
    weight = head.weight.detach()
    signs = 2.0 * torch.randint(2, (count, head.out_features), generator=generator) - 1
    if centred:
        signs = signs - signs.mean(1, keepdim=True)
    combined = signs.to(weight.device, torch.float64) @ weight.double()
    readout = Projected(combined.to(weight.dtype))
    return ntk(module, x, output="diagonal", readout=readout, **options) / head.out_features


def _draws_needed(draws: Float[Tensor, "m N N"], tolerance: float) -> int:
    """How many bring the largest standard error below `tolerance` √(K_ii K_jj)."""
    scale = draws.mean(0).diagonal().sqrt()
    spread = draws.std(0) / torch.outer(scale, scale)
    return ceil(float((spread.nan_to_num(0.0).max() / tolerance) ** 2))


def _projection(module: nn.Module, names: list[str], x: Inputs) -> nn.Linear:
    """The last projection, if it is linear, frozen, and all that stands before the logits."""
    head = output_embeddings(module)
    if not isinstance(head, nn.Linear):
        raise InputError(
            "the whole vocabulary needs a model whose get_output_embeddings() is the linear layer "
            f"that its logits come from, not {type(head).__name__}: take a causal language model "
            "of transformers, or a readout of tokens."
        )
    trained = dict(module.named_parameters())
    if any(trained[name] is head.weight for name in names):
        raise InputError(
            "the whole vocabulary goes through a last projection that is not trained, but its "
            "weight is among the parameters: leave it out of `params`, or read some tokens."
        )
    sample = first_samples(x, 1)
    args, kwargs = call_arguments(sample)
    place = narrowed(head, lambda states: last_positions(sample, states))
    with undisturbed(), torch.no_grad(), place as seen:
        logits = logits_of(module(*args, **kwargs)).reshape(-1)
        wanted = nn.functional.linear(seen[0], head.weight, head.bias).reshape(-1)
    close = 10 * torch.finfo(logits.dtype).eps ** 0.5 * wanted.std()
    if logits.shape != wanted.shape or not bool((logits - wanted).abs().max() <= close):
        raise InputError(
            "the model's logits are not its last projection alone (they are scaled or capped after "
            "it): read some tokens instead of the whole vocabulary."
        )
    return head
