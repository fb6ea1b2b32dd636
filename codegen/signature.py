"""What a run is compiled for: its pruned operations, and its feeds' sizes in terms of one batch size N."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..shapes import Batch


@dataclass(frozen=True)
class Prepared:
    """A run with its pruned operations in execution order; serves every batch size."""

    order: tuple[Any, ...]
    fetches: tuple[Any, ...]
    feeds: tuple[Any, ...]


def prepare(order: Sequence[Any], fetches: Sequence[Any], feeds: Sequence[Any]) -> Prepared:
    """Freeze what a run needs: operations in execution order, fetched tensors, fed tensors."""
    return Prepared(tuple(order), tuple(fetches), tuple(feeds))


def symbolic(prepared: Prepared, shapes: Sequence[tuple[int, ...]]) -> tuple[int, list[tuple[Any, ...]]]:
    """The batch size of a run and its feeds' dimensions in terms of it.

    N is the first size of the first feed whose leading dimension the graph leaves open (a known rank counts more than an
    unknown one). Other open leading dimensions of that size are N too; every other size is a constant.
    """
    candidates = [
        (tensor.dims is None, i)
        for i, (tensor, shape) in enumerate(zip(prepared.feeds, shapes, strict=True))
        if shape and (tensor.dims is None or tensor.dims[0] is None)
    ]
    if not candidates:
        return 1, [tuple(s) for s in shapes]
    n = shapes[min(candidates)[1]][0]
    open_feeds = {i for _, i in candidates}
    dims: list[tuple[Any, ...]] = [
        (Batch(1), *shape[1:]) if i in open_feeds and shape[0] == n else tuple(shape) for i, shape in enumerate(shapes)
    ]
    return n, dims
