"""Random numbers made inside the kernel that uses them: strips of a row at a time, next to the loop that takes them.

A strip is one block of `c/distributions.h.j2`, 16 counters, which the compiler turns into vectors. Where rows may begin
in the middle of a counter's numbers, a strip is shorter, so that it lies within one block wherever it begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...shapes import Batch, element_count
from ..index import access_of
from ..ir import Group, Node, Value
from ..passes.clusters import ROW_LIMIT
from ..scalar import Expr, c_type

_SUFFIX = {"float32": "f32", "float64": "f64"}
BLOCK = {"float32": 64, "float64": 32}  # numbers of 16 counters
PER_COUNTER = {"float32": 4, "float64": 2}
# a quarter less than a block: still whole vectors
SHORTENED = {"float32": 48, "float64": 24}
SHORTEST_ROW = 32  # below, more than half of a block's numbers would be thrown away


@dataclass(frozen=True)
class Draws:
    """The strips of a kernel's loops, for templates: `width` numbers each; the text takes `strip`, where one begins."""

    width: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Draw:
    """One random operation in a kernel."""

    value: Value
    name: str  # of the array that holds a strip
    key: str
    counter: int  # its place in the step's table

    @property
    def generator(self) -> str:
        return f"uniform_{_SUFFIX[self.value.dtype.base_dtype.name]}"

    def key_line(self) -> str:
        """What the kernel declares first."""
        return f"const tg_seeds {self.key} = {{s->random[{self.counter - 2}], s->random[{self.counter - 1}]}};"

    def block_line(self, to: str, counters: str) -> str:
        """The call that makes the block of numbers that many counters on."""
        return f"tg_{self.generator}_block({to}, {self.key}, s->random[{self.counter}] + {counters});"

    def lines(self, first: str) -> list[str]:
        """The strip that begins with the number at position `first` (a C expression)."""
        dtype = self.value.dtype.base_dtype.name
        place = f"(uint64_t)({first})" if " " in first else f"(uint64_t){first}"
        return [
            f"{c_type(self.value.dtype)} {self.name}[{BLOCK[dtype]}];",
            self.block_line(self.name, f"{place} / {PER_COUNTER[dtype]}"),
        ]


def row_lines(draw: Draw, columns: int) -> list[str]:
    """The numbers of row `i`, all at once: a row begins with the first number of a counter."""
    dtype = draw.value.dtype.base_dtype.name
    block, per = BLOCK[dtype], PER_COUNTER[dtype]
    return [
        f"{c_type(draw.value.dtype)} {draw.name}[{-(-columns // block) * block}];",
        f"for (int64_t j = 0; j < {columns}; j += {block})",
        draw.block_line(f"{draw.name} + j", f"(uint64_t)(i * {columns} + j) / {per}"),
    ]


def is_aligned(value: Value, row: Any) -> bool:
    """True if rows of that length begin with the first number of a counter."""
    per = PER_COUNTER[value.dtype.base_dtype.name]
    return row % per == 0 if isinstance(row, int) else row.per % per == 0


def strips(draws: Sequence[Draw], first: str, row: Any) -> Draws | None:
    """The strips of rows of `row` elements; `first` is the position of a strip's first element, in terms of `strip`."""
    if not draws:
        return None
    aligned = all(is_aligned(d.value, row) for d in draws)
    names = [d.value.dtype.base_dtype.name for d in draws]
    width = min((BLOCK if aligned else SHORTENED)[name] for name in names)
    return Draws(width, tuple(line for d in draws for line in d.lines(first)))


def element(draw: Draw, variable: str, first: str, row: Any) -> Expr:
    """The number at loop variable `variable` of a strip."""
    per = PER_COUNTER[draw.value.dtype.base_dtype.name]
    shift = "" if is_aligned(draw.value, row) else f" + ({first}) % {per}"
    return Expr(f"{draw.name}[{variable} - strip{shift}]", draw.value.dtype)


def row_obstacle(group: Group, node: Node) -> str | None:
    """A reason if the rows of a group's domain are too short to be drawn in strips."""
    row = group.domain[-1] if group.domain else 1
    if group.kind == "rows":
        columns = element_count([group.domain[a] for a in group.axes])
        if not is_aligned(node.outputs[0], columns):
            return f"rows of {columns} random numbers begin in the middle of a counter's"
        if columns > ROW_LIMIT:
            return f"rows of {columns} random numbers are too long for the stack"
        row = columns
    if isinstance(row, Batch) or row >= SHORTEST_ROW or (group.kind == "pointwise" and is_flat(group)):
        return None
    return f"rows of {row} random numbers are too short to make them in vectors"


def is_flat(group: Group) -> bool:
    """True if every operand of a pointwise group is a whole array of its domain, or one number: it is one loop then."""
    accesses = [access_of(v) for n in group.nodes if n not in group.drawn for v in n.data_inputs() if not v.dtype.is_ref]
    return all(element_count(a.dims) == 1 or (a.dims == group.domain and a.is_whole) for a in accesses)
