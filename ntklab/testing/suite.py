"""The verb: run every check on an adapter class and name all that fail, mathematics first."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ntklab.adapters import Adapter
from ntklab.errors import InputError, unknown
from ntklab.testing import injected_checks as injected
from ntklab.testing import interface_checks as interface
from ntklab.testing import kernel_checks as kernel
from ntklab.testing.case import Case, cases

#: By what they are about: the mathematics is said first, since it is what a kernel rests on.
GROUPS: dict[str, tuple[Callable[[Case], None], ...]] = {
    "mathematics": (
        kernel.jacobian_has_a_column_a_parameter,
        kernel.jacobian_equals_finite_differences,
        kernel.weight_tangents_equal_autograd,
        kernel.engines_agree,
        kernel.kernels_equal_products_of_rows,
        kernel.decoupled_equals_dense,
        kernel.single_precision_agrees_with_double,
        kernel.kernel_is_symmetric_and_positive,
        kernel.primal_and_dual_spectra_agree,
        kernel.rank_is_within_its_bound,
        kernel.euler_identity_holds,
    ),
    "interface": (
        interface.bad_sizes_get_a_sentence,
        interface.seeds_decide,
        interface.dtypes_share_draws,
        interface.state_dict_round_trips,
        interface.forward_keeps_the_batch,
        interface.linear_says_the_truth,
        interface.base_is_frozen_and_added,
        interface.parameters_are_counted,
        interface.generated_weights_are_those_of_the_outputs,
        interface.width_is_effective,
        interface.description_is_json,
    ),
    "inside a model": (
        injected.injected_layers_are_base_plus_adapted,
        injected.injected_jacobian_equals_a_loop,
        injected.injected_at_zero_changes_nothing,
        injected.injected_adapters_merge_and_leave,
        injected.injected_adapters_are_saved_and_copied,
    ),
}
CHECKS: dict[str, Callable[[Case], None]] = {
    check.__name__: check for group in GROUPS.values() for check in group
}


def check_adapter(
    adapter: type[Adapter],
    *,
    shapes: Sequence[tuple[int, int]] = ((6, 2), (8, 3), (5, 1)),
    sizes: Mapping[str, Any] = MappingProxyType({"width": 8, "rank": 3}),
    checks: Iterable[str] | None = None,
) -> list[str]:
    """Run the conformance suite on an adapter class.

    Adapters are built by `from_sizes` in float64, every shape under every preset with a seed of
    its own, as they start and at a generic point of their parameters; as heads, and inside a
    model in the place of its layers.

    Args:
        adapter: a subclass of `Adapter`, not an instance.
        shapes: pairs (d, C); small, since every Jacobian is also computed one row at a time.
        sizes: those in the class's `uses` are given to `from_sizes`.
        checks: names from `CHECKS`; all of them if None.

    Returns:
        The names of the checks that ran, in order.

    Raises:
        AssertionError: every check that fails, by name, each with the first case it failed on;
            the mathematics first.
        InputError: not an adapter class, or an unknown check.

    Cost: one to a few seconds.

    Example:
        >>> from ntklab.adapters import LinearProbe
        >>> check_adapter(LinearProbe, checks=["engines_agree", "euler_identity_holds"])
        ['engines_agree', 'euler_identity_holds']
    """
    if not (isinstance(adapter, type) and issubclass(adapter, Adapter)):
        raise InputError(f"{adapter!r} is no Adapter class: give the class itself.")
    names = list(CHECKS) if checks is None else list(checks)
    for name in names:
        if name not in CHECKS:
            raise unknown("check", name, CHECKS)
    failures = {name: text for name in names if (text := _failure(name, adapter, shapes, sizes))}
    if failures:
        raise AssertionError(_report(adapter, failures, len(names)))
    return names


def _failure(
    name: str,
    adapter: type[Adapter],
    shapes: Sequence[tuple[int, int]],
    sizes: Mapping[str, Any],
) -> str | None:
    """The message of the check on the first case that fails it."""
    for case in cases(adapter, shapes, sizes):
        try:
            CHECKS[name](case)
        except AssertionError as error:
            return f"{error} ({case})"
        except Exception as error:
            # An adapter that cannot even be run fails the check it was run for.
            return f"{type(error).__name__}: {error} ({case})"
    return None


def _report(adapter: type[Adapter], failures: Mapping[str, str], count: int) -> str:
    """All failures by group; checks that fail with one sentence share its line."""
    lines = [f"{adapter.__name__} fails {len(failures)} of {count} checks."]
    for group, checks in GROUPS.items():
        said: dict[str, list[str]] = {}
        for check in checks:
            if (name := check.__name__) in failures:
                said.setdefault(failures[name], []).append(name)
        if said:
            lines.append(f"{group}:")
            lines += [f"  {', '.join(names)}: {text}" for text, names in said.items()]
    return "\n".join(lines)
