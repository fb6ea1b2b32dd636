"""Winograd's linear maps for squares of output pixels: F(4x4,3x3), F(2x2,3x3), F(6x6,2x2) and others.

A product of polynomials is computed at 4 to 8 points: evaluate both factors, multiply point by point, interpolate. A
correlation is its transpose (Lavin and Gray, 2015). Each map is given in one dimension and applied to columns, then rows.

The points are 0 (or not), infinity, and pairs of both signs, whose even and odd terms are computed once. The pairs are
those of short binary numbers with the least error in float32: for F(4x4,3x3) half the mean error, and a third of the
largest, of the usual 0, +-1, +-2 and infinity.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..emitted import Shared
from ..render import render
from ..tiles import Element, smaller_functions, vector_type

_PLACES = {1: ("near",), 2: ("near", "far"), 3: ("near", "middle", "far")}  # names of so many pairs


@dataclass(frozen=True)
class Points:
    """Where polynomials are evaluated: 0 if `zero`, at both signs of each of `pairs`, and at infinity.

    Without 0, the value of the input's map at -p is negated, so that the filters' scales are the same at p and -p.
    """

    zero: bool
    pairs: tuple[Fraction, ...]

    count = property(lambda self: self.zero + 2 * len(self.pairs) + 1)
    names = property(lambda self: _PLACES[len(self.pairs)])
    numbered = property(lambda self: tuple((i, 2 * i + self.zero) for i in range(len(self.pairs))))

    def scales(self, scaled: bool) -> tuple[Fraction, tuple[Fraction, ...]]:
        """What the values at 0 and at the pairs are multiplied by: 1, or what Lagrange's polynomials ask for."""
        if not scaled:
            return Fraction(1), (Fraction(1),) * len(self.pairs)
        squares = [p**2 for p in self.pairs]
        apart = [math.prod((p**2 - q for q in squares if q != p**2), start=Fraction(1)) for p in self.pairs]
        return 1 / math.prod((-q for q in squares), start=Fraction(1)), tuple(
            1 / (2 * p * (p if self.zero else 1) * rest) for p, rest in zip(self.pairs, apart, strict=True)
        )


POINTS = {
    4: Points(True, (Fraction(1),)),
    5: Points(False, (Fraction(1, 2), Fraction(5, 4))),
    6: Points(True, (Fraction(3, 4), Fraction(3, 2))),
    7: Points(False, (Fraction(1, 4), Fraction(7, 8), Fraction(13, 8))),
    8: Points(True, (Fraction(1, 2), Fraction(1), Fraction(2))),
}
"""By their number."""


@dataclass(frozen=True)
class Form:
    """F(`step` x `step`, `taps` x `taps`): squares of so many output pixels, for filters of so many taps."""

    step: int
    taps: int

    side = property(lambda self: self.step + self.taps - 1)  # of a square of input pixels
    points = property(lambda self: self.side**2)  # of a square, over both axes

    def divides(self, stride_h: int, stride_w: int) -> bool:
        """No window of a pooling with these strides, whose windows do not overlap, lies in two squares."""
        return self.step % stride_h == 0 and self.step % stride_w == 0


Terms = tuple[tuple[Fraction, str], ...]
"""The sum of coefficient * name."""


@dataclass(frozen=True)
class Transform:
    """`results` as sums over the inputs d0, d1, ... and over the variables that `lines` define."""

    name: str
    taken: str
    made: str
    inputs: int
    lines: tuple[tuple[str, Terms], ...]
    results: tuple[Terms, ...]

    @property
    def outputs(self) -> int:
        return len(self.results)


def _terms(*pairs: tuple[Fraction | int, str]) -> Terms:
    return tuple((Fraction(coefficient), name) for coefficient, name in pairs if coefficient)


def evaluation(name: str, taken: str, count: int, points: Points, scaled: bool) -> Transform:
    """The values of a polynomial with `count` coefficients at the points."""
    at_zero, scales = points.scales(scaled)
    lines = []
    results = [_terms((at_zero, "d0"))] if points.zero else []
    for pair, scale, place in zip(points.pairs, scales, points.names, strict=True):
        for parity, part in enumerate(("even", "odd")):
            lines.append((f"{place}_{part}", _terms(*((scale * pair**j, f"d{j}") for j in range(parity, count, 2)))))
        results += [_terms((1, f"{place}_even"), (sign, f"{place}_odd")) for sign in (1, -1)]
    results.append(_terms((1, f"d{count - 1}")))
    return Transform(name, taken, "points", count, tuple(lines), tuple(results))


def interpolation(name: str, made: str, count: int, points: Points, scaled: bool) -> Transform:
    """The transpose of `evaluation`: from the points to `count` results."""
    at_zero, scales = points.scales(scaled)
    lines = tuple(
        (f"{points.names[i]}_{part}", _terms((1, f"d{at}"), (sign, f"d{at + 1}")))
        for i, at in points.numbered
        for part, sign in (("even", 1), ("odd", -1))
    )

    def result(j: int) -> Terms:
        pairs = zip(points.pairs, scales, points.names, strict=True)
        return _terms(
            (at_zero if j == 0 and points.zero else 0, "d0"),
            *((scale * pair**j, f"{place}_{'odd' if j % 2 else 'even'}") for pair, scale, place in pairs),
            (1 if j == count - 1 else 0, f"d{points.count - 1}"),
        )

    return Transform(name, "points", made, points.count, lines, tuple(result(j) for j in range(count)))


