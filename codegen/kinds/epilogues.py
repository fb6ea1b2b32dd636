"""Which primitives can finish their results before storing them: with pointwise nodes, or with a pooling."""

from __future__ import annotations

from collections.abc import Callable

from ...opdef import Primitive
from ..ir import Group, Node
from ..target import CUDA, host_target
from . import conv2d, draws, matmul
from .contractions import POSITIONED, conv_spec, fused_pool, matmul_spec
from .pool import tiles_input
from .pool_spec import pool_spec


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
    **dict.fromkeys(POSITIONED, _always),
    "max_pool_grad": _writes_once,
    "max_pool_grad_at": _writes_once,
    "avg_pool_grad": _writes_once,
}


def takes_epilogue(node: Node | None) -> bool:
    """True if pointwise nodes that follow `node` element by element may join its kernel."""
    if node is None or not isinstance(node.kind, Primitive):
        return False
    return _TAKES.get(node.kind.kernel, lambda _: False)(node)


def takes_column_sums(node: Node) -> bool:
    """True if the kernel of `node`, a product whose last operand is a gradient, can sum the columns of that too."""
    if not isinstance(node.kind, Primitive) or node.outputs[0].dtype.name not in ("float32", "float64"):
        return False
    if host_target() is CUDA:
        return _takes_column_sums_on_gpu(node)
    if node.kind.kernel == "matmul":
        return node.type == "MatMul" and matmul.takes_column_sums(matmul_spec(node), host_target())
    if node.kind.kernel.removesuffix("_at") != "conv2d_backprop_filter":
        return False
    spec = conv_spec(node)
    return not spec.is_product or matmul.takes_column_sums(conv2d.as_matmul(spec), host_target())


def _takes_column_sums_on_gpu(node: Node) -> bool:
    """As codegen/cuda sums them: where the gradient runs across the tiles, and the weights do not grow with the batch."""
    if node.kind.kernel != "matmul":
        return node.kind.kernel.removesuffix("_at") == "conv2d_backprop_filter"
    spec = matmul_spec(node)
    return node.type == "MatMul" and not spec.transpose_b and isinstance(spec.m, int) and isinstance(spec.n, int)


def is_max_pool(node: Node) -> bool:
    """True for a max pooling, with positions or without."""
    return node.type in ("_MaxPool", "_MaxPoolWithPosition")


def takes_pool(node: Node | None, pool: Node) -> bool:
    """True if the kernel of `node` can store the maxima of windows of its result instead of the result."""
    if node is None or not isinstance(node.kind, Primitive) or node.kind.kernel != "conv2d":
        return False
    return conv2d.takes_pool(conv_spec(node), pool_spec(pool))


def drawing_obstacle(group: Group, node: Node) -> str | None:
    """Why the kernel of `group` cannot make the numbers of the random op `node` itself, or None."""
    anchor = group.anchor
    if group.kind in ("pointwise", "rows"):
        return draws.row_obstacle(group, node)
    if anchor is None or not takes_epilogue(anchor) or "pool" in group.kind:
        return f"{group.kind} makes no random numbers"
    if fused_pool(group) is not None:
        return "random numbers would be made window by window"
    if group.kind == "matmul" and matmul.plan(matmul_spec(anchor), host_target()).inner_name != "column":
        return "the product is made column by column"
    return draws.row_obstacle(group, node)
