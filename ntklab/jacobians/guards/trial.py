"""A trial of a model: is it a function of one sample, and of which parameters?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ntklab import accelerator
from ntklab.errors import InputError, warn_caller
from ntklab.jacobians.guards.agreement import coarsest_dtype, tolerance
from ntklab.jacobians.guards.inside import goes_coarse
from ntklab.jacobians.inputs import Inputs, count_samples, gather, shapes_of, take
from ntklab.jacobians.memory import is_out_of_memory

# All parameters and buffers by name, and inputs, to the model's outputs.
Call = Callable[[Mapping[str, Tensor], Inputs], Tensor]

# An expert that one sample does not choose may serve another: so many samples are asked.
_MOST_SAMPLES = 8
_MOST_NAMES = 8

# Two draws of a dropout may be equal; so many are not.
_DRAWS = range(8)

_CHANCE = (
    "the model gives other outputs when it is called again with the same sample: a kernel needs "
    "outputs that depend on neither chance nor earlier calls; call model.eval() first, or take "
    "that out of the forward pass."
)


@dataclass(frozen=True)
class Trial:
    """Facts about a model that a forward pass of one sample shows.

    Attributes:
        output_shape: of one sample's outputs, without the leading dimension.
        saved_bytes: what the pass keeps for its backward pass beside parameters and buffers, shared
            storage counted once.
        changing: buffers that a pass changes in place; every call gets copies of them.
    """

    output_shape: torch.Size
    saved_bytes: int
    changing: frozenset[str]


class Tried:
    """The forward passes of a trial.

    Args:
        call: the model.
        params: the parameters to differentiate by; they are copied.
        frozen: the other parameters.
        buffers: they are copied.
        x: inputs, of which at most eight samples are used, mostly two.

    Cost: forward passes of four samples in all.
    """

    def __init__(
        self,
        call: Call,
        params: Mapping[str, Tensor],
        frozen: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        x: Inputs,
    ) -> None:
        self.call, self.x = call, x
        self.params, self.frozen, self.buffers = params, frozen, buffers
        everything = [*params.values(), *frozen.values()]
        self._device = everything[0].device
        self._dtype = coarsest_dtype(everything)

    def result(self) -> Trial:
        """Run the model alone, again and in company, and refuse what is no function of a sample.

        Raises:
            InputError: the model fails; its outputs have no leading dimension for samples or are
                no real numbers; they depend on chance, on earlier calls or on other samples; none
                of the parameters reaches them; a pass changes a parameter.
        """
        # The second sample, since a recurrence along the samples would leave the first alone.
        place = min(count_samples(self.x), 2) - 1
        sample = gather(self.x, [place])  # a copy, so that the rest of its storage is not counted
        leaves = {name: p.clone().requires_grad_() for name, p in self.params.items()}
        copies = {name: value.clone() for name, value in self.buffers.items()}
        before = {name: p._version for name, p in self.frozen.items()}
        given = {**leaves, **self.frozen, **copies}
        random = self._random_state()
        try:
            outputs, saved = _run_counting(self.call, given, sample)
        except Exception as error:
            raise _failure(error, sample) from error
        drawn = not torch.equal(random, self._random_state())
        _check_outputs(outputs)
        _check_versions({**leaves, **self.frozen}, before)
        changing = frozenset(name for name, value in copies.items() if value._version)
        self._check_reached(leaves, outputs)
        alone = outputs.detach()
        if changing and not self._close(self._run(given, sample), alone):
            raise InputError(
                f"the model's outputs depend on its earlier calls, which change '{min(changing)}': "
                "call model.eval() first, or keep that buffer as it is in the forward pass."
            )
        if drawn and not all(self._close(self._run(self._fresh(), sample), alone) for _ in _DRAWS):
            raise InputError(_CHANCE)
        self._check_company(alone, place)
        return Trial(outputs.shape[1:], saved, changing)

    def _check_company(self, alone: Tensor, place: int) -> None:
        """The outputs of a sample again, and beside another one."""
        if place:
            try:
                together = self._run(self._fresh(), take(self.x, 0, 2))
            except Exception:
                return  # A model that takes one sample at a time has no batch to depend on.
            if together.shape[0] != 2:
                raise InputError(
                    f"the model maps two samples to outputs of shape {tuple(together.shape)}: "
                    "outputs need the samples as their leading dimension, here 2."
                )
            if self._close(together[1:], alone):
                return
        again = self._run(self._fresh(), gather(self.x, [place]))
        if not self._close(again, alone):
            raise InputError(_CHANCE)
        if place:
            moved = float((together[1:] - again).abs().max())
            raise InputError(
                f"a sample's outputs depend on the other samples (they move by {moved:.3g} when "
                "one is added): a kernel between samples needs a model that sees each alone; call "
                "model.eval() first, or put the samples into the leading dimension (batch_first)."
            )

    def _run(self, given: Mapping[str, Tensor], x: Inputs) -> Tensor:
        # With gradients recorded, since some models take one inside.
        return self.call(given, x).detach()

    def _close(self, outputs: Tensor, wanted: Tensor) -> bool:
        if outputs.shape != wanted.shape:
            return False
        distance, scale = (outputs - wanted).abs(), wanted.abs().max()
        near = distance <= tolerance(self._dtype, self._device) * scale
        if self._dtype == torch.float64 and not near.all() and self._coarse:
            near = distance <= tolerance(torch.float32, self._device) * scale
        # Equal infinities and NaN are the model's own.
        return bool((near | (outputs == wanted) | outputs.isnan()).all())

    @cached_property
    def _coarse(self) -> bool:
        return goes_coarse(lambda: self._run(self._fresh(), gather(self.x, [0])))

    def _random_state(self) -> Tensor:
        """The states of the generators that the model may draw from."""
        states = [torch.get_rng_state()]
        if accelerator.is_accelerator(self._device):
            states.append(accelerator.random_state(self._device))
        return torch.cat(states)

    def _fresh(self) -> dict[str, Tensor]:
        copies = {name: value.clone() for name, value in self.buffers.items()}
        return {**self.params, **self.frozen, **copies}

    def _check_reached(self, leaves: Mapping[str, Tensor], outputs: Tensor) -> None:
        idle = _unreached(leaves, outputs)
        tried = 1
        for place in self._other_samples() if idle else ():
            tried += 1
            again = self.call({**self._fresh(), **leaves}, take(self.x, place, place + 1))
            idle &= _unreached(leaves, again)
            if not idle:
                return
        if not idle:
            return
        names = _listed([name for name in leaves if name in idle])
        where = "the sample" if tried == 1 else f"{tried} samples"
        if len(idle) == len(leaves):
            raise InputError(
                f"none of the parameters asked for ({names}) reaches the outputs of {where} "
                "tried, so the Jacobian would be zero: name others in `params`, or undo what cuts "
                "them off (a merged or disabled adapter, no_grad, detach)."
            )
        warn_caller(
            f"these parameters reach no output of {where} tried, so their columns of the Jacobian "
            f"are zero there: {names}."
        )

    def _other_samples(self) -> list[int]:
        """Samples beside the one tried first, from the first to the last."""
        last, first_tried = count_samples(self.x) - 1, min(count_samples(self.x), 2) - 1
        places = {round(last * k / (_MOST_SAMPLES - 2)) for k in range(_MOST_SAMPLES - 1)}
        return sorted(places - {first_tried})


def _run_counting(call: Call, given: Mapping[str, Tensor], x: Inputs) -> tuple[Tensor, int]:
    """Outputs, and bytes kept for the backward pass: counted by autograd, so for any model.

    Weights are kept too, once for all samples, and are there already.
    """
    seen: dict[int, int] = {}
    dense = (t for t in given.values() if t.layout is torch.strided)
    weights = {t.untyped_storage().data_ptr() for t in dense}

    def note(tensor: Tensor) -> Tensor:
        if tensor.layout is torch.strided:
            seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        outputs = call(given, x)
    return outputs, sum(size for place, size in seen.items() if place not in weights)


def _check_versions(parameters: Mapping[str, Tensor], before: Mapping[str, int]) -> None:
    for name, p in parameters.items():
        if p._version != before.get(name, 0):
            raise InputError(
                f"the model changes its parameter '{name}' whenever it runs, so that it has no "
                "derivative by it: take that change out of the forward pass."
            )


def _check_outputs(outputs: Tensor) -> None:
    if outputs.ndim == 0 or outputs.shape[0] != 1:
        raise InputError(
            f"the model maps one sample to outputs of shape {tuple(outputs.shape)}: outputs need "
            "the samples as their leading dimension, here 1."
        )
    if not outputs.is_floating_point():
        raise InputError(
            f"the model's outputs are {outputs.dtype}, which have no real gradient: give a model "
            "whose outputs are real numbers (logits, not classes; parts of complex numbers)."
        )


def _failure(error: Exception, sample: Inputs) -> Exception:
    """The sentence for a model that cannot take its inputs; other errors as they are."""
    if isinstance(error, InputError) or is_out_of_memory(error):
        return error
    reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return InputError(
        f"the model fails on a sample of shape {shapes_of(sample)} ({reason}): give inputs as its "
        "forward takes them, samples first."
    )


def _unreached(leaves: Mapping[str, Tensor], outputs: Tensor) -> set[str]:
    """Leaves from which no path of the graph leads to the outputs; no backward pass is run."""
    reached, seen = set(), set()
    stack = [outputs.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if isinstance(variable, Tensor):
            reached.add(id(variable))
        stack.extend(following for following, _ in node.next_functions)
    return {name for name, leaf in leaves.items() if id(leaf) not in reached}


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(f"'{name}'" for name in names[:_MOST_NAMES]) + more
