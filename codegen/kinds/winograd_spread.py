"""The gradient before a max pooling, spread from the pooled one inside the squares of Winograd's method."""

from __future__ import annotations

from dataclasses import dataclass

from ..c_text import plus, times
from ..emitted import Shared
from ..render import render
from ..tiles import Element
from .pool import PoolSpec, overlaps
from .winograd_transforms import Form, sum_texts, transform


@dataclass(frozen=True)
class SquareSpread:
    """Squares of `side` x `side` pixels of dy, one every `step`; the first begins `before` pixels above and left of dy.

    `pool` has the sizes of the forward pooling. As its strides divide `step`, all squares lie alike over its windows.
    """

    pool: PoolSpec
    step: int
    side: int
    before: tuple[int, int]

    @property
    def starts(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Of the first square along each axis: the window that its first pixel belongs to, and which pixel of it."""
        down, across = self.before
        p = self.pool
        return divmod(p.pad_top - down, p.stride_h), divmod(p.pad_left - across, p.stride_w)

    windows_down = property(lambda self: -(-(self.starts[0][1] + self.side) // self.pool.stride_h))
    windows_across = property(lambda self: -(-(self.starts[1][1] + self.side) // self.pool.stride_w))
    windows_before_here = property(lambda self: self._windows_before("here"))  # down and across
    windows_before_later = property(lambda self: self._windows_before("later"))
    tap_row = property(lambda self: plus(times("a", self.pool.stride_h), "i", -self.starts[0][1]))
    tap_column = property(lambda self: plus(times("b", self.pool.stride_w), "j", -self.starts[1][1]))
    tap_number = property(lambda self: plus(times("i", self.pool.window_w), "j"))
    leaves_gaps = property(lambda self: self.pool.window_h < self.pool.stride_h or self.pool.window_w < self.pool.stride_w)

    new_across = property(lambda self: self.windows_across - self.step // self.pool.stride_w)  # not of the square before

    def _windows_before(self, square: str) -> tuple[str, str]:
        """How many windows lie between the first of the first square and the first of this one."""
        p = self.pool
        return times(f"{square}.down", self.step // p.stride_h), times(f"{square}.across", self.step // p.stride_w)

    @property
    def fields(self) -> str:
        """The initialiser of the C type `tg_windows`."""
        (down, _), (across, _) = self.starts
        return f"{{{self.pool.out_h}, {self.pool.out_w}, {self.pool.channels}, {down}, {across}}}"

    @property
    def text(self) -> str:
        """What tells its functions from those of others: not the sizes of pictures, so that layers share a function."""
        p = self.pool
        (_, row), (_, column) = self.starts
        return f"{p.window_h}x{p.window_w}_{p.stride_h}x{p.stride_w}_from_{row}x{column}"


def takes(pool: PoolSpec, form: Form, element: Element) -> bool:
    """Squares of the gradient before this pooling can be made from the one behind it."""
    divides = form.divides(pool.stride_h, pool.stride_w)
    return divides and not overlaps(pool) and pool.channels % element.lanes == 0


def spread_function(element: Element, role: str, form: Form, spread: SquareSpread) -> tuple[Shared, ...]:
    """The C of the map of "input" or "gradient" on such squares, last, after its types."""
    t = transform(role, form)
    lanes, integer = element.lanes, f"int{8 * element.bytes}_t"
    types = {"bytes": ("int8_t", 1), "places": (integer, element.bytes)}
    names = {role: f"tg_{role}{lanes}" for role in types} | {"places": f"tg_places_{element.letters}x{lanes}"}
    name = f"tg_winograd_{t.name}_at_{element.vector.removeprefix('tg_')}_{spread.text}"
    source = render(
        "c/winograd_spread.c.j2", name=name, t=t, k=spread, vector=element.vector, lanes=lanes, integer=integer,
        alignment=element.target.vector_bytes, c_type=element.c_type, **names, **sum_texts(t, element),
    )  # fmt: skip
    windows = Shared("tg_windows", render("c/winograd_windows.h.j2"))
    return windows, *(_vector(names[role], *types[role], lanes) for role in types), Shared(name, source)


def _vector(name: str, c_type: str, size: int, lanes: int) -> Shared:
    source = render("c/vector.h.j2", vector=name, c_type=c_type, lanes=lanes, vector_bytes=lanes * size, element_bytes=size)
    return Shared(name, source)
