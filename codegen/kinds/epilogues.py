"""Which primitives can finish their results with fused pointwise nodes before storing them."""

from __future__ import annotations

from collections.abc import Callable

from ...opdef import Primitive
from ..ir import Node
from .pool import tiles_input
from .pooling import pool_spec


def _always(node: Node) -> bool:
    return True


def _writes_once(node: Node) -> bool:
    """A pooling gradient whose windows do not overlap writes each element once, when it is complete."""
    return tiles_input(pool_spec(node))


_TAKES: dict[str, Callable[[Node], bool]] = {
    "matmul": _always,
    "conv2d": _always,
    "conv2d_backprop_input": _always,
    "conv2d_backprop_filter": _always,
    "max_pool_grad": _writes_once,
    "avg_pool_grad": _writes_once,
}


def takes_epilogue(node: Node | None) -> bool:
    """True if pointwise nodes that follow `node` element by element may join its kernel."""
    if node is None or not isinstance(node.kind, Primitive):
        return False
    return _TAKES.get(node.kind.kernel, lambda _: False)(node)
