"""The two sides of a product on a GPU: where each thread finds the numbers that it brings to shared memory.

An operand is `size` long across (rows of the left side, columns of the right one) and `p.depth` deep. A thread copies
`items` vectors in each step. The texts know: `thread`, `step` (the step's first depth), `stage` (the part of the shared
memory that the step has), `end` (of this block's share), `i` (which item), and declare `inside` and the place of an item. In
shared memory a tile runs in the direction in which memory runs: vectors are copied whole, consecutive threads follow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..c_text import plus, quotient, remainder, times
from .tiles import Tile

VECTOR = 4  # floats of one copy, 16 bytes
ITEM_BYTES = {"float": 4, "double": 8, "int32_t": 4, "int64_t": 8}


@dataclass(frozen=True)
class Operand:
    """What all operands have: `side` is left or right, `pointer` the C name of its memory."""

    side: str
    pointer: str
    c_type: str
    tile: Tile
    precision: str

    @property
    def extent(self) -> int:
        """Elements across that a block loads."""
        return self.tile.rows if self.side == "left" else self.tile.columns

    @property
    def first(self) -> str:
        return "first_row" if self.side == "left" else "first_column"

    @property
    def limit(self) -> str:
        return "rows" if self.side == "left" else "columns"

    # --- its tile in shared memory

    @property
    def tile_rows(self) -> int:
        return self.extent if self.runs_deep else self.tile.depth

    @property
    def pitch(self) -> int:
        """Elements of a row of the shared tile; the last ones, of no use, let threads that read columns find other banks."""
        if self.runs_deep:
            return self.tile.depth + (8 if self.precision == "bf16" else 4)
        return self.extent + (4 if self.precision == "float32" else 8)

    @property
    def step_elements(self) -> int:
        return self.tile_rows * self.pitch

    @property
    def declaration(self) -> str:
        """Its name and the type of its tiles, as pointer to the first."""
        return f"(*const {self.side})[{self.tile_rows}][{self.pitch}]"

    @property
    def cast(self) -> str:
        return f"({self.c_type} (*)[{self.tile_rows}][{self.pitch}])"

    def at(self, across: str, deep: str) -> str:
        """An element of the tile of this `stage`."""
        first, second = (across, deep) if self.runs_deep else (deep, across)
        return f"{self.side}[stage][{first}][{second}]"

    @property
    def strides(self) -> str:
        """Elements from one depth of a tile to the next, and from one element across to the next."""
        return f"1, {self.pitch}" if self.runs_deep else f"{self.pitch}, 1"

    # what a kind of operand says: along which direction its memory runs, and how many elements at a time are together

    @property
    def runs_deep(self) -> bool:
        raise NotImplementedError

    @property
    def together(self) -> bool:
        """Every aligned group of VECTOR elements along that direction lies in one piece, at an aligned address."""
        raise NotImplementedError

    @property
    def width(self) -> int:
        return VECTOR if self.together and self.c_type == "float" else 1

    @property
    def bytes(self) -> int:
        """Of one copy."""
        return self.width * ITEM_BYTES[self.c_type]

    @property
    def vectors(self) -> int:
        return self.extent * self.tile.depth // self.width

    @property
    def items(self) -> int:
        return max(1, self.vectors // self.tile.threads)

    @property
    def guard(self) -> str:
        """True for the threads that have something to load, if not all have."""
        return f"thread < {self.vectors}" if self.vectors < self.tile.threads else ""

    @property
    def across(self) -> str:
        """The element of the tile across, of item i."""
        if self.runs_deep:
            steps = self.tile.depth // self.width
            moved = times("i", self.tile.threads // steps) if self.items > 1 else 0
            return plus(quotient("thread", steps), moved)
        return times(remainder("thread", self.extent // self.width), self.width)

    @property
    def deep(self) -> str:
        """The step's depth of item i."""
        if self.runs_deep:
            return times(remainder("thread", self.tile.depth // self.width), self.width)
        vectors = self.extent // self.width
        return plus(quotient("thread", vectors), times("i", self.tile.threads // vectors) if self.items > 1 else 0)

    @property
    def copy(self) -> str:
        """The call that copies item i, zeros if it is not `inside`."""
        source = f"inside ? {self.source} + {self.place} : {self.source}"
        return f"tg_copy<{self.bytes}>(&{self.at(self.across, self.deep)}, {source}, inside);"

    @property
    def place(self) -> str:
        """Where item i lies in `source`."""
        raise NotImplementedError

    @property
    def source(self) -> str:
        return self.pointer

    # texts, none unless a kind needs them

    @property
    def setup_lines(self) -> tuple[str, ...]:
        """Declarations before the first step."""
        return ()

    @property
    def setup_item_lines(self) -> tuple[str, ...]:
        """The same for each item."""
        return ()

    @property
    def step_lines(self) -> tuple[str, ...]:
        """Declarations at the beginning of a step."""
        return ()


@dataclass(frozen=True)
class MatrixOperand(Operand):
    """A matrix in memory, `deep_rows`: one row per element across, the depth along the row; else one row per depth."""

    deep_rows: bool = True
    size: Any = 0  # across, a C expression or number
    depth: Any = 0
    aligned: bool = True
    several: str = ""  # which product of many this is, a C name

    @property
    def runs_deep(self) -> bool:
        return self.deep_rows

    @property
    def memory_pitch(self) -> Any:
        return self.depth if self.deep_rows else self.size

    @property
    def together(self) -> bool:
        # a row that grows with N has no alignment; several products lie one behind the other
        return self.aligned and isinstance(self.memory_pitch, int) and self.memory_pitch % VECTOR == 0

    @property
    def source(self) -> str:
        return f"{self.side}_matrix" if self.several else self.pointer

    @property
    def setup_lines(self) -> tuple[str, ...]:
        if not self.several:
            return ()
        place = times(f"(int64_t){self.several}", *(_factor(d) for d in (self.size, self.depth)))
        return (f"const {self.c_type} *const {self.source} = {self.pointer} + {place};",)

    @property
    def item_lines(self) -> tuple[str, ...]:
        return (
            f"const int across = {plus(self.first, self.across)}, deep = {plus('step', self.deep)};",
            f"const bool inside = across < {self.limit} && deep < end;",
        )

    @property
    def place(self) -> str:
        long, short = ("across", "deep") if self.deep_rows else ("deep", "across")
        return plus(times(f"(int64_t){long}", _factor(self.memory_pitch)), short)


def _factor(dim: Any) -> Any:
    return dim if isinstance(dim, int) or str(dim).isidentifier() else f"({dim})"
