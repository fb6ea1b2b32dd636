"""Convolutions and their gradients, over plain loops."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from . import Case
from ._images import (
    FEW,
    conv2d,
    conv2d_filter_gradient,
    conv2d_input_gradient,
    depthwise,
    normals,
    to_nchw,
    windows_shape,
)

# image (rows, columns, channels), filter (rows, columns, channels out), strides, dilations, padding
CONVOLUTIONS = [
    ((5, 4, 2), (3, 3, 3), (1, 1), (1, 1), "SAME"),
    ((5, 4, 2), (3, 3, 3), (1, 1), (1, 1), "VALID"),
    ((6, 5, 1), (2, 2, 4), (2, 2), (1, 1), "SAME"),
    ((5, 6, 3), (1, 1, 2), (1, 1), (1, 1), "SAME"),
    ((5, 6, 3), (1, 1, 2), (2, 3), (1, 1), "VALID"),
    ((4, 7, 1), (5, 3, 2), (1, 2), (1, 1), "SAME"),
    ((6, 7, 2), (3, 2, 2), (1, 1), (2, 3), "SAME"),
    ((7, 6, 2), (2, 3, 2), (1, 1), (3, 2), "VALID"),
    ((6, 6, 2), (4, 4, 2), (3, 3), (1, 1), "SAME"),
    ((3, 3, 2), (2, 2, 2), (3, 3), (1, 1), "VALID"),
]
SMALL = ((3, 2, 2), (2, 2, 2), (2, 1), (1, 1), "SAME")


def _name(kind: str, row: Any) -> str:
    (h, w, c), (kh, kw, o), strides, dilations, padding = row
    steps = f"stride_{strides[0]}x{strides[1]}_rate_{dilations[0]}x{dilations[1]}"
    return f"{kind}_{h}x{w}x{c}_by_{kh}x{kw}x{o}_{steps}_{padding}"


def _attrs(row: Any) -> dict[str, Any]:
    return {"strides": [1, *row[2], 1], "padding": row[4], "dilations": [1, *row[3], 1]}


def _oracle_attrs(row: Any) -> dict[str, Any]:
    return {"strides": row[2], "padding": row[4], "dilations": row[3]}


def _filter(row: Any) -> tuple[int, ...]:
    return (*row[1][:2], row[0][2], row[1][2])


def _conv_case(row: Any) -> Case:
    return Case(
        _name("conv2d", row),
        lambda tf, x, w: tf.nn.conv2d(x, w, **_attrs(row)),
        normals(("n", *row[0]), _filter(row)),
        lambda x, w: conv2d(x, w, **_oracle_attrs(row)),
        atol=1e-5,
        sizes=FEW,
    )


def _conv_gradients_case(row: Any) -> Case:
    """Both gradients as functions of x, w and dy, so that their own gradients are checked too."""
    out = windows_shape(row[0][:2], row[1][:2], row[2], row[3], row[4])
    attrs = _oracle_attrs(row)
    return Case(
        _name("conv2d_gradients", row),
        lambda tf, x, w, dy: tf.gradients(tf.nn.conv2d(x, w, **_attrs(row)), [x, w], grad_ys=[dy]),
        normals(("n", *row[0]), _filter(row), ("n", *out, row[1][2])),
        lambda x, w, dy: [
            conv2d_input_gradient(x.shape, w, dy, **attrs),
            conv2d_filter_gradient(x, w.shape, dy, **attrs),
        ],
        atol=4e-5,
        sizes=FEW,
    )


def _depthwise_case(row: Any) -> Case:
    rates = {"rate": list(row[3])}
    return Case(
        _name("depthwise_conv2d", row),
        lambda tf, x, w: tf.nn.depthwise_conv2d(x, w, [1, *row[2], 1], row[4], **rates),
        normals(("n", *row[0]), _filter(row)),
        lambda x, w: depthwise(x, w, **_oracle_attrs(row)),
        atol=1e-5,
        sizes=FEW,
    )


def _depthwise_gradients(tf: Any, x: Any, w: Any, dy: Any, row: Any) -> Any:
    y = tf.nn.depthwise_conv2d(x, w, [1, *row[2], 1], row[4], rate=list(row[3]))
    return tf.gradients(y, [x, w], grad_ys=[dy])


def depthwise_gradients(x, w, dy, **attrs):
    """Each filter alone is a convolution of one channel with one output."""
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for c, m in product(range(w.shape[2]), range(w.shape[3])):
        one = np.s_[..., c : c + 1]
        out = c * w.shape[3] + m
        part = dy[..., out : out + 1]
        taps = w[:, :, c : c + 1, m : m + 1]
        dx[one] += conv2d_input_gradient(x[one].shape, taps, part, **attrs)
        dw[:, :, c : c + 1, m : m + 1] = conv2d_filter_gradient(x[one], taps.shape, part, **attrs)
    return [dx, dw]


def _depthwise_gradients_case(row: Any) -> Case:
    out = windows_shape(row[0][:2], row[1][:2], row[2], row[3], row[4])
    return Case(
        _name("depthwise_conv2d_gradients", row),
        lambda tf, x, w, dy: _depthwise_gradients(tf, x, w, dy, row),
        normals(("n", *row[0]), _filter(row), ("n", *out, row[0][2] * row[1][2])),
        lambda x, w, dy: depthwise_gradients(x, w, dy, **_oracle_attrs(row)),
        atol=4e-5,
        sizes=FEW,
        differentiable=row is SMALL,  # many kernels per evaluation, and every input is moved on its own
    )


CASES: list[Case] = [
    *map(_conv_case, CONVOLUTIONS),
    *map(_conv_gradients_case, CONVOLUTIONS),
    *map(_depthwise_case, [*CONVOLUTIONS[::2], SMALL]),
    *map(_depthwise_gradients_case, [*CONVOLUTIONS[::2], SMALL]),
    *[
        Case(
            f"conv2d_{what}",
            lambda tf, x, w: tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME"),
            normals(shape, filters),
            conv2d,
            atol=2e-5,
        )
        for what, shape, filters in (
            ("batch", ("n", 3, 3, 2), (2, 2, 2, 3)),
            ("channels_in", (2, 3, 3, "n"), (2, 2, "n", 3)),
            ("channels_out", (2, 3, 3, 2), (2, 2, 2, "n")),
            ("width", (2, 3, "n", 2), (2, 3, 2, 3)),
        )
    ],
    Case(
        "conv2d_nchw",
        lambda tf, x, w: tf.nn.conv2d(x, w, [1, 1, 2, 1], "SAME", data_format="NCHW"),
        normals(("n", 2, 5, 4), (3, 2, 2, 3)),
        lambda x, w: to_nchw(conv2d(np.transpose(x, (0, 2, 3, 1)), w, (2, 1))),
        atol=1e-5,
        sizes=FEW,
    ),
    Case(
        "conv2d_transpose",
        lambda tf, x, w: tf.nn.conv2d_transpose(x, w, tf.stack([tf.shape(x)[0], 6, 5, 3]), [1, 2, 2, 1]),
        normals(("n", 3, 3, 2), (3, 3, 3, 2)),
        lambda x, w: conv2d_input_gradient((x.shape[0], 6, 5, 3), w, x, (2, 2)),
        atol=1e-5,
        sizes=FEW,
    ),
    Case(
        "conv1d",
        lambda tf, x, w: tf.nn.conv1d(x, w, 2, "SAME"),
        normals(("n", 6, 2), (3, 2, 3)),
        lambda x, w: conv2d(x[:, np.newaxis], w[np.newaxis], (1, 2))[:, 0],
        atol=1e-5,
        sizes=FEW,
    ),
    Case(
        "convolution_1d_rate_2",
        lambda tf, x, w: tf.nn.convolution(x, w, "VALID", dilation_rate=[2]),
        normals(("n", 7, 2), (3, 2, 3)),
        lambda x, w: conv2d(x[:, np.newaxis], w[np.newaxis], padding="VALID", dilations=(1, 2))[:, 0],
        atol=1e-5,
        sizes=FEW,
    ),
    Case(
        "atrous_conv2d",
        lambda tf, x, w: tf.nn.atrous_conv2d(x, w, 2, "SAME"),
        normals(("n", 5, 6, 2), (3, 3, 2, 2)),
        lambda x, w: conv2d(x, w, dilations=(2, 2)),
        atol=1e-5,
        sizes=FEW,
    ),
    Case(
        "separable_conv2d",
        lambda tf, x, w, mix: tf.nn.separable_conv2d(x, w, mix, [1, 2, 2, 1], "SAME"),
        normals(("n", 5, 4, 2), (3, 3, 2, 2), (1, 1, 4, 3)),
        lambda x, w, mix: conv2d(depthwise(x, w, (2, 2)), mix, padding="VALID"),
        atol=2e-5,
        sizes=FEW,
    ),
]
