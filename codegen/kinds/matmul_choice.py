"""How a matrix product is computed: its tile, blocks and shares of k, from its sizes.

Three ways, chosen from the sizes:

- A block of rows and columns is covered by tiles of sums in registers. Panels of b are packed where many rows use them.
- At most `FEW_ROWS` rows (or columns, of the transposed product): the other operand streams past once, unpacked.
- Where the number of rows is the batch size, blocks with fewer rows than a tile go the second way at run time.

Columns that do not fill a vector cost as much as those that do. Where that is a tenth of the work, the last ones are
computed as rows of the transposed product, whose vectors go along a's rows if these lie side by side, else along k. Where
too many are left over for that and k is long, the product is transposed as a whole.

Where outputs are few and k is long, k is cut in shares that are summed apart and added in a fixed order. Nothing here
depends on the number of threads.

A thread begins with its share of the blocks (see `templates/c/pool_crew.h.j2`). It is a share of the larger operand's: of
the columns of a layer's weights in the product with a batch, and of the same columns in the gradient that changes them. So
weights stay in one thread's caches: a step of mlp takes 0.33 ms instead of 0.35, and 0.51 instead of 0.58 where two
processors have no cache in common.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...shapes import Batch
from ..target import L2_BYTES_PER_CYCLE, Target, Tile, nominal, step_cycles, tile_cycles, tiles_that_fit
from ..tiles import Element
from .matmul_plan import ROWS_WORTH_PACKING, MatMulPlan, MatMulSpec, divides

# blocks; a longer m, n or k is cut in equal parts, as few as these sizes allow
MOST_ROWS = 192
MOST_COLUMN_BYTES = 1280
MOST_DEPTH_BYTES = 1280
WHOLE_ROW_BYTES = 2048  # of a large gradient: 15488 x 128 x 500 with Adam takes 5.6 ms in whole rows, 6.1 in halves
VARYING_DEPTH_BYTES = 1024  # where k is a multiple of the batch size
GROUP_ROWS = 32
MOST_TILE_ROWS = 16  # taller ones win nothing and take long to compile
LAST_ROWS = 4
PAGE_BYTES = 4096

# memory that is fetched while sums are made (see matmul_later)
FETCHING_VECTOR_BYTES = 32  # of 16 bytes, 15488 x 128 x 500 with Adam takes 31 ms, and 38 with fetches
FETCHED_BYTES = 8 << 20  # that an epilogue reads; 784 x 100 x 256 with Adam, 2.4 MB, takes 8 % longer with fetches
STREAMED_BYTES = 4 << 20  # of a right operand
STREAMED_ROWS = 384  # of a block, for which one of b is packed: 256 x 3136 x 1024 takes 3.8 ms instead of 4.0
STREAMED_COLUMN_BYTES = 1024  # of a block: the next one has to fit in the second-level cache too
STREAMED_DEPTH_BYTES = 512  # 128 x 15488 x 500 takes 4.9 ms, and 5.2 in blocks twice as deep
STREAMED_DEPTH_STEP = 64  # steps in which a tile fetches whole columns of lines

# few rows
FEW_ROWS = 4
FEW_DEPTH_BYTES = 4096  # of each row that is multiplied at a time
FEW_COLUMN_BYTES = 4096
FEWEST_STREAM_BYTES = 1024  # of a row that is added up: shorter pieces of rows come slowly from memory
WORTH_STREAMING = 512 * 1024  # bytes of the right operand, which then does not stay in the second-level cache

# columns that do not fill a vector
WASTE = 1.08  # columns of whole vectors for each that there is, from which on something is done about it
LONG_DEPTH = 2048  # of a product whose results may be stored column by column: 3 cycles each, beside k / 32
MULTIPLIED_DEPTH = 256  # from which on the last columns may be multiplied along k; 128 x 128 x 100 wins nothing by it
MULTIPLIED_BLOCK_BYTES = 256 * 1024  # of b, with its last columns multiplied: few blocks, as each adds up lanes of vectors

# chunks; a smaller one costs more to hand out than it saves
WANTED_CHUNKS = 8
CHUNK_OPERATIONS = 300_000  # two threads take 3.5 us for 100 x 256 x 10, one takes 5.4
MANY_CHUNKS = 64  # threads share so many evenly
NEARLY = 1.2  # times the cycles of the best tile
SMALL_GRADIENT = 1024 * 1024  # bytes; of 3136 x 1024, memory gives whole rows 5 % faster to Adam
FEW_CHUNK_OPERATIONS = 250_000  # these wait for memory


def planned(dim: Any) -> int:
    """A dimension as planning sees it: at least 1."""
    return max(1, nominal(dim))


def _is_few(dim: Any) -> bool:
    return not isinstance(dim, Batch) and dim <= FEW_ROWS


def _waste(dim: Any, element: Element) -> float:
    """The elements of the vectors that hold a row, for each element of the row."""
    size = planned(dim)
    return element.vectors(size) * element.lanes / size


def _is_better_transposed(spec: MatMulSpec, element: Element) -> bool:
    """The columns waste vectors and the rows do not: 128 x 9216 x 20 takes 170 us in two threads instead of 215."""
    if isinstance(spec.n, Batch) or isinstance(spec.k, Batch) or spec.transpose_b or spec.n <= FEW_ROWS:
        return False
    if _rest_columns(spec, element):
        return False
    is_long = spec.k >= LONG_DEPTH and planned(spec.m) >= 2 * element.lanes
    return is_long and _waste(spec.n, element) >= WASTE * _waste(spec.m, element)


def _canonical(spec: MatMulSpec, element: Element) -> tuple[MatMulSpec, bool]:
    """The product with few rows rather than few columns, a vector as a contiguous row; and whether it is transposed."""
    swapped = (_is_few(spec.n) and (isinstance(spec.m, Batch) or spec.m > spec.n)) or _is_better_transposed(spec, element)
    if swapped:
        spec = replace(
            spec, m=spec.n, n=spec.m, transpose_a=not spec.transpose_b, transpose_b=not spec.transpose_a
        )  # fmt: skip
    if not isinstance(spec.m, Batch) and spec.m == 1:
        spec = replace(spec, transpose_a=False)
    if not isinstance(spec.n, Batch) and spec.n == 1:
        spec = replace(spec, transpose_b=True)
    return spec, swapped


@functools.cache
def plan(spec: MatMulSpec, target: Target) -> MatMulPlan:
    """Tile, blocks and shares for a product."""
    element = Element(spec.dtype, target)
    spec, swapped = _canonical(spec, element)
    is_few = _is_few(spec.m) and (spec.m <= 1 or spec.transpose_b)
    return _plan_few(spec, swapped, element) if is_few else _plan_tiles(spec, swapped, element)


def _plan_few(spec: MatMulSpec, swapped: bool, element: Element) -> MatMulPlan:
    """Pieces of the right operand that are streams of memory, enough of them for several threads."""
    m, n, k, batch = (planned(d) for d in (spec.m, spec.n, spec.k, spec.batch))
    least_columns = element.lanes if spec.transpose_b else FEWEST_STREAM_BYTES // element.bytes
    columns = min(FEW_COLUMN_BYTES // element.bytes, element.lanes * element.vectors(n))
    wanted = max(1, min(WANTED_CHUNKS, 2 * m * n * k * batch // FEW_CHUNK_OPERATIONS))
    while math.ceil(n / columns) * batch < wanted and columns // 2 >= least_columns:
        columns = element.lanes * math.ceil(columns / 2 / element.lanes)
    depth = FEW_DEPTH_BYTES // element.bytes
    splits = max(1, min(2 * k // depth, math.ceil(wanted / (math.ceil(n / columns) * batch))))
    return MatMulPlan(
        spec, swapped, None, width=columns, narrow=0, pitch=columns, group_rows=m, block_rows=m,
        block_columns=columns, block_depth=depth, splits=splits, copies_left=False, packing="",
        few_depth=depth,
    )  # fmt: skip


def _plan_tiles(spec: MatMulSpec, swapped: bool, element: Element) -> MatMulPlan:
    """Blocks of tiles; the operands of one stay in the second-level cache."""
    m, n, k = planned(spec.m), planned(spec.n), planned(spec.k)
    depth = _block_depth(spec, k, element)
    rest = _rest_columns(spec, element)
    tile, blocks = _choose_tile(spec, element, depth, rest)
    width = tile.vectors * element.lanes
    narrow = 0 if isinstance(spec.n, Batch) else element.vectors(n - rest) % tile.vectors * element.lanes
    multiplies_rest = _multiplies_rest(spec, element)
    if multiplies_rest:
        depth = _part(math.ceil(k / blocks.splits), MULTIPLIED_BLOCK_BYTES // (n * element.bytes), 1)
    elif blocks.splits > 1:
        depth = _block_depth(spec, math.ceil(k / blocks.splits), element)
    pitch_bytes = (m if spec.transpose_a else k) * element.bytes
    varying_pitch = isinstance(spec.k, Batch) and not spec.transpose_a
    # rows of a, which the tiles before have fetched, are not copied: 128 x 15488 x 500 takes 4.7 ms instead of 4.9
    is_fetched = _streams(spec, element) and not spec.transpose_a
    gathers = spec.transpose_a and spec.transpose_b  # few rows that are not contiguous, as multiplying needs them
    is_worth_streaming = n * k * element.bytes >= WORTH_STREAMING and tile.rows > 1 and not gathers
    return MatMulPlan(
        spec, swapped, tile, width, narrow,
        pitch=int(spec.n) if rest and not multiplies_rest else blocks.columns,
        group_rows=min(tile.rows * max(1, GROUP_ROWS // tile.rows), blocks.rows),
        block_rows=blocks.rows, block_columns=blocks.columns, block_depth=depth, splits=blocks.splits,
        copies_left=varying_pitch or (
            tile.rows > 1 and pitch_bytes >= PAGE_BYTES and not is_fetched and not multiplies_rest
        ),
        packing=_packing(spec, element, width, rest),
        few_depth=FEW_DEPTH_BYTES // element.bytes,
        last_tile=None if divides(tile.rows, spec.m) else Tile(min(LAST_ROWS, tile.rows), tile.vectors),
        may_have_few_rows=isinstance(spec.m, Batch) and is_worth_streaming,
        may_have_few_columns=swapped and isinstance(spec.n, Batch) and spec.transpose_a and m > FEW_ROWS,
        rest=rest,
        rest_tile=_rest_tile(spec, element, rest, blocks.rows),
        streams=_streams(spec, element),
        columns_outermost=_has_columns_outermost(spec, element),
    )  # fmt: skip


def _has_columns_outermost(spec: MatMulSpec, element: Element) -> bool:
    """Blocks of the same columns follow each other, so that a thread has a share of the larger operand."""
    m, n = planned(spec.m), planned(spec.n)
    return m * n * element.bytes <= SMALL_GRADIENT if isinstance(spec.k, Batch) else m <= n


def _rest_columns(spec: MatMulSpec, element: Element) -> int:
    """How many of the last columns are computed as rows of the transposed product.

    Its vectors go along a's rows if these lie side by side, else along k. In two threads 128 x 784 x 100 takes 53 us instead
    of 57, and 128 x 9216 x 100 takes 535 instead of 582 transposed as a whole, which is better for fewer than two vectors.
    """
    if spec.transpose_b or isinstance(spec.n, Batch):
        return 0
    least = element.lanes
    if spec.transpose_a:
        is_suited = not isinstance(spec.m, Batch) and spec.m % element.lanes == 0
    else:
        is_suited = not isinstance(spec.k, Batch) and spec.k >= MULTIPLIED_DEPTH and planned(spec.m) > FEW_ROWS
        least *= 2 if is_suited and spec.k >= LONG_DEPTH else 1
    rest = spec.n % element.lanes
    fits = is_suited and least < spec.n <= MOST_COLUMN_BYTES // element.bytes
    return rest if fits and rest <= element.lanes // 2 and _waste(spec.n, element) >= WASTE else 0


def _multiplies_rest(spec: MatMulSpec, element: Element) -> bool:
    """The vectors of the last columns go along k."""
    return not spec.transpose_a and _rest_columns(spec, element) > 0


def _rest_tile(spec: MatMulSpec, element: Element, rest: int, rows: int) -> Tile | None:
    """The tile of the last columns: a's rows are its columns, which must come out even."""
    if not rest or not spec.transpose_a:
        return None
    fitting = tiles_that_fit(element.target, rest, rows // element.lanes)
    even = [t.vectors for t in fitting if t.rows == rest and math.gcd(spec.m, rows) % (t.vectors * element.lanes) == 0]
    return Tile(rest, max(even))


def _packing(spec: MatMulSpec, element: Element, width: int, rest: int) -> str:
    """Which panels are packed: "all", all in blocks of "many rows", "incomplete" ones (of necessity) or "" for none.

    Where rows of b are close together, tiles read them as fast as packed ones. A page apart, they share cache sets.
    """
    if spec.transpose_b:
        return "all"
    if isinstance(spec.n, Batch) or spec.n * element.bytes >= PAGE_BYTES:
        if isinstance(spec.m, Batch):
            return "many rows"
        if spec.m > ROWS_WORTH_PACKING:
            return "all"
    return "" if rest or divides(width, spec.n) else "incomplete"


def _part(size: int, most: int, step: int) -> int:
    """The length of equal parts of `size`, a multiple of `step` and about `most` at most."""
    return step * math.ceil(size / math.ceil(size / most) / step)


def _block_depth(spec: MatMulSpec, k: int, element: Element) -> int:
    """The length of equal parts of k; where k varies, the first ones have the full length."""
    if isinstance(spec.k, Batch):
        return VARYING_DEPTH_BYTES // element.bytes
    if _streams(spec, element):
        return min(k, _part(k, STREAMED_DEPTH_BYTES // element.bytes, STREAMED_DEPTH_STEP))
    return _part(k, MOST_DEPTH_BYTES // element.bytes, 1)


def _streams(spec: MatMulSpec, element: Element) -> bool:
    """True if the right operand is too much for the caches: its next block is fetched while sums are made.

    In two threads 128 x 15488 x 500 takes 4.9 ms instead of 5.6, and 128 x 500 x 15488 with b transposed 4.9 instead of 5.7.
    Of 4.7 MB, 128 x 9216 x 100 takes 0.58 ms instead of 0.56, but 0.68 instead of 0.87 if other work was in the caches.
    """
    if isinstance(spec.k, Batch) or element.target.vector_bytes < FETCHING_VECTOR_BYTES:
        return False
    return planned(spec.n) * spec.k * element.bytes >= STREAMED_BYTES


@dataclass(frozen=True)
class Blocks:
    """The chunks of a product: shares of k, rows and columns of a block."""

    splits: int
    rows: int
    columns: int


def _choose_tile(spec: MatMulSpec, element: Element, depth: int, rest: int) -> tuple[Tile, Blocks]:
    """The tile that covers the output in the fewest cycles, with a narrower one for the last columns, and its blocks.

    Tiles that take nearly as long may give blocks that threads can share more evenly.
    """
    target, m, vectors = element.target, planned(spec.m), element.vectors(planned(spec.n) - rest)
    lies_across_lines = isinstance(spec.n, Batch) or spec.n * element.bytes % target.vector_bytes != 0
    steps = min(planned(spec.k), depth)

    def one_tile(tile: Tile) -> float:
        lines = tile.vectors + lies_across_lines
        least = lines * target.vector_bytes / L2_BYTES_PER_CYCLE
        return tile_cycles(target, tile, steps) + steps * max(0, least - step_cycles(target, tile))

    def cycles(tile: Tile) -> float:
        panels, last = divmod(vectors, tile.vectors)
        if isinstance(spec.n, Batch) and last:  # that panel is computed whole
            panels, last = panels + 1, 0
        row_of_tiles = panels * one_tile(tile) + (one_tile(Tile(tile.rows, last)) if last else 0)
        last_rows = math.ceil(m % tile.rows / LAST_ROWS) * LAST_ROWS
        return row_of_tiles * (m // tile.rows + 1.2 * last_rows / tile.rows)

    found = {tile: cycles(tile) for tile in tiles_that_fit(target, min(m, MOST_TILE_ROWS), vectors)}
    near = [tile for tile in found if found[tile] <= NEARLY * min(found.values())]
    blocks = {tile: _spread(spec, element, tile, depth, rest) for tile in near}
    tile = min(near, key=lambda tile: (found[tile] * _idle(spec, element, blocks[tile]), -tile.rows))
    return tile, blocks[tile]


def _spread(spec: MatMulSpec, element: Element, tile: Tile, depth: int, rest: int) -> Blocks:
    """Blocks that are not too large, and enough of them for several threads if the product is large."""
    m, n, k, batch = (planned(d) for d in (spec.m, spec.n, spec.k, spec.batch))
    width = tile.vectors * element.lanes
    tile_rows = math.lcm(tile.rows, element.lanes) if rest and spec.transpose_a else tile.rows
    streams = _streams(spec, element)
    rows = _part(m, STREAMED_ROWS if streams else MOST_ROWS, tile_rows)
    most_columns = STREAMED_COLUMN_BYTES if streams else MOST_COLUMN_BYTES
    if isinstance(spec.k, Batch) and m * n * element.bytes >= FETCHED_BYTES and n * element.bytes <= WHOLE_ROW_BYTES:
        most_columns = WHOLE_ROW_BYTES
    columns = _part(n, most_columns // element.bytes, width)
    wanted = max(1, min(WANTED_CHUNKS, 2 * m * n * k * batch // CHUNK_OPERATIONS))

    def chunks(splits: int) -> int:
        return math.ceil(m / rows) * math.ceil(n / columns) * batch * splits

    splits = 1
    if chunks(1) < wanted:
        # a share's sums must stay small beside the operands that it reads
        most = max(1, min(k // (2 * depth), k // (2 * n)))
        splits = min(most, math.ceil(wanted / chunks(1)))
    # every block of rows packs its columns of a transposed operand again
    least_columns = width if spec.transpose_b else max(width, 64)
    while chunks(splits) < wanted and columns // 2 >= least_columns and not rest:
        columns = width * math.ceil(columns // 2 / width)
    while chunks(splits) < wanted and rows // 2 >= 2 * tile_rows:
        rows = tile_rows * math.ceil(rows // 2 / tile_rows)
    return Blocks(splits, rows, columns)


def _idle(spec: MatMulSpec, element: Element, blocks: Blocks) -> float:
    """How much longer two or four threads take (on average) than if the work could be shared evenly."""
    m, n, batch = (planned(d) for d in (spec.m, spec.n, spec.batch))
    rows = [min(blocks.rows, m - first) for first in range(0, m, blocks.rows)]
    columns = [min(blocks.columns, n - first) for first in range(0, n, blocks.columns)]
    if len(rows) * len(columns) * blocks.splits * batch > MANY_CHUNKS:
        return 1.0
    outer, inner = (columns, rows) if _has_columns_outermost(spec, element) else (rows, columns)
    chunks = [x * y for x in outer for y in inner for _ in range(blocks.splits)] * batch
    return sum(_busiest(chunks, threads) * threads / sum(chunks) for threads in (2, 4)) / 2


def _busiest(chunks: Sequence[int], threads: int) -> int:
    """When the last thread is done: each takes its own share of the chunks, then what the others have left of theirs."""
    left = [list(chunks[len(chunks) * i // threads : len(chunks) * (i + 1) // threads]) for i in range(threads)]
    busy = [0] * threads
    while any(left):
        own = busy.index(min(busy))
        share = next(left[(own + i) % threads] for i in range(threads) if left[(own + i) % threads])
        busy[own] += share.pop(0)
    return max(busy)
