"""Pooling on CUDA: a thread for each result, for `templates/cuda/pool.cu.j2`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..c_text import larger, minus, quotient
from ..emitted import PLAIN, Epilogue, Scratch
from ..kinds.contractions import write_contraction
from ..kinds.pool import PoolSpec
from ..kinds.pool_spec import FORMS, pool_spec
from ..kinds.reach import Reach
from ..render import render, tidy
from ..scalar import C_TYPES, size_text
from .contraction import CudaEmitted
from .scribe import CudaContext
from .text import Shape, insert_prologue


@dataclass(frozen=True)
class CudaPoolText:
    """Everything the template needs to know; rows and columns are those of the result."""

    spec: PoolSpec

    op = property(lambda self: self.spec.op)
    c_type = property(lambda self: C_TYPES[self.spec.dtype])
    is_float = property(lambda self: self.spec.dtype.startswith("float"))
    is_gradient = property(lambda self: "_grad" in self.spec.op)
    rows = property(lambda self: self.spec.in_h if self.is_gradient else self.spec.out_h)
    columns = property(lambda self: self.spec.in_w if self.is_gradient else self.spec.out_w)
    row_elements = property(lambda self: self.columns * self.spec.channels)
    image_elements = property(lambda self: self.rows * self.row_elements)
    count = property(lambda self: size_text(self.spec.images * self.image_elements))
    stores_y = property(lambda self: "y" in self.spec.results)
    stores_position = property(lambda self: self.op == "max_at" and "position" in self.spec.results)
    down = property(lambda self: _reach(self.spec, "h"))
    across = property(lambda self: _reach(self.spec, "w"))
    i_begin = property(lambda self: self.down.first_tap("h"))
    i_end = property(lambda self: self.down.end_tap("h"))
    j_begin = property(lambda self: self.across.first_tap("q"))
    j_end = property(lambda self: self.across.end_tap("q"))
    first_h = property(lambda self: _first_window("y_place", self.spec.window_h, self.spec.stride_h))
    first_q = property(lambda self: _first_window("x_place", self.spec.window_w, self.spec.stride_w))

    def __getattr__(self, name: str) -> Any:
        """The sizes, by their names in the spec."""
        return getattr(self.spec, name)


def _reach(spec: PoolSpec, axis: str) -> Reach:
    if axis == "h":
        return Reach(spec.out_h, spec.window_h, spec.in_h, spec.stride_h, 1, spec.pad_top)
    return Reach(spec.out_w, spec.window_w, spec.in_w, spec.stride_w, 1, spec.pad_left)


def _first_window(place: str, taps: int, stride: int) -> str:
    """The first window that reaches a place of the padded picture."""
    return quotient(larger(minus(place, taps - stride), 0), stride)


def emit(spec: PoolSpec, name: str, prologue: Any, epilogue: Epilogue = PLAIN, comment: str = "") -> CudaEmitted:
    """The CUDA of one pooling; as `kinds.pool.emit`."""
    p = CudaPoolText(spec)
    source = tidy(render("cuda/pool.cu.j2", p=p, name=name, comment=comment, epilogue=epilogue))
    shape = Shape(p.count)
    return CudaEmitted(insert_prologue(source, prologue, {name: shape}), (shape.launch(name),), Scratch())


def write(context: CudaContext) -> Any:
    """The kernel of a pooling node or its gradient."""
    node = context.kernel.group.anchor
    assert node is not None
    _, operands, results = FORMS[node.kind.kernel]
    stored = tuple(name for name, value in zip(results, node.outputs, strict=True) if value in context.kernel.writes)
    spec = replace(pool_spec(node), results=stored)
    return write_contraction(
        context, node, operands, results,
        lambda name, lines, epilogue, text: emit(spec, name, lines, epilogue, text),
    )  # fmt: skip
