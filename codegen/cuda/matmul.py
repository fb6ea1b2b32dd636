"""Matrix products as CUDA C++, from `templates/cuda/contraction.cu.j2`.

In: the `MatMulSpec` of the C kernels. The text reads pointers `a` and `b`, writes `y` (or what the epilogue stores to), and
uses `scratch` where `scratch(spec)` is not empty.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from ...shapes import Undecided
from ..c_text import plus, times
from ..emitted import PLAIN, Epilogue, Scratch
from ..kinds.matmul_plan import MatMulSpec
from ..scalar import C_TYPES
from .contraction import ContractionPlan, CudaEmitted, scratch_of, text_of, write
from .operands import ITEM_BYTES, MatrixOperand
from .tiles import Choice, choose

OPERANDS = frozenset("ab")


def scratch(spec: MatMulSpec, precision: str = "float32", sums_columns: bool = False) -> Scratch:
    """The working memory that the kernel needs: the shares of its sums; `sums_columns`: and of those of columns."""
    return _scratch(spec, _choice(spec, _precision(spec, precision)), sums_columns)


def emit(
    spec: MatMulSpec,
    name: str,
    prologue_lines: Sequence[str],
    epilogue: Epilogue = PLAIN,
    comment: str = "",
    precision: str = "float32",
    aligned: Collection[str] = OPERANDS,
    pointers: tuple[str, str, str] = ("a", "b", "y"),
) -> CudaEmitted:
    """The CUDA C++ of one product.

    `prologue_lines` declare `N`, the `pointers` (char *scratch, too) and whatever the epilogue reads. Those of `aligned` are
    multiples of 16 bytes. `precision` is that of the products of float32 numbers: float32, tf32 or bf16.
    """
    p = replace(plan(spec, name, _precision(spec, precision), aligned, pointers), sums_columns=epilogue.beside is not None)
    memory = _scratch(spec, p.choice, p.sums_columns)
    return write([p], name, prologue_lines, epilogue, pointers[2], comment, memory)


def plan(
    spec: MatMulSpec,
    name: str,
    precision: str,
    aligned: Collection[str] = OPERANDS,
    pointers: tuple[str, str, str] = ("a", "b", "y"),
) -> ContractionPlan:
    """How the product is made."""
    choice = _choice(spec, precision)
    m, n, k, products = map(text_of, (spec.m, spec.n, spec.k, spec.batch))
    c_type = C_TYPES[spec.dtype]
    several = "product" if products != 1 else ""
    left = MatrixOperand(
        "left", pointers[0], c_type, choice.tile, precision, not spec.transpose_a, m, k, pointers[0] in aligned, several
    )
    right = MatrixOperand(
        "right", pointers[1], c_type, choice.tile, precision, spec.transpose_b, n, k, pointers[1] in aligned, several
    )
    row = plus(times("(int64_t)product", "rows"), "r") if several else "r"
    return ContractionPlan(
        name, c_type, choice, left, right, m, n, k, products, precision, times(m, products) if several else m, row
    )


def _precision(spec: MatMulSpec, precision: str) -> str:
    return precision if spec.dtype == "float32" else "float32"


def _choice(spec: MatMulSpec, precision: str) -> Choice:
    item = ITEM_BYTES[C_TYPES[spec.dtype]]
    return choose(spec.m, spec.n, spec.k, spec.batch, item, precision != "float32", _sums(spec) is not None)


def _scratch(spec: MatMulSpec, choice: Choice, sums_columns: bool) -> Scratch:
    sums = _sums(spec) + spec.n if sums_columns else _sums(spec)
    return scratch_of(choice.splits, sums, ITEM_BYTES[C_TYPES[spec.dtype]])


def _sums(spec: MatMulSpec) -> Any:
    """How many sums there are; None for N x N, whose shares would need memory that is no multiple of N."""
    try:
        return spec.batch * spec.m * spec.n
    except Undecided:
        return None
