"""What a product's tiles fetch while they sum: memory that is needed later and that no processor foresees.

Each tile takes a piece of the part of which least is fetched yet (see `templates/c/later.h.j2`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...shapes import Batch
from ..c_text import minus, plus, smaller, times
from ..emitted import Epilogue
from ..tiles import FETCHED_ROWS, LINE_BYTES, SPARSELY_FETCHED_STEPS, Element
from .matmul_choice import FETCHED_BYTES, FETCHING_VECTOR_BYTES, planned
from .matmul_plan import MatMulPlan


@dataclass(frozen=True)
class Part:
    """`rows` x `columns` elements from `place` on, whose rows lie `pitch` apart; C expressions."""

    place: str
    pitch: str
    rows: str
    columns: str


@dataclass(frozen=True)
class Later:
    """The parts that are fetched: of what the epilogue of each group of rows reads, and of the operands' next block."""

    of_group: tuple[tuple[int, Part], ...] = ()  # numbered
    of_next_block: tuple[tuple[int, Part], ...] = ()
    lines: tuple[str, ...] = ()  # C declarations: how often a tile fetches a line, and where the next block is

    @property
    def count(self) -> int:
        return len(self.of_group) + len(self.of_next_block)


def later_of(p: MatMulPlan, epilogue: Epilogue, element: Element) -> Later:
    """What is worth fetching for this product."""
    if p.tile is None or element.target.vector_bytes < FETCHING_VECTOR_BYTES:
        return Later()
    line = LINE_BYTES // element.bytes
    of_group = [
        Part(f"{pointer} + {p.output_place('group', '0')}", p.columns, "step + depth == end ? group_end - group : 0",
             plus(p.columns_here, line - 1))
        for pointer in _met(p, epilogue, element)
    ]  # fmt: skip
    if not of_group and not p.streams:
        return Later()
    pace = (
        f"const int ahead_shift = depth >= {SPARSELY_FETCHED_STEPS} ? 1 : 0;",
        f"const int64_t ahead_columns = tg_larger(1, (depth >> ahead_shift) / {FETCHED_ROWS}) * {line};",
    )
    of_next_block = [_next_right(p, line), _next_left(p, line)] if p.streams else []
    lines = (*pace, *(_next_lines(p) if p.streams else ()))
    return Later(tuple(enumerate(of_group)), tuple(enumerate(of_next_block, len(of_group))), lines)


def _next_lines(p: MatMulPlan) -> tuple[str, ...]:
    """Behind a share of k lies the next share. Behind all of k, the next chunk begins: perhaps with other columns."""
    if p.splits > 1:
        step, column = "step + depth", p.first_column
    else:
        step = "step + depth < end ? step + depth : 0"
        is_alone = planned(p.spec.m) <= p.block_rows
        column = f"next == 0 ? {plus(p.first_column, p.block_columns)} : {p.first_column}" if is_alone else p.first_column
    return (
        f"const int64_t next = {step}, next_column = {column};",
        f"const int64_t next_depth = {smaller(minus(p.depth, 'next'), p.block_depth)};",
        f"const int64_t next_columns = {smaller(minus(p.columns, 'next_column'), p.block_columns)};",
    )


def _next_right(p: MatMulPlan, line: int) -> Part:
    place = f"{p.right} + {p.right_place('next', 'next_column')}"
    if p.transpose_b:
        return Part(place, p.depth, "next_columns", plus("next_depth", line - 1))
    return Part(place, p.columns, "next_depth", plus("next_columns", line - 1))


def _next_left(p: MatMulPlan, line: int) -> Part:
    """Only within the chunk: there the rows are the same."""
    place = f"{p.left} + {p.left_place('next')}"
    if p.transpose_a:
        return Part(place, p.rows, "next > 0 ? next_depth : 0", plus(p.rows_here, line - 1))
    return Part(place, p.depth, f"next > 0 ? {p.rows_here} : 0", plus("next_depth", line - 1))


def _met(p: MatMulPlan, epilogue: Epilogue, element: Element) -> list[str]:
    """The pointers that the epilogue loads from, each at the place of its sum, if that is too much for the caches.

    Variables and their slots in an optimizer's update come in pieces of rows, whose next one no processor foresees:
    15488 x 128 x 500 with Adam takes 10.8 ms in one thread, and 12.9 if each tile's are fetched at once before it.
    """
    if p.swapped or isinstance(p.spec.n, Batch):
        return []
    place = re.escape(plus(times("row", p.columns), "column"))
    found = list(dict.fromkeys(re.findall(rf"\b(\w+)\[{place}\]", "\n".join(epilogue.lines))))
    return found if planned(p.spec.m) * p.spec.n * element.bytes * len(found) >= FETCHED_BYTES else []
