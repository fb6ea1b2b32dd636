"""A variance does not wait for the mean: one sweep over an array makes both.

As the graph has it, squared deviations can be summed only when the mean is known, in a second sweep over memory. The fold
`_SquaredDeviations` finds the mean on its way, so that the two sums are independent and become one kernel
(codegen/kinds/deviations.py). Short rows and slabs stay in the cache from sweep to sweep: they are left as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...dtypes import float32, float64
from ...shapes import element_count
from ..index import NotStrided, access_of, broadcast_access
from ..internal_moments import squared_deviations
from ..ir import Node, Roots, Value
from ..rewrite import active_builder, rewrite
from ..target import CUDA, host_target
from .clusters import is_row_reduction, is_slab_reduction, reduced_axes
from .fusion_rules import is_row_operand


def moments(roots: Roots) -> Roots:
    """The same program with squared deviations from means as folds of their own; a GPU's kernels take two sweeps."""
    return roots if host_target() is CUDA else rewrite(roots, deviations_from_mean)


def deviations_from_mean(node: Node) -> Sequence[Value] | None:
    """sum((x - mean(x, axes))^2, axes)  ->  squared_deviations(x, axes)"""
    if node.type != "Sum":
        return None
    axes, domain = reduced_axes(node), node.inputs[0].dims
    if is_row_reduction(domain, axes) or is_slab_reduction(domain, axes):
        return None
    for x, mean in _squared(node.inputs[0]):
        if x.dims == domain and x.dtype in (float32, float64) and _is_mean(mean, x, axes):
            return active_builder().add(squared_deviations, (x, node.inputs[1]), node.attrs).outputs
    return None


def _squared(squares: Value) -> Sequence[tuple[Value, Value]]:
    """What a value may be the square of the difference of, either way round."""
    node = squares.op
    if node.type == "SquaredDifference":
        x, y = node.inputs
    elif (node.type == "Square" or (node.type == "Mul" and node.inputs[0] is node.inputs[1])) and (
        node.inputs[0].op.type == "Sub"
    ):
        x, y = node.inputs[0].op.inputs
    else:
        return ()
    return (x, y), (y, x)


def _is_mean(value: Value, x: Value, axes: tuple[int, ...]) -> bool:
    """True if `value` is the mean of x over the axes, broadcast to where it comes from."""
    try:
        access = access_of(value)
    except NotStrided:
        return False
    if access.base.op.type != "RealDiv" or len(access.dims) > len(x.dims):
        return False
    total, count = access.base.op.inputs
    if total.op.type != "Sum" or total.op.inputs[0] is not x or reduced_axes(total.op) != axes:
        return False
    return is_row_operand(broadcast_access(access, x.dims), axes) and _is_count(count, x, axes)


def _is_count(value: Value, x: Value, axes: tuple[int, ...]) -> bool:
    """True for the number of elements that a reduction of x folds into one."""
    expected = element_count([x.dims[axis] for axis in axes])
    if value.op.type == "_Extent":
        return bool(element_count(value.op.attr("dims")) == expected)
    return value.op.type == "Const" and value.dims == () and bool(value.op.attr("value") == expected)
