"""Offsets in an arena: nothing alive overlaps, and little more memory is taken than is alive at the busiest moment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tfgraph.codegen.passes.place_buffers import Request, place_buffers


@st.composite
def requests(draw: st.DrawFn) -> list[Request]:
    found = []
    for i in range(draw(st.integers(0, 24))):
        start = draw(st.integers(0, 20))
        size, last = 64 * draw(st.integers(1, 40)), start + draw(st.integers(0, 8))
        found.append(Request(i, size, start, last, loose=draw(st.integers(0, 9)) == 0))
    return found


def busiest(found: list[Request]) -> int:
    moments = range(30)
    return max(sum(r.size for r in found if r.start <= moment <= r.end) for moment in moments)


@given(requests())
def test_what_is_alive_together_is_apart(found: list[Request]) -> None:
    offsets, total = place_buffers(found)
    assert set(offsets) == set(found)
    assert total >= busiest(found)
    for i, one in enumerate(found):
        assert offsets[one] % 64 == 0
        assert 0 <= offsets[one] <= total - one.size
        for other in found[:i]:
            together = one.start <= other.end and other.start <= one.end
            below = offsets[one] + one.size <= offsets[other]
            above = offsets[other] + other.size <= offsets[one]
            assert not together or below or above


@given(requests())
def test_loose_buffers_spread_no_others(found: list[Request]) -> None:
    tight = [r for r in found if not r.loose]
    offsets, total = place_buffers(found)
    alone, alone_total = place_buffers(tight)
    assert {r: offsets[r] for r in tight} == alone
    assert total <= alone_total + sum(r.size for r in found if r.loose)


def test_other_orders_where_the_largest_first_leaves_a_gap() -> None:
    """Largest first takes 704 and 832 bytes here; 640 are alive at the busiest moment of both."""
    four = [Request("a", 256, 4, 5), Request("b", 256, 3, 4), Request("c", 128, 3, 4), Request("d", 320, 5, 6)]
    chain = [Request(i, 64 * size, i, i + 1) for i, size in enumerate((5, 3, 4, 6, 2, 7, 1, 5, 3, 6))]
    for found in (four, chain):
        assert place_buffers(found)[1] == busiest(found) == 640


def test_no_buffers_take_no_memory() -> None:
    assert place_buffers([]) == ({}, 0)
