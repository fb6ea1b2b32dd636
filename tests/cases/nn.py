"""Neural-network ops. Oracles are plain loops and textbook formulas in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from . import Case

SOME = (1, 7, 8, 9, 33)  # where an empty batch has no defined result
FEW = (0, 1, 7, 9)  # where the oracle is slow


# --- oracles ----------------------------------------------------------------------------------------------------------


def first_and_count(length: int, size: int, stride: int, dilation: int, padding: str) -> tuple[int, int]:
    """Where the first window starts (negative: in the padding) and how many windows there are."""
    reach = (size - 1) * dilation + 1
    if padding == "VALID":
        return 0, (length - reach) // stride + 1
    count = math.ceil(length / stride)
    return -(max((count - 1) * stride + reach - length, 0) // 2), count


def each_tap(lengths: Sequence[int], sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int], padding: str):
    """(p, q, i, j, row, column): window (p, q) sees with its tap (i, j) the pixel (row, column) of the image."""
    starts = [first_and_count(*sides, padding) for sides in zip(lengths, sizes, strides, dilations, strict=True)]
    (top, height), (left, width) = starts
    for p, q, i, j in product(range(height), range(width), range(sizes[0]), range(sizes[1])):
        row = top + p * strides[0] + i * dilations[0]
        column = left + q * strides[1] + j * dilations[1]
        if 0 <= row < lengths[0] and 0 <= column < lengths[1]:
            yield p, q, i, j, row, column


def windows_shape(lengths, sizes, strides, dilations, padding) -> tuple[int, ...]:
    return tuple(first_and_count(*s, padding)[1] for s in zip(lengths, sizes, strides, dilations, strict=True))


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
        y[:, p, q] += (x[:, row, column, :, np.newaxis] * w[i, j]).reshape(x.shape[0], -1)
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


def softmax(x, axis=-1):
    powers = np.exp(np.float64(x) - np.float64(x).max(axis=axis, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=axis, keepdims=True)


def log_softmax(x, axis=-1):
    shifted = np.float64(x) - np.float64(x).max(axis=axis, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def cross_entropy(labels, logits, axis=-1):
    return -(np.float64(labels) * log_softmax(logits, axis)).sum(axis=axis)


def sparse_cross_entropy(labels, logits):
    picked = np.take_along_axis(log_softmax(logits), labels[..., np.newaxis], -1)
    return -picked[..., 0]


def log1p_exp(x):
    return np.logaddexp(0, np.float64(x))


def lrn(x, radius, bias, alpha, beta):
    x = np.float64(x)
    y = np.zeros(x.shape)
    for c in range(x.shape[3]):
        near = x[..., max(c - radius, 0) : c + radius + 1]
        y[..., c] = x[..., c] / (bias + alpha * (near**2).sum(axis=-1)) ** beta
    return y


def batch_norm(x, scale, offset, epsilon):
    x = np.float64(x)
    mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    count = x[..., 0].size
    unbiased = variance * count / max(count - 1, 1)
    return (x - mean) / np.sqrt(variance + epsilon) * scale + offset, mean, unbiased


def to_nchw(x):
    return np.transpose(x, (0, 3, 1, 2))


# --- inputs -------------------------------------------------------------------------------------------------------------


def normals(*shapes: Any, scale: float = 1.0) -> Callable[..., list[np.ndarray]]:
    """Normal numbers; "n" in a shape stands for the size."""
    return lambda rng, n: [rng.normal(size=[n if d == "n" else d for d in shape]) * scale for shape in shapes]


def tied(*shape: Any) -> Callable[..., list[np.ndarray]]:
    """Small whole numbers, so that windows have several maxima."""
    return lambda rng, n: [rng.integers(-1, 2, size=[n if d == "n" else d for d in shape]).astype(np.float64)]


def with_labels(classes: int, *lead: Any) -> Callable[..., list[np.ndarray]]:
    """Class numbers and logits."""

    def make(rng: np.random.Generator, n: int) -> list[np.ndarray]:
        shape = [n if d == "n" else d for d in lead]
        return [rng.integers(0, classes, size=shape, dtype=np.int32), rng.normal(size=[*shape, classes])]

    return make


def with_distributions(*shape: Any) -> Callable[..., list[np.ndarray]]:
    def make(rng: np.random.Generator, n: int) -> list[np.ndarray]:
        sizes = [n if d == "n" else d for d in shape]
        return [rng.dirichlet(np.ones(sizes[-1]), size=sizes[:-1]).reshape(sizes), rng.normal(size=sizes) * 3]

    return make


# --- activation functions -------------------------------------------------------------------------------------------

SELU = (1.0507009873554805, 1.6732632423543772)

ACTIVATIONS = [
    Case("relu", lambda tf, x: tf.nn.relu(x), normals(("n", 3)), lambda x: np.maximum(x, 0)),
    Case("relu6", lambda tf, x: tf.nn.relu6(x), normals(("n", 3), scale=5), lambda x: np.clip(x, 0, 6)),
    Case("elu", lambda tf, x: tf.nn.elu(x), normals(("n", 3)), lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1)),
    Case(
        "selu",
        lambda tf, x: tf.nn.selu(x),
        normals(("n", 3)),
        lambda x: SELU[0] * np.where(x > 0, x, SELU[1] * (np.exp(np.minimum(x, 0)) - 1)),
    ),
    Case("leaky_relu", lambda tf, x: tf.nn.leaky_relu(x, alpha=0.1), normals(("n", 3)), lambda x: np.where(x > 0, x, 0.1 * x)),
    Case("softplus", lambda tf, x: tf.nn.softplus(x), normals(("n", 3), scale=10), log1p_exp),
    Case("softsign", lambda tf, x: tf.nn.softsign(x), normals(("n", 3)), lambda x: x / (1 + np.abs(x))),
    Case(
        "crelu", lambda tf, x: tf.nn.crelu(x), normals(("n", 3)), lambda x: np.maximum(np.concatenate([x, -x], axis=-1), 0)
    ),
    Case(
        "crelu_rows",
        lambda tf, x: tf.nn.crelu(x, axis=1),
        normals(("n", 2, 3)),
        lambda x: np.maximum(np.concatenate([x, -x], axis=1), 0),
    ),
    Case(
        "elu_second_derivative",
        lambda tf, x: tf.gradients(tf.nn.elu(x), x)[0],
        normals(("n", 3)),
        lambda x: np.where(x > 0, 1, np.exp(np.minimum(x, 0))),
    ),
    Case(
        "selu_second_derivative",
        lambda tf, x: tf.gradients(tf.nn.selu(x), x)[0],
        normals(("n", 3)),
        lambda x: SELU[0] * np.where(x > 0, 1, SELU[1] * np.exp(np.minimum(x, 0))),
    ),
    Case(
        "softplus_second_derivative",
        lambda tf, x: tf.gradients(tf.nn.softplus(x), x)[0],
        normals(("n", 3)),
        lambda x: 1 / (1 + np.exp(-x)),
    ),
]

# --- layers, norms and losses -----------------------------------------------------------------------------------------

LAYERS = [
    Case("bias_add", lambda tf, x, b: tf.nn.bias_add(x, b), normals(("n", 4), (4,)), lambda x, b: x + b),
    Case("bias_add_channels", lambda tf, x, b: tf.nn.bias_add(x, b), normals((2, 3, 2, "n"), ("n",)), lambda x, b: x + b),
    Case(
        "bias_add_nchw",
        lambda tf, x, b: tf.nn.bias_add(x, b, data_format="NCHW"),
        normals(("n", 3, 2, 4), (3,)),
        lambda x, b: x + b[:, np.newaxis, np.newaxis],
        atol=1e-5,
    ),
    Case(
        "xw_plus_b",
        lambda tf, x, w, b: tf.nn.xw_plus_b(x, w, b),
        normals(("n", 3), (3, 2), (2,)),
        lambda x, w, b: np.float64(x) @ w + b,
    ),
    Case(
        "relu_layer",
        lambda tf, x, w, b: tf.nn.relu_layer(x, w, b),
        normals(("n", 3), (3, 2), (2,)),
        lambda x, w, b: np.maximum(np.float64(x) @ w + b, 0),
    ),
    Case(
        "embedding_lookup",
        lambda tf, i, table: tf.nn.embedding_lookup(table, i),
        lambda rng, n: [rng.integers(0, 5, size=n, dtype=np.int32), rng.normal(size=(5, 3))],
        lambda i, table: table[i],
    ),
    Case("l2_loss", lambda tf, x: tf.nn.l2_loss(x), normals(("n", 3)), lambda x: (np.float64(x) ** 2).sum() / 2),
    Case("zero_fraction", lambda tf, x: tf.nn.zero_fraction(x), tied("n", 4), lambda x: (x == 0).mean(), sizes=SOME, dtypes=("float32",), differentiable=False),
    Case(
        "l2_normalize",
        lambda tf, x: tf.nn.l2_normalize(x, 1),
        normals(("n", 4)),
        lambda x: x / np.sqrt((np.float64(x) ** 2).sum(axis=1, keepdims=True)),
    ),
    Case(
        "moments",
        lambda tf, x: tf.nn.moments(x, [0, 1]),
        normals(("n", 2, 3)),
        lambda x: [np.float64(x).mean(axis=(0, 1)), np.float64(x).var(axis=(0, 1))],
        sizes=SOME,
    ),
    Case(
        "batch_normalization",
        lambda tf, x, mean, scale, offset: tf.nn.batch_normalization(x, mean, scale * scale, offset, scale, 1e-3),
        normals(("n", 3), (3,), (3,), (3,)),
        lambda x, mean, scale, offset: (x - mean) / np.sqrt(np.float64(scale) ** 2 + 1e-3) * scale + offset,
    ),
    Case(
        "fused_batch_norm",
        lambda tf, x, scale, offset: list(tf.nn.fused_batch_norm(x, scale, offset, epsilon=1e-3)),
        normals(("n", 2, 3, 2), (2,), (2,)),
        lambda x, scale, offset: list(batch_norm(x, scale, offset, 1e-3)),
        sizes=SOME,
        atol=1e-5,
        differentiable=False,  # TensorFlow passes no gradient to the statistics; the next row checks the images
    ),
    Case(
        "fused_batch_norm_images",
        lambda tf, x, scale, offset: tf.nn.fused_batch_norm(x, scale, offset, epsilon=1e-3)[0],
        normals(("n", 2, 3, 2), (2,), (2,)),
        lambda x, scale, offset: batch_norm(x, scale, offset, 1e-3)[0],
        sizes=SOME,
        atol=1e-5,
    ),
    Case(
        "fused_batch_norm_nchw",
        lambda tf, x, scale, offset: tf.nn.fused_batch_norm(x, scale, offset, epsilon=1e-3, data_format="NCHW")[0],
        lambda rng, n: [rng.normal(size=(n, 2, 2, 3)), rng.normal(size=2), rng.normal(size=2)],
        lambda x, scale, offset: to_nchw(batch_norm(np.transpose(x, (0, 2, 3, 1)), scale, offset, 1e-3)[0]),
        sizes=SOME,
        atol=1e-5,
    ),
    Case(
        "fused_batch_norm_inference",
        lambda tf, x, scale, offset, mean: tf.nn.fused_batch_norm(
            x, scale, offset, mean=mean, variance=mean * mean, is_training=False
        )[0],
        normals(("n", 2, 2, 3), (3,), (3,), (3,)),
        lambda x, scale, offset, mean: (x - mean) / np.sqrt(np.float64(mean) ** 2 + 1e-3) * scale + offset,
        atol=1e-5,
        differentiable=False,  # TensorFlow passes no gradient to the statistics
    ),
    *[
        Case(
            f"lrn_radius_{radius}",
            lambda tf, x, radius=radius, beta=beta: tf.nn.lrn(x, radius, bias=1.5, alpha=0.3, beta=beta),
            normals((2, 1, 2, "n")),
            lambda x, radius=radius, beta=beta: lrn(x, radius, 1.5, 0.3, beta),
            atol=4e-6,
        )
        for radius, beta in ((1, 0.5), (5, 0.75))
    ],
]

SOFTMAX = [
    Case("softmax", lambda tf, x: tf.nn.softmax(x), normals(("n", 5), scale=3), softmax),
    Case("softmax_classes", lambda tf, x: tf.nn.softmax(x), normals((3, "n"), scale=50), softmax, sizes=SOME),
    Case("softmax_rank_4", lambda tf, x: tf.nn.softmax(x), normals(("n", 2, 3, 4)), softmax),
    Case("softmax_axis_1", lambda tf, x: tf.nn.softmax(x, axis=1), normals(("n", 3, 2)), lambda x: softmax(x, 1)),
    Case("log_softmax", lambda tf, x: tf.nn.log_softmax(x), normals(("n", 5), scale=3), log_softmax),
    Case("log_softmax_dim_0", lambda tf, x: tf.nn.log_softmax(x, dim=0), normals(("n", 2), scale=50), lambda x: log_softmax(x, 0), rtol=1e-5),
    Case(
        "softmax_cross_entropy",
        lambda tf, labels, x: tf.nn.softmax_cross_entropy_with_logits(labels=tf.stop_gradient(labels), logits=x),
        with_distributions("n", 5),
        cross_entropy,
        differentiable=False,  # the labels are inputs here; the next rows check the gradients
    ),
    Case(
        "softmax_cross_entropy_v2",
        lambda tf, labels, x: tf.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=x),
        with_distributions("n", 5),
        cross_entropy,
    ),
    Case(
        "softmax_cross_entropy_rank_3",
        lambda tf, labels, x: tf.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=x),
        with_distributions("n", 2, 3),
        cross_entropy,
    ),
    Case(
        "softmax_cross_entropy_axis_1",
        lambda tf, labels, x: tf.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=x, axis=1),
        with_distributions("n", 3, 2),
        lambda labels, x: cross_entropy(labels, x, 1),
    ),
    Case(
        "softmax_cross_entropy_gradient",
        lambda tf, labels, x: tf.gradients(
            tf.nn.softmax_cross_entropy_with_logits(labels=tf.stop_gradient(labels), logits=x), x
        )[0],
        lambda rng, n: [np.eye(4)[rng.integers(0, 4, size=n)].reshape(n, 4), rng.normal(size=(n, 4))],
        lambda labels, x: softmax(x) - labels,
        differentiable=False,
    ),
    Case(
        "softmax_cross_entropy_second_derivative",
        lambda tf, x: tf.gradients(
            tf.nn.softmax_cross_entropy_with_logits(labels=tf.fill(tf.shape(x), tf.constant(0.25, x.dtype)), logits=x), x
        )[0],
        normals(("n", 4)),
        lambda x: softmax(x) - 0.25,
    ),
    Case(
        "sparse_softmax_cross_entropy",
        lambda tf, labels, x: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=x),
        with_labels(5, "n"),
        sparse_cross_entropy,
    ),
    Case(
        "sparse_softmax_cross_entropy_rank_3",
        lambda tf, labels, x: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=x),
        with_labels(4, "n", 3),
        sparse_cross_entropy,
    ),
    Case(
        "sparse_softmax_cross_entropy_int64",
        lambda tf, labels, x: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.cast(labels, tf.int64), logits=x),
        with_labels(3, "n"),
        sparse_cross_entropy,
    ),
    Case(
        "sparse_softmax_cross_entropy_second_derivative",
        lambda tf, labels, x: tf.gradients(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=x), x
        )[0],
        with_labels(4, "n"),
        lambda labels, x: softmax(x) - np.eye(4)[labels].reshape(-1, 4),
    ),
    Case(
        "sigmoid_cross_entropy",
        lambda tf, labels, x: tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=x),
        normals(("n", 3), ("n", 3), scale=3),
        lambda labels, x: log1p_exp(x) - np.float64(x) * labels,
        atol=4e-6,
    ),
    Case(
        "weighted_cross_entropy",
        lambda tf, labels, x: tf.nn.weighted_cross_entropy_with_logits(labels=labels, logits=x, pos_weight=2.5),
        lambda rng, n: [rng.uniform(size=(n, 3)), rng.normal(size=(n, 3)) * 3],
        lambda labels, x: 2.5 * labels * log1p_exp(-x) + (1 - labels) * log1p_exp(x),
        atol=4e-6,
    ),
]

# --- convolutions ---------------------------------------------------------------------------------------------------

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


def _name(kind: str, row: Any) -> str:
    (h, w, c), (kh, kw, o), strides, dilations, padding = row
    return f"{kind}_{h}x{w}x{c}_by_{kh}x{kw}x{o}_stride_{strides[0]}x{strides[1]}_rate_{dilations[0]}x{dilations[1]}_{padding}"


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
    )


CONVOLUTION_CASES = [
    *map(_conv_case, CONVOLUTIONS),
    *map(_conv_gradients_case, CONVOLUTIONS),
    *map(_depthwise_case, CONVOLUTIONS[::2]),
    *map(_depthwise_gradients_case, CONVOLUTIONS[::2]),
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

# --- pooling --------------------------------------------------------------------------------------------------------

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


POOL_CASES = [
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

# --- tf.losses ------------------------------------------------------------------------------------------------------


def by_nonzero(losses, weights):
    weights = np.broadcast_to(np.float64(weights), losses.shape)
    count = (weights != 0).sum()
    return (losses * weights).sum() / count if count else 0.0


def _loss(name: str, build: Any, inputs: Any, oracle: Any, sizes: tuple[int, ...] = (0, 1, 7, 8, 9, 33)) -> Case:
    # tf.losses computes in float32 whatever it is given, so there is nothing to differentiate in float64
    return Case(f"losses_{name}", build, inputs, oracle, dtypes=("float32",), differentiable=False, sizes=sizes, rtol=1e-5)


def _some_zero_weights(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    weights = rng.integers(0, 3, size=(n, 1)).astype(np.float64)
    return [rng.normal(size=(n, 3)), rng.normal(size=(n, 3)), weights]


LOSSES = [
    _loss(
        "mean_squared_error",
        lambda tf, a, b: tf.losses.mean_squared_error(a, b),
        normals(("n", 3), ("n", 3)),
        lambda a, b: by_nonzero((np.float64(a) - b) ** 2, 1.0),
    ),
    _loss(
        "mean_squared_error_weights",
        lambda tf, a, b, w: tf.losses.mean_squared_error(a, b, weights=w),
        _some_zero_weights,
        lambda a, b, w: by_nonzero((np.float64(a) - b) ** 2, w),
    ),
    _loss(
        "absolute_difference_mean",
        lambda tf, a, b, w: tf.losses.absolute_difference(a, b, weights=w, reduction=tf.losses.Reduction.MEAN),
        _some_zero_weights,
        lambda a, b, w: (np.abs(np.float64(a) - b) * w).sum() / (w.sum() * 3) if w.sum() else 0.0,
    ),
    _loss(
        "absolute_difference_none",
        lambda tf, a, b: tf.losses.absolute_difference(a, b, weights=2.0, reduction=tf.losses.Reduction.NONE),
        normals(("n", 3), ("n", 3)),
        lambda a, b: 2 * np.abs(np.float64(a) - b),
    ),
    _loss(
        "softmax_cross_entropy_smoothed",
        lambda tf, labels, x: tf.losses.softmax_cross_entropy(labels, x, label_smoothing=0.2),
        with_distributions("n", 4),
        lambda labels, x: by_nonzero(cross_entropy(labels * 0.8 + 0.2 / 4, x), 1.0),
    ),
    _loss(
        "sparse_softmax_cross_entropy_column",
        lambda tf, labels, x: tf.losses.sparse_softmax_cross_entropy(tf.expand_dims(labels, 1), x),
        with_labels(4, "n"),
        lambda labels, x: by_nonzero(sparse_cross_entropy(labels, x), 1.0),
    ),
    _loss(
        "sigmoid_cross_entropy_smoothed",
        lambda tf, labels, x: tf.losses.sigmoid_cross_entropy(labels, x, label_smoothing=0.1),
        normals(("n", 3), ("n", 3)),
        lambda labels, x: by_nonzero(log1p_exp(x) - np.float64(x) * (labels * 0.9 + 0.05), 1.0),
    ),
]

CASES: list[Case] = [*ACTIVATIONS, *LAYERS, *SOFTMAX, *CONVOLUTION_CASES, *POOL_CASES, *LOSSES]
