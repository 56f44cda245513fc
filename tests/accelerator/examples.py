"""The example of a docstring, run on the pretended device.

An example makes its tensors and modules on the CPU, as a reader does. Here what its own calls of
torch make, and every module, is moved to the device before it is used; what a function of ntklab
returns is left where it is. So a function that gives numbers back on the CPU, where the next line
wants them on the device, fails.
"""

import ast
import doctest
import sys
import traceback
from contextlib import redirect_stdout
from io import StringIO

import torch
from torch import nn

_FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
_MAKERS = {"torch", "nn"}
_MOVE = "_to_the_device"


class _Moved(ast.NodeTransformer):
    """`f(x)` becomes `_to_the_device(f(x), made)`, `made` where torch is who is called."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        root = node.func
        while isinstance(root, (ast.Attribute, ast.Call, ast.Subscript)):
            # `torch.ones(3).double()` has been moved already, at `torch.ones(3)`.
            root = root.func if isinstance(root, ast.Call) else root.value
        made = isinstance(root, ast.Name) and root.id in _MAKERS
        return ast.Call(ast.Name(_MOVE, ast.Load()), [node, ast.Constant(made)], [])


def run_example(thing, device: torch.device) -> None:
    """Run the examples of an object's docstring; assert what they print.

    Args:
        thing: a function, class or method with examples.
        device: where they run.
    """

    def move(value, made):
        if isinstance(value, nn.Module) or (made and isinstance(value, torch.Tensor)):
            return value.to(device)
        return value

    names = dict(vars(sys.modules[thing.__module__]))
    names |= {"__name__": "__main__", "torch": torch, _MOVE: move}
    for example in doctest.DocTestParser().get_examples(thing.__doc__ or ""):
        printed, error = _run(example.source, names)
        if error is not None and example.exc_msg is None:
            raise error
        wanted = example.exc_msg or example.want
        if error is not None:
            printed = traceback.format_exception_only(error)[-1]
        printed = printed.replace(f", device='{device}'", "")
        checker = doctest.OutputChecker()
        assert checker.check_output(wanted, printed, _FLAGS), (
            f"{example.source}printed {printed}instead of {wanted}"
        )


def has_example(thing) -> bool:
    """Whether an object's docstring has examples."""
    return ">>>" in (getattr(thing, "__doc__", None) or "")


def _run(source: str, names: dict) -> tuple[str, Exception | None]:
    tree = ast.fix_missing_locations(_Moved().visit(ast.parse(source, mode="single")))
    printed, shown = StringIO(), sys.displayhook
    sys.displayhook = sys.__displayhook__
    try:
        with redirect_stdout(printed):
            exec(compile(tree, "<example>", "single"), names)
    except Exception as error:
        return printed.getvalue(), error
    finally:
        sys.displayhook = shown
    return printed.getvalue(), None
