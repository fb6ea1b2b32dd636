"""Matrix products and convolutions of a CUDA program: sizes from the node, pointers from the plan, a fused epilogue.

$TFGRAPH_CUDA_PRECISION says what float32 operands are rounded to before they are multiplied: `float32`, the default, to
nothing; `tf32` and `bf16` run on tensor cores, with sums in float32.
"""

from __future__ import annotations

import os
from typing import Any

from ..emitted import Scratch
from ..index import access_of
from ..ir import Kernel, Node, Size
from ..kinds.contractions import (
    DIRECTIONS,
    POSITIONED,
    conv_spec,
    fused_pool_spec,
    matmul_spec,
    write_contraction,
)
from ..kinds.conv2d import OPERANDS
from ..problems import NotCompilable
from . import conv2d, matmul
from .contraction import PRECISIONS
from .operands import ITEM_BYTES
from .scribe import CudaContext

ALIGNMENT = 16  # bytes of the widest load; whole buffers begin at multiples of 64


def wanted_precision() -> str:
    """$TFGRAPH_CUDA_PRECISION. ValueError if there is no such precision."""
    name = os.environ.get("TFGRAPH_CUDA_PRECISION", "").strip() or PRECISIONS[0]
    if name not in PRECISIONS:
        raise ValueError(f"TFGRAPH_CUDA_PRECISION must be one of {', '.join(PRECISIONS)}, not {name!r}")
    return name


def _anchor(kernel: Kernel) -> Node:
    node = kernel.group.anchor
    assert node is not None
    dtype = node.outputs[0].dtype
    if f"{dtype.name}_t" not in ITEM_BYTES and not dtype.is_floating:
        raise NotCompilable(f"{node.label} multiplies numbers of dtype {dtype.name}")
    return node


def _aligned(node: Node, names: tuple[str, ...]) -> frozenset[str]:
    """The operands that begin at a multiple of 16 bytes."""
    found = []
    for value, name in zip(node.data_inputs(), names, strict=True):
        offset = access_of(value).offset
        if offset == 0 or (isinstance(offset, int) and offset * value.dtype.size % ALIGNMENT == 0):
            found.append(name)
    return frozenset(found)


def _matmul(context: CudaContext) -> Any:
    node = _anchor(context.kernel)
    spec = matmul_spec(node)
    aligned = _aligned(node, ("a", "b"))
    return write_contraction(
        context, node, ("a", "b"), ("y",),
        lambda name, lines, epilogue, text: matmul.emit(spec, name, lines, epilogue, text, wanted_precision(), aligned),
    )  # fmt: skip


def _conv2d(context: CudaContext) -> Any:
    node = _anchor(context.kernel)
    spec = conv_spec(node)
    # the operands in the order of the node's inputs, not of a product
    operands: tuple[str, ...] = ("w", "dy") if spec.direction == "backprop_input" else OPERANDS[spec.direction][:2]
    if node.kind.kernel in POSITIONED:
        operands = (operands[0], "position", "dy")
    aligned = _aligned(node, operands)
    pool = fused_pool_spec(context.kernel)
    return write_contraction(
        context, node, operands, (OPERANDS[spec.direction][2],),
        lambda name, lines, epilogue, text: conv2d.emit(
            spec, name, lines, epilogue, text, wanted_precision(), aligned, pool
        ),
    )  # fmt: skip


def _size(scratch: Scratch) -> Size:
    return Size(scratch.per_batch_bytes, scratch.fixed_bytes)


def _matmul_scratch(kernel: Kernel) -> Size:
    return _size(matmul.scratch(matmul_spec(_anchor(kernel)), wanted_precision(), bool(kernel.group.beside)))


def _conv2d_scratch(kernel: Kernel) -> Size:
    is_plain = len(kernel.group.nodes) == 1
    return _size(conv2d.scratch(conv_spec(_anchor(kernel)), wanted_precision(), is_plain, bool(kernel.group.beside)))


TABLE: dict[str, Any] = {
    "matmul": (_matmul, _matmul_scratch),
    **dict.fromkeys((*DIRECTIONS, *POSITIONED), (_conv2d, _conv2d_scratch)),
}
