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
        rest = draw(st.integers(1, 9)) * 64 if draw(st.integers(0, 4)) == 0 else 0
        found.append(Request(i, size, start, last, rest))
    return found


def busiest(found: list[Request]) -> int:
    moments = range(30)
    return max(sum(r.size for r in found if r.start <= moment <= r.end) for moment in moments)


@given(requests(), st.sampled_from([0, 1, 2, 17, 1000]))
def test_what_is_alive_together_is_apart(found: list[Request], n: int) -> None:
    """Whatever the batch is that sizes are multiplied with, and rests are not."""
    places, total = place_buffers(found)
    assert set(places) == set(found)
    assert total.size >= busiest(found)
    begins = {r: place.size * n + place.rest for r, place in places.items()}
    ends = {r: begin + r.size * n + r.rest for r, begin in begins.items()}
    for i, one in enumerate(found):
        begin, end = begins[one], ends[one]
        assert begin % 64 == 0
        assert 0 <= begin <= end <= total.size * n + total.rest
        for other in found[:i]:
            together = one.start <= other.end and other.start <= one.end
            assert not together or end <= begins[other] or ends[other] <= begin


@given(requests())
def test_only_what_has_a_rest_is_moved_by_rests(found: list[Request]) -> None:
    places, total = place_buffers(found)
    assert all(places[r].rest == 0 for r in found if not r.rest)
    assert total.rest <= sum(r.rest for r in found)


@given(requests())
def test_a_rest_costs_nothing_per_sample(found: list[Request]) -> None:
    """One buffer with a rest takes no more room per sample than above all that is alive beside it."""
    plain = [r for r in found if not r.rest]
    alone = place_buffers(plain)[1]
    for one in (r for r in found if r.rest):
        total = place_buffers([*plain, one])[1]
        assert total.rest == one.rest
        assert total.size <= alone.size + one.size


def test_other_orders_where_the_largest_first_leaves_a_gap() -> None:
    """Largest first takes 704 and 832 bytes here; 640 are alive at the busiest moment of both."""
    four = [Request("a", 256, 4, 5), Request("b", 256, 3, 4), Request("c", 128, 3, 4), Request("d", 320, 5, 6)]
    chain = [Request(i, 64 * size, i, i + 1) for i, size in enumerate((5, 3, 4, 6, 2, 7, 1, 5, 3, 6))]
    for found in (four, chain):
        assert place_buffers(found)[1] == (busiest(found), 0) == (640, 0)


def test_no_buffers_take_no_memory() -> None:
    assert place_buffers([]) == ({}, (0, 0))
