"""Pooling of a program: sizes from the node, pointers from the plan."""

from __future__ import annotations

from typing import Any

from ...windows import windows_2d
from ..ir import Kernel, Node, Size
from . import pool
from .contractions import write_contraction
from .pool import PoolSpec

# kernel -> (operation of the template, names of the data inputs, name of the result)
FORMS = {
    "max_pool": ("max", ("x",), "y"),
    "avg_pool": ("avg", ("x",), "y"),
    "max_pool_grad": ("max_grad", ("x", "y", "dy"), "dx"),
    "avg_pool_grad": ("avg_grad", ("dy",), "dx"),
}


def pool_spec(node: Node) -> PoolSpec:
    """The sizes of a pooling or its gradient."""
    kernel = node.kind.kernel
    dims = node.outputs[0].dims if kernel.endswith("_grad") else node.inputs[0].dims
    rows, columns = windows_2d(dims[1:3], node.attr("ksize"), node.attr("strides"), (1, 1), node.attr("padding"))
    return PoolSpec(
        op=FORMS[kernel][0],
        images=dims[0],
        in_h=dims[1], in_w=dims[2], channels=dims[3],
        window_h=rows.size, window_w=columns.size,
        stride_h=rows.stride, stride_w=columns.stride,
        pad_top=rows.before, pad_left=columns.before,
        out_h=rows.count, out_w=columns.count,
        dtype=node.outputs[0].dtype.name,
    )  # fmt: skip


def _write(context: Any) -> Any:
    node = context.kernel.group.anchor
    _, operands, result = FORMS[node.kind.kernel]
    return write_contraction(
        context, node, operands, result,
        lambda name, lines, epilogue, text: pool.emit(pool_spec(node), name, lines, epilogue, text),
    )  # fmt: skip


def _no_scratch(kernel: Kernel) -> Size:
    return Size()


TABLE: dict[str, Any] = dict.fromkeys(FORMS, (_write, _no_scratch))