def input_transform(name: str, points: Points) -> Transform:
    """The transpose of the interpolation through all points: the coefficients of the product of all factors x and
    x^2 - p^2, and of the products of all but one."""
    lines, results = [], []
    for pair, place in zip(points.pairs, points.names, strict=True):
        others = list(enumerate(_product(q for q in points.pairs if q != pair)))[::-1]
        # x (x + p) or x + p times the others
        even, odd, shift = (Fraction(1), pair, 2) if points.zero else (pair, Fraction(1), 0)
        lines.append((f"{place}_even", _terms(*((even * factor, f"d{2 * i + shift}") for i, factor in others))))
        lines.append((f"{place}_odd", _terms(*((odd * factor, f"d{2 * i + 1}") for i, factor in others))))
        results += [_terms((1, f"{place}_even"), (sign, f"{place}_odd")) for sign in (1, -1)]
    ends = [
        _terms(*((factor, f"d{2 * i + shift}") for i, factor in enumerate(_product(points.pairs))))
        for shift in range(1 + points.zero)
    ]
    return Transform(name, "input pixels", "points", points.count, tuple(lines), (*ends[:-1], *results, ends[-1]))


def _product(pairs: Iterable[Fraction]) -> list[Fraction]:
    """The coefficients of x^0, x^2, ... in the product of all x^2 - p^2."""
    coefficients = [Fraction(1)]
    for pair in pairs:
        higher, lower = [Fraction(0), *coefficients], [*coefficients, Fraction(0)]
        coefficients = [a - pair**2 * b for a, b in zip(higher, lower, strict=True)]
    return coefficients


def transform(role: str, form: Form) -> Transform:
    """The map of a role: "gradient" and "taps" are the transposes of "output" and "filter"."""
    step, taps = form.step, form.taps
    points, name = POINTS[form.side], f"{role}_{step}x{taps}"
    if role == "input":
        return input_transform(name, points)
    if role == "filter":
        return evaluation(name, "filter taps", taps, points, True)
    if role == "gradient":
        return evaluation(name, "pixels of dy", step, points, False)
    if role == "output":
        return interpolation(name, "output pixels", step, points, False)
    return interpolation(name, "filter taps", taps, points, True)


def constant_text(value: Fraction, suffix: str) -> str:
    """A C constant: exact if binary, else a quotient that the compiler rounds."""
    if value.denominator & (value.denominator - 1) == 0:
        return f"{float(value)}{suffix}"
    return f"({value.numerator}.0{suffix} / {value.denominator})"


def sum_text(terms: Terms, suffix: str) -> str:
    """The sum as a C expression; `suffix` is that of the type's constants."""
    text = ""
    for coefficient, name in terms:
        sign = "-" if coefficient < 0 else "+"
        factor = abs(coefficient)
        product = name if factor == 1 else f"{constant_text(factor, suffix)} * {name}"
        text += f" {sign} {product}" if text else f"{'-' if sign == '-' else ''}{product}"
    return text


def sum_texts(t: Transform, element: Element) -> dict[str, Any]:
    """The sums of a map as C: `lines`, a name and an expression each, and `results`."""
    suffix = "f" if element.dtype == "float32" else ""
    lines = [(variable, sum_text(terms, suffix)) for variable, terms in t.lines]
    return {"lines": lines, "results": [sum_text(terms, suffix) for terms in t.results]}


def transform_function(element: Element, role: str, form: Form) -> Shared:
    """The C of one map: of squares of pictures for "input" and "gradient", of one square of memory for the others."""
    t = transform(role, form)
    name = f"tg_winograd_{t.name}_{element.vector.removeprefix('tg_')}"
    of_pictures = role in ("input", "gradient")
    source = render(
        f"c/winograd_{'squares' if of_pictures else 'transform'}.c.j2",
        name=name,
        t=t,
        **sum_texts(t, element),
        vector=element.vector,
        alignment=element.target.vector_bytes,
        lanes=element.lanes,
        c_type=element.c_type,
    )
    return Shared(name, source)


def common_functions(element: Element) -> tuple[Shared, ...]:
    """What the maps need before them: vectors, and how squares lie in pictures."""
    squares = Shared("tg_squares", render("c/winograd_walk.h.j2"))
    return smaller_functions(), vector_type(element), squares


@dataclass(frozen=True)
class Squares:
    """The squares of pictures that belong to squares of `step` x `step` pixels, which cover `out_h` x `out_w`."""

    step: int
    pointer: str
    height: int
    width: int
    channels: int
    out_h: int
    out_w: int
    pad_top: int = 0
    pad_left: int = 0

    down = property(lambda self: math.ceil(self.out_h / self.step))
    across = property(lambda self: math.ceil(self.out_w / self.step))
    squares = property(lambda self: self.down * self.across)

    @property
    def fields(self) -> str:
        """The initialiser of the C type `tg_squares`."""
        sizes = (self.height, self.width, self.channels, self.step, self.pad_top, self.pad_left, self.down, self.across)
        return "{" + ", ".join(map(str, sizes)) + "}"
