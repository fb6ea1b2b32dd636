"""codegen/c_text.py: integer arithmetic on C texts."""

from __future__ import annotations

import pytest

from tfgraph.codegen.c_text import ceil_quotient, larger, minus, plus, quotient, remainder, smaller, times


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (plus(), "0"),
        (plus(2, 3), "5"),
        (plus("h", 0), "h"),
        (plus("h", -2), "h - 2"),
        (plus("h + 1", "q", 2), "h + q + 3"),
        (plus("h - 2", 2), "h"),
        (plus("a < b ? a : b", 1), "(a < b ? a : b) + 1"),
        (plus("a", "-b"), "a - b"),
        (minus("h", "0"), "h"),
        (minus("h", -3), "h + 3"),
        (minus("a", "b + 1"), "a - (b + 1)"),
        (minus(0, "b"), "-b"),
        (minus(4, "b * 2"), "4 - b * 2"),
        (times(), "1"),
        (times("h", 1), "h"),
        (times("h", 0, "q"), "0"),
        (times("a + b", 3), "(a + b) * 3"),
        (times("a * 2", 3), "a * 6"),
        (times("a", "b / c"), "a * (b / c)"),
        (times("b / c", "a"), "b / c * a"),
        (times("b / 2 * 4", 3), "b / 2 * 12"),
        (times("(a + b) * (c + d)", 2), "(a + b) * (c + d) * 2"),
        (quotient("a + b", 4), "(a + b) / 4"),
        (quotient("a * b", "c * 2"), "a * b / (c * 2)"),
        (quotient(9, 2), "4"),
        (quotient("a", 1), "a"),
        (remainder("a / 2", 4), "a / 2 % 4"),
        (remainder("a", 1), "0"),
        (remainder(9, 4), "1"),
        (ceil_quotient("N", 1), "N"),
        (ceil_quotient("N", 8), "(N + 7) / 8"),
        (ceil_quotient(9, 8), "2"),
        (smaller(3, 4), "3"),
        (larger("3", 4), "4"),
        (smaller("a", 4), "tg_smaller(a, 4)"),
    ],
)
def test_text(text: str, expected: str) -> None:
    assert text == expected
