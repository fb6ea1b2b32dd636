"""Plain loops over windows of images, and the inputs that the rows about images share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

FEW = (0, 1, 7, 9)  # sizes for rows whose oracle is slow


# --- oracles ----------------------------------------------------------------------------------------------------------


def first_and_count(length: int, size: int, stride: int, dilation: int, padding: str) -> tuple[int, int]:
    """Where the first window starts (negative: in the padding) and how many windows there are."""
    reach = (size - 1) * dilation + 1
    if padding == "VALID":
        return 0, (length - reach) // stride + 1
    count = math.ceil(length / stride)
    return -(max((count - 1) * stride + reach - length, 0) // 2), count


def each_tap(
    lengths: Sequence[int],
    sizes: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: str,
):
    """(p, q, i, j, row, column): window (p, q) sees with its tap (i, j) the pixel (row, column) of the image."""
    starts = [
        first_and_count(*sides, padding) for sides in zip(lengths, sizes, strides, dilations, strict=True)
    ]
    (top, height), (left, width) = starts
    for p, q, i, j in product(range(height), range(width), range(sizes[0]), range(sizes[1])):
        row = top + p * strides[0] + i * dilations[0]
        column = left + q * strides[1] + j * dilations[1]
        if 0 <= row < lengths[0] and 0 <= column < lengths[1]:
            yield p, q, i, j, row, column


def windows_shape(lengths, sizes, strides, dilations, padding) -> tuple[int, ...]:
    return tuple(
        first_and_count(*s, padding)[1] for s in zip(lengths, sizes, strides, dilations, strict=True)
    )


def conv2d(x, w, strides=(1, 1), padding="SAME", dilations=(1, 1)):
    x, w = np.float64(x), np.float64(w)
    place = (x.shape[1:3], w.shape[:2], strides, dilations, padding)
    y = np.zeros((x.shape[0], *windows_shape(*place), w.shape[3]))
    for p, q, i, j, row, column in each_tap(*place):
        y[:, p, q] += x[:, row, column] @ w[i, j]
    return y


def conv2d_input_gradient(sizes, w, dy, strides=(1, 1), padding="SAME", dilations=(1, 1)):
    w, dy = np.float64(w), np.float64(dy)
    dx = np.zeros(sizes)
    for p, q, i, j, row, column in each_tap(sizes[1:3], w.shape[:2], strides, dilations, padding):
        dx[:, row, column] += dy[:, p, q] @ w[i, j].T
    return dx


def conv2d_filter_gradient(x, sizes, dy, strides=(1, 1), padding="SAME", dilations=(1, 1)):
    x, dy = np.float64(x), np.float64(dy)
    dw = np.zeros(sizes)
    for p, q, i, j, row, column in each_tap(x.shape[1:3], sizes[:2], strides, dilations, padding):
        dw[i, j] += x[:, row, column].T @ dy[:, p, q]
    return dw


def depthwise(x, w, strides=(1, 1), padding="SAME", dilations=(1, 1)):
    x, w = np.float64(x), np.float64(w)
    place = (x.shape[1:3], w.shape[:2], strides, dilations, padding)
    y = np.zeros((x.shape[0], *windows_shape(*place), w.shape[2] * w.shape[3]))
    for p, q, i, j, row, column in each_tap(*place):
        y[:, p, q] += (x[:, row, column, :, np.newaxis] * w[i, j]).reshape(
            x.shape[0], w.shape[2] * w.shape[3]
        )
    return y


def pool(x, fold: Callable[..., Any], ksize, strides, padding):
    """`fold(pixels)` of each window's real pixels [n, pixels, channels]."""
    x = np.float64(x)
    place = (x.shape[1:3], ksize, strides, (1, 1), padding)
    seen: dict[tuple[int, int], list[Any]] = {}
    for p, q, _, _, row, column in each_tap(*place):
        seen.setdefault((p, q), []).append(x[:, row, column])
    y = np.zeros((x.shape[0], *windows_shape(*place), x.shape[3]))
    for (p, q), pixels in seen.items():
        y[:, p, q] = fold(np.stack(pixels, axis=1))
    return y


def max_pool(x, ksize, strides, padding):
    return pool(x, lambda pixels: pixels.max(axis=1), ksize, strides, padding)


def avg_pool(x, ksize, strides, padding):
    return pool(x, lambda pixels: pixels.mean(axis=1), ksize, strides, padding)


def first_maxima(x, ksize, strides, padding):
    """For each window of each image and channel: (n, p, q, c), (row, column) of its first maximum in scan order."""
    best: dict[tuple[int, ...], tuple[float, int, int]] = {}
    for p, q, _, _, row, column in each_tap(x.shape[1:3], ksize, strides, (1, 1), padding):
        for n, c in product(range(x.shape[0]), range(x.shape[3])):
            value = x[n, row, column, c]
            if (n, p, q, c) not in best or value > best[n, p, q, c][0]:
                best[n, p, q, c] = (value, row, column)
    return {window: (row, column) for window, (_, row, column) in best.items()}


def max_pool_gradient(x, dy, ksize, strides, padding):
    dx = np.zeros(x.shape)
    for (n, p, q, c), (row, column) in first_maxima(x, ksize, strides, padding).items():
        dx[n, row, column, c] += dy[n, p, q, c]
    return dx


def max_positions(x, ksize, strides, padding):
    places = windows_shape(x.shape[1:3], ksize, strides, (1, 1), padding)
    positions = np.zeros((x.shape[0], *places, x.shape[3]), np.int64)
    for (n, p, q, c), (row, column) in first_maxima(x, ksize, strides, padding).items():
        positions[n, p, q, c] = (row * x.shape[2] + column) * x.shape[3] + c
    return positions


def to_nchw(x):
    return np.transpose(x, (0, 3, 1, 2))


# --- inputs -------------------------------------------------------------------------------------------------------------


def normals(*shapes: Any, scale: float = 1.0) -> Callable[..., list[np.ndarray]]:
    """Normal numbers; "n" in a shape stands for the size."""
    return lambda rng, n: [rng.normal(size=[n if d == "n" else d for d in shape]) * scale for shape in shapes]


def tied(*shape: Any) -> Callable[..., list[np.ndarray]]:
    """Small whole numbers, so that windows have several maxima."""
    return lambda rng, n: [rng.integers(-1, 2, size=[n if d == "n" else d for d in shape]).astype(np.float64)]
