"""Operations of a piece of work, counted: equal on every machine, as times are not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Counts:
    """Work of one run.

    Attributes:
        multiply_adds: of matrix products and convolutions.
        bytes: read and written by all operations, each taken alone; a cache may spare some.
        operations: that torch hands to a kernel of the device: launches, on a GPU. Views and
            other changes of shape that move no number are left out.
    """

    multiply_adds: int
    bytes: int
    operations: int

    def below(self, other: "Counts") -> bool:
        """Whether none of the three is larger than the other's, and one is smaller.

        Example:
            >>> Counts(4, 8, 1).below(Counts(4, 9, 1)), Counts(3, 9, 2).below(Counts(4, 9, 1))
            (True, False)
        """
        pairs = [(getattr(self, name), getattr(other, name)) for name in self.__annotations__]
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def counted(run: Callable[[], object]) -> Counts:
    """Run once and count.

    Args:
        run: work made of torch operations; what other libraries do is not seen.

    Returns:
        The counts. They depend on shapes and on torch's way to the kernel, not on the machine's
        speed.

    Cost: the run itself, with some microseconds an operation.

    Example:
        >>> import torch
        >>> A, x = torch.ones(4, 3, dtype=torch.float64), torch.ones(3, 2, dtype=torch.float64)
        >>> counted(lambda: (A @ x).T)
        Counts(multiply_adds=24, bytes=208, operations=1)
    """
    with FlopCounterMode(display=False) as flops, _Traffic() as traffic:
        run()
    return Counts(flops.get_total_flops() // 2, traffic.bytes, traffic.operations)


class _Traffic(TorchDispatchMode):
    """Counts operations below autograd, where views and composite operations are told apart."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        made = [one for one in tree_leaves(result) if isinstance(one, Tensor)]
        if made and not _is_view(func, given, made):
            self.operations += 1
            self.bytes += sum(one.numel() * one.element_size() for one in (*given, *made))
        return result


def _is_view(func: Any, given: list[Tensor], made: list[Tensor]) -> bool:
    """Whether all that was made shares memory with what was given, and nothing was written."""
    if func._schema.is_mutable:
        return False
    # By storage and not by address, which all tensors without values share.
    places = {one.untyped_storage()._cdata for one in given}
    return all(one.untyped_storage()._cdata in places for one in made) and bool(places)
