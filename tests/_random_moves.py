"""Draws of operations that only move elements, for tests/_random_graphs.py: transposes, reshapes, slices, pads, ..."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

Draw = Callable[[Any], Any]
Shape = tuple[int | None, ...]  # None only in front: the batch
Move = tuple[str, Callable[..., Any], Shape]


def _transpose(draw: Draw, shape: Shape) -> Move:
    order = draw(st.permutations(range(len(shape))))
    return f"transpose({{}}, {order})", lambda tf, x: tf.transpose(x, order), tuple(shape[a] for a in order)


def _reshape(draw: Draw, shape: Shape) -> Move:
    sizes = [d for d in shape if d is not None]
    rest = int(np.prod(sizes, dtype=int))
    parts = [(rest,), *((k, rest // k) for k in range(1, rest + 1) if rest % k == 0)]
    inner = draw(st.sampled_from(parts))
    if None in shape:
        return f"reshape({{}}, [-1, {inner}])", lambda tf, x: tf.reshape(x, [-1, *inner]), (None, *inner)
    return f"reshape({{}}, {inner})", lambda tf, x: tf.reshape(x, inner), inner


def _slice(draw: Draw, shape: Shape) -> Move:
    keys: list[Any] = []
    result: list[int | None] = []
    for size in shape:
        if size is None:
            keys.append(slice(None))
            result.append(None)
            continue
        first = draw(st.integers(0, size - 1))
        if draw(st.booleans()) and len(shape) > 1:
            keys.append(first)
            continue
        step = draw(st.sampled_from([1, 1, 2, -1]))
        keys.append(slice(first, None, step))
        result.append(len(range(size)[keys[-1]]))
    return f"{{}}[{keys}]", lambda tf, x: x[tuple(keys)], tuple(result)


def _pad(draw: Draw, shape: Shape) -> Move:
    widths = [(0, 0) if d is None else (draw(st.integers(0, 2)), draw(st.integers(0, 1))) for d in shape]
    padded = tuple(None if d is None else d + a + b for d, (a, b) in zip(shape, widths, strict=True))
    return f"pad({{}}, {widths})", lambda tf, x: tf.pad(x, widths), padded


def _tile(draw: Draw, shape: Shape) -> Move:
    times = [1 if d is None else draw(st.integers(1, 2)) for d in shape]
    tiled = tuple(None if d is None else d * n for d, n in zip(shape, times, strict=True))
    return f"tile({{}}, {times})", lambda tf, x: tf.tile(x, times), tiled


def _expand(draw: Draw, shape: Shape) -> Move:
    axis = draw(st.integers(0 if None not in shape else 1, len(shape)))
    return f"expand_dims({{}}, {axis})", lambda tf, x: tf.expand_dims(x, axis), (*shape[:axis], 1, *shape[axis:])


def _reverse(draw: Draw, shape: Shape) -> Move:
    axis = draw(st.integers(0, len(shape) - 1))
    return f"reverse({{}}, {axis})", lambda tf, x: tf.reverse(x, [axis]), shape


def _squeeze(draw: Draw, shape: Shape) -> Move:
    axes = [a for a, d in enumerate(shape) if d == 1]
    if not axes:
        return "identity({})", lambda tf, x: tf.identity(x), shape
    return f"squeeze({{}}, {axes})", lambda tf, x: tf.squeeze(x, axes), tuple(d for d in shape if d != 1)


def _gather(draw: Draw, shape: Shape) -> Move:
    axis = draw(st.sampled_from([a for a, d in enumerate(shape) if d is not None] or [0]))
    size = shape[axis]
    if size is None:
        return "identity({})", lambda tf, x: tf.identity(x), shape
    rows = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=4))
    gathered = (*shape[:axis], len(rows), *shape[axis + 1 :])
    return f"gather({{}}, {rows}, {axis})", lambda tf, x: tf.gather(x, rows, axis=axis), gathered


MOVES = [_transpose, _reshape, _slice, _pad, _tile, _expand, _reverse, _squeeze, _gather]
