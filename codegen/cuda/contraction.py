"""What products of matrices and convolutions have in common on a GPU: the plan of a kernel, and its text.

A kernel's rows, columns and depth are those of a product; `operands` say what they mean. Shapes are C expressions in N.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...shapes import Batch
from ..c_text import ceil_quotient, plus, quotient, remainder, times
from ..emitted import PROLOGUE, Epilogue, Scratch, Shared, used_lines
from ..render import render, squeeze, words_of
from .launches import CudaLaunch
from .operands import ITEM_BYTES, VECTOR, Operand
from .text import kernel_text
from .tiles import MOST_STAGES, SHARED_BYTES, Choice, Tile

PRECISIONS = ("float32", "tf32", "bf16")
TENSOR_DEPTH = {"tf32": 8, "bf16": 16}  # of one product of the tensor cores
TOTAL_THREADS = 256
MOST_ACROSS = 65535  # blocks along y
TEMPLATES = tuple(
    f"cuda/{name}.j2"
    for name in (
        "contraction.cu multiply.cu contraction_total.cu mma.cuh copy.cuh thin.cu thin_patch.cu thin_filter.cu thin_total.cu"
    ).split()
)

# what the texts that Python makes for these templates declare
OWN_NAMES = frozenset(
    (
        "a b x w y dy dx dw scratch acc row column rows columns depth begin end step share product first_row first_column "
        "across deep deep_right inside pixel picture top leftmost down over channel in_row in_column tap filter_place lane "
        "warp_row warp_column thread_row thread_column row_tiles column_tiles total left_matrix right_matrix left right "
        "stage column_total"
    ).split()
)


def reserved_names() -> frozenset[str]:
    """What no pointer or result named by the user may be called in these kernels."""
    return OWN_NAMES | words_of(*TEMPLATES)


@dataclass(frozen=True)
class CudaEmitted:
    """A kernel as CUDA C++: `source` after every item of `shared`, run by `launches` in order."""

    source: str
    launches: tuple[CudaLaunch, ...]
    scratch: Scratch
    shared: tuple[Shared, ...] = ()
    method: str = ""


@dataclass(frozen=True)
class ContractionPlan:
    """One kernel: `rows` x `columns` sums of `depth` products, for each of `products`."""

    name: str
    c_type: str
    choice: Choice
    left: Operand
    right: Operand
    rows: Any  # int or C expression
    columns: Any
    depth: Any
    products: Any = 1
    precision: str = "float32"
    output_rows: Any = 0  # of the whole output
    output_row: str = "r"  # the row of the output that row r of the product is, a C expression
    sums_columns: bool = False  # of the right operand, which runs across, too: one more row of shares

    @property
    def tile(self) -> Tile:
        return self.choice.tile

    @property
    def splits(self) -> int:
        return self.choice.splits

    # --- shared memory

    @property
    def memory(self) -> int:
        """Elements: the tiles of all stages, and after them the sums."""
        return max(self.stages * self.step_elements, self.sums_pitch)

    @property
    def step_elements(self) -> int:
        return self.left.step_elements + self.right.step_elements

    @property
    def right_begin(self) -> int:
        """Where the right operand's tiles begin, behind the left one's."""
        return self.stages * self.left.step_elements

    @property
    def ahead(self) -> int:
        """How much deeper the step is that is fetched during another."""
        return (self.stages - 1) * self.tile.depth

    @property
    def stages(self) -> int:
        """Steps whose tiles are in shared memory or on the way there."""
        return max(2, min(MOST_STAGES, SHARED_BYTES // (self.step_elements * ITEM_BYTES[self.c_type])))

    @property
    def sums_pitch(self) -> int:
        return self.tile.columns + 4

    @cached_property
    def slice(self) -> int:
        """Rows of the sums that the memory takes at once."""
        rows = self.tile.rows
        while rows > 1 and rows * self.sums_pitch > self.memory:
            rows //= 2
        return rows

    @property
    def slice_elements(self) -> int:
        return self.slice * self.tile.columns

    # --- shares of the sums

    @property
    def share_rows(self) -> str:
        return plus(self.output_rows, 1) if self.sums_columns else plus(self.output_rows)

    @property
    def shares_of_total(self) -> str:
        """How many sums there are to add, in the second kernel."""
        return times(f"({self.share_rows})" if " " in self.share_rows else self.share_rows, "columns")

    @property
    def column_share(self) -> str:
        """Where the share of a sum of a column goes."""
        return plus(self.share, times(self.output_rows, self.columns), "column")

    @property
    def share(self) -> str:
        """Where a block's shares begin."""
        rows = f"({self.share_rows})" if " " in self.share_rows else self.share_rows
        return times(f"(int64_t)blockIdx.z * {rows}", self.columns)

    # --- a thread's share of a step

    row_chunk = property(lambda self: _chunk(self.left, self.tile.thread_rows))
    column_chunk = property(lambda self: _chunk(self.right, self.tile.thread_columns))

    @property
    def depth_chunk(self) -> int:
        """Depths that a thread reads at once, of operands whose tiles run deep."""
        return VECTOR if self.left.runs_deep or self.right.runs_deep else 1

    @property
    def row_step(self) -> int:
        """Rows from one sum of a thread to the next, by chunks: threads side by side read chunks side by side."""
        return self.tile.rows // self.tile.thread_rows

    @property
    def column_step(self) -> int:
        return self.tile.columns // self.tile.thread_columns

    @property
    def sum_row(self) -> str:
        """The row of the tile of a thread's sums [i]."""
        return plus("thread_row", _of_chunks("i", self.row_chunk, self.tile.thread_rows, self.row_step))

    @property
    def sum_column(self) -> str:
        """The column of the tile of a thread's sums [][j]."""
        return plus("thread_column", _of_chunks("j", self.column_chunk, self.tile.thread_columns, self.column_step))

    # --- a warp's share, of products by tensor cores

    @property
    def tensor_depth(self) -> int:
        return TENSOR_DEPTH[self.precision]

    @cached_property
    def warps(self) -> tuple[int, int]:
        """Warps down and across the tile: so that each has a part as square as can be, of whole 16 x 8 products."""
        count = self.tile.threads // 32
        shapes = [(down, count // down) for down in (1, 2, 4, 8) if count % down == 0]
        whole = [(d, a) for d, a in shapes if self.tile.rows % (16 * d) == 0 and self.tile.columns % (8 * a) == 0]
        return min(whole, key=lambda s: self.tile.rows // s[0] + self.tile.columns // s[1])

    @property
    def warp_rows(self) -> int:
        return self.tile.rows // self.warps[0]

    @property
    def warp_columns(self) -> int:
        return self.tile.columns // self.warps[1]

    row_products = property(lambda self: self.warp_rows // 16)
    column_products = property(lambda self: self.warp_columns // 8)

    @property
    def sum_lines(self) -> tuple[str, ...]:
        """The place of a thread's sums in the tile, and the sums."""
        tile = self.tile
        if self.precision == "float32":
            row, column = quotient("thread", tile.threads_across), remainder("thread", tile.threads_across)
            return (
                f"const int thread_row = {times(row, self.row_chunk)}, thread_column = {times(column, self.column_chunk)};",
                f"{self.c_type} total[{tile.thread_rows}][{tile.thread_columns}] = {{}};",
            )
        warp = quotient("thread", 32)
        row, column = quotient(warp, self.warps[1]), remainder(warp, self.warps[1])
        places = f"warp_row = {times(row, self.warp_rows)}, warp_column = {times(column, self.warp_columns)}"
        return (
            f"const int lane = thread % 32, {places};",
            f"float total[{self.row_products}][{self.column_products}][4] = {{}};",
        )

    # --- the grid

    @property
    def row_tiles(self) -> str:
        return ceil_quotient(self.rows, self.tile.rows)

    @property
    def column_tiles(self) -> str:
        return ceil_quotient(self.columns, self.tile.columns)

    @property
    def is_flat(self) -> bool:
        """The blocks are counted along x: along y there can be no more than MOST_ACROSS."""
        return self.products != 1 or not self.column_tiles.isdigit() or int(self.column_tiles) > MOST_ACROSS

    @property
    def block_lines(self) -> tuple[str, ...]:
        """Which part of the output, and of the depth, this block has."""
        tile = self.tile
        lines = [f"const int rows = {plus(self.rows)}, columns = {plus(self.columns)}, depth = {plus(self.depth)};"]
        row, column = "blockIdx.x", "blockIdx.y"
        if self.is_flat:
            lines += ["if (rows == 0 || columns == 0)", "    return;"]
            lines.append(f"const int row_tiles = {self.row_tiles}, column_tiles = {self.column_tiles};")
            row, column = "(blockIdx.x % row_tiles)", "(blockIdx.x / row_tiles % column_tiles)"
        if self.products != 1:
            lines.append("const int product = blockIdx.x / (row_tiles * column_tiles);")
            lines += [f"if (product >= {self.products})", "    return;"]
        lines.append(f"const int first_row = {times(row, tile.rows)}, first_column = {times(column, tile.columns)};")
        if self.splits == 1:
            lines.append("const int begin = 0, end = depth;")
        else:
            share = times(ceil_quotient("depth", self.splits * tile.depth), tile.depth)
            lines.append(f"const int share = {share}, begin = min((int)blockIdx.z * share, depth);")
            lines.append("const int end = min(begin + share, depth);")
        return tuple(lines)

    @property
    def launch(self) -> CudaLaunch:
        flat = times(self.row_tiles, self.column_tiles, self.products)
        grid = (flat, "1") if self.is_flat else (self.row_tiles, self.column_tiles)
        return CudaLaunch(self.name, (*grid, str(self.splits)), self.tile.threads)

    @property
    def method(self) -> str:
        tile = f"{self.tile.rows} x {self.tile.columns} tiles"
        kind = "" if self.precision == "float32" else f", {self.precision}"
        return tile + kind + (f", {self.splits} shares" if self.splits > 1 else "")


def _chunk(operand: Operand, size: int) -> int:
    """How many neighbours across are a thread's; where the tile runs deep, neighbouring threads have them instead."""
    return 1 if operand.runs_deep else min(VECTOR, size)


def _of_chunks(variable: str, chunk: int, size: int, step: int) -> str:
    """Where the sum with that number lies: in chunks, which are chunk * step apart."""
    if chunk == size:
        return variable
    return plus(times(quotient(variable, chunk), step * chunk), remainder(variable, chunk))


def text_of(dim: Any) -> Any:
    """A dimension for `c_text`: an int, or a C expression in N."""
    if isinstance(dim, Batch):
        return "N" if dim.per == 1 else f"N * {dim.per}"
    return int(dim)


def scratch_of(splits: int, sums: Any, item: int) -> Scratch:
    """The working memory for `splits` shares of `sums` sums (an int or Batch)."""
    if splits == 1:
        return Scratch()
    share = splits * item
    return Scratch(sums.per * share, 0) if isinstance(sums, Batch) else Scratch(0, int(sums) * share)


def write(
    plans: Sequence[ContractionPlan],
    name: str,
    lines: Sequence[str],
    epilogue: Epilogue,
    result: str,
    comment: str,
    scratch: Scratch,
) -> CudaEmitted:
    """The text of kernels that make one output together; all have the same number of shares, for which `scratch` is."""
    plan = plans[0]
    place = plus(times("row", plan.columns), "column")
    finish = tuple(map(kernel_text, epilogue.lines + epilogue.stores)) or (f"{result}[{place}] = acc;",)
    finish_beside = tuple(map(kernel_text, epilogue.beside.lines + epilogue.beside.stores)) if epilogue.beside else ()
    stores, beside = finish, finish_beside
    if plan.splits > 1:
        stores = (f"(({plan.c_type} *)scratch)[{plus(plan.share, place)}] = acc;",)
        beside = (f"(({plan.c_type} *)scratch)[{plan.column_share}] = acc;",)
    texts = [
        render("cuda/contraction.cu.j2", p=p, comment=comment if i == 0 else "", store_lines=stores, beside_lines=beside)
        for i, p in enumerate(plans)
    ]
    launches = [p.launch for p in plans]
    if plan.splits > 1:
        texts.append(
            render(
                "cuda/contraction_total.cu.j2", p=plan, name=name, store_lines=finish, beside_lines=finish_beside,
                threads=TOTAL_THREADS,
            )
        )  # fmt: skip
        rows = f"({plan.share_rows})" if " " in plan.share_rows else plan.share_rows
        blocks = ceil_quotient(times(rows, plan.columns), TOTAL_THREADS)
        launches.append(CudaLaunch(f"{name}_total", (blocks, "1", "1"), TOTAL_THREADS))
    declared = tuple(map(kernel_text, lines))
    source = squeeze("\n".join(with_prologue(text, declared) for text in texts))
    functions = copy_functions() + tensor_functions(plan.precision)
    return CudaEmitted(source, tuple(launches), scratch, functions, plan.method)


_IN_GRID = re.compile(r"\b(?:thread|block)Idx\.[xyz]\b|\b(?:grid|block)Dim\.[xyz]\b")


def with_prologue(text: str, lines: Sequence[str]) -> str:
    """The text of a kernel with those of the declarations that it needs in the place of its prologue line."""
    before, after = text.split(f"    {PROLOGUE}\n")
    needed = [f"    {part}\n" for line in used_lines(lines, _IN_GRID.sub("", after)) for part in line.split("\n")]
    return "".join([before, *needed, after])


def copy_functions() -> tuple[Shared, ...]:
    """The functions by which kernels fill shared memory."""
    return (Shared("tg_copy", render("cuda/copy.cuh.j2")),)


def tensor_functions(precision: str) -> tuple[Shared, ...]:
    """The functions that products by tensor cores call."""
    if precision == "float32":
        return ()
    depth = TENSOR_DEPTH[precision]
    text = render("cuda/mma.cuh.j2", precision=precision, depth=depth, half_depth=depth // 2)
    return (Shared(f"tg_{precision}_multiply", text),)
