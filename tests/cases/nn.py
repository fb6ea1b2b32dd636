"""Activation functions, small layers, normalisation and losses. Oracles are textbook formulas in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import SIZES, Case
from ._images import normals, tied, to_nchw

SOME = (1, 7, 8, 9, 33)  # where an empty batch has no defined result


# --- oracles ----------------------------------------------------------------------------------------------------------


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


# --- inputs -------------------------------------------------------------------------------------------------------------


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
    Case(
        "elu",
        lambda tf, x: tf.nn.elu(x),
        normals(("n", 3)),
        lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
    ),
    Case(
        "selu",
        lambda tf, x: tf.nn.selu(x),
        normals(("n", 3)),
        lambda x: SELU[0] * np.where(x > 0, x, SELU[1] * (np.exp(np.minimum(x, 0)) - 1)),
    ),
    Case(
        "leaky_relu",
        lambda tf, x: tf.nn.leaky_relu(x, alpha=0.1),
        normals(("n", 3)),
        lambda x: np.where(x > 0, x, 0.1 * x),
    ),
    Case("softplus", lambda tf, x: tf.nn.softplus(x), normals(("n", 3), scale=10), log1p_exp),
    Case("softsign", lambda tf, x: tf.nn.softsign(x), normals(("n", 3)), lambda x: x / (1 + np.abs(x))),
    Case(
        "crelu",
        lambda tf, x: tf.nn.crelu(x),
        normals(("n", 3)),
        lambda x: np.maximum(np.concatenate([x, -x], axis=-1), 0),
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
    Case(
        "bias_add_channels",
        lambda tf, x, b: tf.nn.bias_add(x, b),
        normals((2, 3, 2, "n"), ("n",)),
        lambda x, b: x + b,
    ),
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
    Case(
        "l2_loss", lambda tf, x: tf.nn.l2_loss(x), normals(("n", 3)), lambda x: (np.float64(x) ** 2).sum() / 2
    ),
    Case(
        "zero_fraction",
        lambda tf, x: tf.nn.zero_fraction(x),
        tied("n", 4),
        lambda x: (x == 0).mean(),
        sizes=SOME,
        dtypes=("float32",),
        differentiable=False,
    ),
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
        lambda tf, x, mean, scale, offset: tf.nn.batch_normalization(
            x, mean, scale * scale, offset, scale, 1e-3
        ),
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
        lambda tf, x, scale, offset: tf.nn.fused_batch_norm(
            x, scale, offset, epsilon=1e-3, data_format="NCHW"
        )[0],
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
    Case(
        "softmax_axis_1",
        lambda tf, x: tf.nn.softmax(x, axis=1),
        normals(("n", 3, 2)),
        lambda x: softmax(x, 1),
    ),
    Case("log_softmax", lambda tf, x: tf.nn.log_softmax(x), normals(("n", 5), scale=3), log_softmax),
    Case(
        "log_softmax_dim_0",
        lambda tf, x: tf.nn.log_softmax(x, dim=0),
        normals(("n", 2), scale=50),
        lambda x: log_softmax(x, 0),
        rtol=1e-5,
    ),
    Case(
        "softmax_cross_entropy",
        lambda tf, labels, x: tf.nn.softmax_cross_entropy_with_logits(
            labels=tf.stop_gradient(labels), logits=x
        ),
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
        lambda rng, n: [np.swapaxes(a, 1, 2) for a in with_distributions("n", 2, 3)(rng, n)],
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
            tf.nn.softmax_cross_entropy_with_logits(
                labels=tf.fill(tf.shape(x), tf.constant(0.25, x.dtype)), logits=x
            ),
            x,
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
        lambda tf, labels, x: tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=tf.cast(labels, tf.int64), logits=x
        ),
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
        lambda tf, labels, x: tf.nn.weighted_cross_entropy_with_logits(
            labels=labels, logits=x, pos_weight=2.5
        ),
        lambda rng, n: [rng.uniform(size=(n, 3)), rng.normal(size=(n, 3)) * 3],
        lambda labels, x: 2.5 * labels * log1p_exp(-x) + (1 - labels) * log1p_exp(x),
        atol=4e-6,
    ),
]

# --- tf.losses ------------------------------------------------------------------------------------------------------


def by_nonzero(losses, weights):
    weights = np.broadcast_to(np.float64(weights), losses.shape)
    count = (weights != 0).sum()
    return (losses * weights).sum() / count if count else 0.0


def _loss(name: str, build: Any, inputs: Any, oracle: Any, sizes: tuple[int, ...] = SIZES) -> Case:
    # tf.losses computes in float32 whatever it is given, so there is nothing to differentiate in float64
    return Case(
        f"losses_{name}",
        build,
        inputs,
        oracle,
        dtypes=("float32",),
        differentiable=False,
        sizes=sizes,
        rtol=1e-5,
    )


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
        lambda tf, a, b, w: tf.losses.absolute_difference(
            a, b, weights=w, reduction=tf.losses.Reduction.MEAN
        ),
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

CASES: list[Case] = [*ACTIVATIONS, *LAYERS, *SOFTMAX, *LOSSES]
