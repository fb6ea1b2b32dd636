"""Pooling and its gradients, over plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import Case
from ._images import (
    FEW,
    avg_pool,
    each_tap,
    max_pool,
    max_pool_gradient,
    max_positions,
    normals,
    tied,
    to_nchw,
    windows_shape,
)

# image (rows, columns, channels), window, strides, padding
POOLS = [
    ((4, 4, 3), (2, 2), (2, 2), "SAME"),
    ((5, 3, 2), (2, 2), (2, 2), "SAME"),
    ((5, 3, 2), (2, 2), (2, 2), "VALID"),
    ((5, 6, 2), (3, 3), (1, 1), "SAME"),
    ((5, 6, 2), (3, 2), (2, 1), "VALID"),
    ((6, 5, 1), (2, 3), (3, 4), "SAME"),
    ((3, 4, 2), (5, 1), (1, 2), "SAME"),
]


def _pool_name(kind: str, row: Any) -> str:
    (h, w, c), (kh, kw), strides, padding = row
    return f"{kind}_{h}x{w}x{c}_by_{kh}x{kw}_stride_{strides[0]}x{strides[1]}_{padding}"


def _pool_cases(row: Any) -> list[Case]:
    image, ksize, strides, padding = row
    attrs = {"ksize": [1, *ksize, 1], "strides": [1, *strides, 1], "padding": padding}
    out = windows_shape(image[:2], ksize, strides, (1, 1), padding)
    images, gradient = ("n", *image), ("n", *out, image[2])
    return [
        Case(
            _pool_name("max_pool", row),
            lambda tf, x: tf.nn.max_pool(x, **attrs),
            normals(images),
            lambda x: max_pool(x, *row[1:]),
        ),
        Case(
            _pool_name("avg_pool", row),
            lambda tf, x: tf.nn.avg_pool(x, **attrs),
            normals(images),
            lambda x: avg_pool(x, *row[1:]),
        ),
        Case(
            _pool_name("max_pool_gradient_of_ties", row),
            lambda tf, x, dy: tf.gradients(tf.nn.max_pool(x, **attrs), x, grad_ys=[dy])[0],
            lambda rng, n: [*tied(*images)(rng, n), *normals(gradient)(rng, n)],
            lambda x, dy: max_pool_gradient(x, dy, *row[1:]),
            differentiable=False,
            sizes=FEW,
        ),
        Case(
            _pool_name("max_pool_second_derivative", row),
            lambda tf, x, dy: tf.gradients(tf.nn.max_pool(x, **attrs), x, grad_ys=[dy])[0],
            normals(images, gradient),
            lambda x, dy: max_pool_gradient(x, dy, *row[1:]),
            sizes=FEW,
        ),
        Case(
            _pool_name("avg_pool_second_derivative", row),
            lambda tf, x, dy: tf.gradients(tf.nn.avg_pool(x, **attrs), x, grad_ys=[dy])[0],
            normals(images, gradient),
            lambda x, dy: _avg_pool_gradient(x, dy, *row[1:]),
            sizes=FEW,
        ),
        Case(
            _pool_name("max_pool_with_argmax", row),
            lambda tf, x: list(tf.nn.max_pool_with_argmax(x, **attrs)),
            tied(*images),
            lambda x: [max_pool(x, *row[1:]), max_positions(x, *row[1:])],
            differentiable=False,
            sizes=FEW,
        ),
    ]


def _avg_pool_gradient(x, dy, ksize, strides, padding):
    dx, taps = np.zeros(x.shape), list(each_tap(x.shape[1:3], ksize, strides, (1, 1), padding))
    counts: dict[tuple[int, int], int] = {}
    for p, q, *_ in taps:
        counts[p, q] = counts.get((p, q), 0) + 1
    for p, q, _, _, row, column in taps:
        dx[:, row, column] += np.float64(dy[:, p, q]) / counts[p, q]
    return dx


CASES: list[Case] = [
    *[case for row in POOLS for case in _pool_cases(row)],
    Case(
        "max_pool_nchw",
        lambda tf, x: tf.nn.max_pool(x, [1, 1, 2, 2], [1, 1, 2, 2], "SAME", data_format="NCHW"),
        normals(("n", 2, 5, 4)),
        lambda x: to_nchw(max_pool(np.transpose(x, (0, 2, 3, 1)), (2, 2), (2, 2), "SAME")),
    ),
    Case(
        "avg_pool_nchw",
        lambda tf, x: tf.nn.avg_pool(x, [1, 1, 2, 2], [1, 1, 2, 2], "SAME", data_format="NCHW"),
        normals(("n", 2, 5, 4)),
        lambda x: to_nchw(avg_pool(np.transpose(x, (0, 2, 3, 1)), (2, 2), (2, 2), "SAME")),
    ),
    Case(
        "max_pool_channels",
        lambda tf, x: tf.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "SAME"),
        normals((2, 3, 4, "n")),
        lambda x: max_pool(x, (2, 2), (2, 2), "SAME"),
    ),
]
