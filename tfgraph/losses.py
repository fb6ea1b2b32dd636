"""`tf.losses`: weighted losses that collect themselves in the graph's collection "losses"."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from typing import Any

from . import array, math, nn
from .aliases.names import missing_from
from .convert import convert_to_tensor
from .cross_entropy import (
    sigmoid_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits_v2,
    sparse_softmax_cross_entropy_with_logits,
)
from .dtypes import float32
from .keys import GraphKeys
from .loss_weighting import (
    Reduction,
    add_loss,
    check_broadcastable,
    compute_weighted_loss,
    get_losses,
    get_regularization_loss,
    get_regularization_losses,
    get_total_loss,
)
from .naming import scope_of
from .ops.identity import stop_gradient
from .spellings import either
from .tensor import Tensor

__all__ = [
    "Reduction",
    "absolute_difference",
    "add_loss",
    "compute_weighted_loss",
    "cosine_distance",
    "get_losses",
    "get_regularization_loss",
    "get_regularization_losses",
    "get_total_loss",
    "hinge_loss",
    "huber_loss",
    "log_loss",
    "mean_pairwise_squared_error",
    "mean_squared_error",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "sparse_softmax_cross_entropy",
]


def _need(**arguments: Any) -> None:
    for name, value in arguments.items():
        if value is None:
            raise ValueError(f"{name} must not be None.")


def absolute_difference(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """|predictions - labels|, weighted and averaged."""
    with _of_predictions(scope, "absolute_difference", labels, predictions, weights) as (inner, labels, predictions):
        distances = math.abs(math.subtract(predictions, labels))
        return compute_weighted_loss(distances, weights, inner, loss_collection, reduction)


def mean_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """(predictions - labels)^2, weighted and averaged."""
    with _of_predictions(scope, "mean_squared_error", labels, predictions, weights) as (inner, labels, predictions):
        squares = math.squared_difference(predictions, labels)
        return compute_weighted_loss(squares, weights, inner, loss_collection, reduction)


def huber_loss(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    delta: float = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """error^2 / 2 up to |error| = delta and a straight line from there on, weighted and averaged."""
    with _of_predictions(scope, "huber_loss", labels, predictions, weights) as (inner, labels, predictions):
        distances = math.abs(math.subtract(predictions, labels))
        curved = math.minimum(distances, delta)
        straight = distances - curved
        return compute_weighted_loss(
            0.5 * curved * curved + delta * straight, weights, inner, loss_collection, reduction
        )


def log_loss(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    epsilon: float = 1e-07,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """The cross-entropy of labels and predicted probabilities, weighted and averaged; `epsilon` keeps logarithms finite."""
    with _of_predictions(scope, "log_loss", labels, predictions, weights) as (inner, labels, predictions):
        of_ones = math.multiply(labels, math.log(predictions + epsilon))
        of_zeros = math.multiply(1 - labels, math.log(1 - predictions + epsilon))
        return compute_weighted_loss(-of_ones - of_zeros, weights, inner, loss_collection, reduction)


def cosine_distance(
    labels: Any,
    predictions: Any,
    axis: int | None = None,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
    dim: int | None = None,
) -> Tensor:
    """1 - the sum of labels * predictions along `axis`, weighted and averaged; both are taken to have length 1 there.

    ValueError without an axis.
    """
    axis = either("axis", axis, "dim", dim)
    if axis is None:
        raise ValueError("You must specify 'axis'.")
    with _of_predictions(scope, "cosine_distance_loss", labels, predictions, weights) as (inner, labels, predictions):
        distances = 1 - math.reduce_sum(math.multiply(predictions, labels), axis=[axis], keepdims=True)
        return compute_weighted_loss(distances, weights, inner, loss_collection, reduction)


def mean_pairwise_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
) -> Tensor:
    """The mean squared difference between the errors of all pairs of elements of an example, summed over the examples.

    Weights are scalar, [batch] or [batch, 1, ...].
    """
    with _of_predictions(scope, "mean_pairwise_squared_error", labels, predictions, weights) as (_, labels, predictions):
        factors = math.cast(weights, float32)
        check_broadcastable(factors, labels)
        errors = math.subtract(predictions, labels)
        axes = array.range(1, array.rank(errors))
        present = math.cast(math.not_equal(factors, 0.0), float32) * array.ones_like(errors)
        count = math.reduce_sum(present, axes, keepdims=True)
        squares = math.reduce_sum(math.square(errors), axes, keepdims=True)
        square = math.square(math.reduce_sum(errors, axes, keepdims=True))
        fewer = math.maximum(count - 1, 0)
        apart = 2.0 * math.div_no_nan(squares, fewer) - 2.0 * math.div_no_nan(square, count * fewer)
        total = math.reduce_sum(math.multiply(apart, factors))
        loss = array.where(math.reduce_sum(count) > 0, total, array.zeros_like(total), name="value")
        add_loss(loss, loss_collection)
        return loss


@contextmanager
def _of_predictions(
    scope: str | None, default: str, labels: Any, predictions: Any, weights: Any
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """The scope of a loss, the labels and the predictions in float32; ValueError unless they have one shape."""
    _need(labels=labels, predictions=predictions)
    with scope_of(scope, default, predictions, labels, weights) as inner:
        predictions, labels = math.cast(predictions, float32), math.cast(labels, float32)
        predictions.shape.assert_is_compatible_with(labels.shape)
        yield inner, labels, predictions


def hinge_loss(
    labels: Any,
    logits: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """max(0, 1 - label * logit) where the labels 0 and 1 stand for -1 and 1, weighted and averaged."""
    _need(labels=labels, logits=logits)
    with scope_of(scope, "hinge_loss", logits, labels, weights) as inner:
        logits, labels = math.cast(logits, float32), math.cast(labels, float32)
        logits.shape.assert_is_compatible_with(labels.shape)
        ones = array.ones_like(labels)
        distances = nn.relu(math.subtract(ones, math.multiply(math.subtract(2 * labels, ones), logits)))
        return compute_weighted_loss(distances, weights, inner, loss_collection, reduction)


def sigmoid_cross_entropy(
    multi_class_labels: Any,
    logits: Any,
    weights: Any = 1.0,
    label_smoothing: float = 0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """`tf.nn.sigmoid_cross_entropy_with_logits`, weighted and averaged; smoothing moves the labels towards 1/2."""
    _need(multi_class_labels=multi_class_labels, logits=logits)
    with scope_of(scope, "sigmoid_cross_entropy_loss", logits, multi_class_labels, weights) as inner:
        labels, logits = _like_logits(multi_class_labels, logits)
        if label_smoothing > 0:
            labels = labels * (1 - label_smoothing) + 0.5 * label_smoothing
        entropies = sigmoid_cross_entropy_with_logits(labels=labels, logits=logits, name="xentropy")
        return compute_weighted_loss(entropies, weights, inner, loss_collection, reduction)


def softmax_cross_entropy(
    onehot_labels: Any,
    logits: Any,
    weights: Any = 1.0,
    label_smoothing: float = 0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """`tf.nn.softmax_cross_entropy_with_logits`, weighted and averaged; smoothing moves the labels towards 1/classes."""
    _need(onehot_labels=onehot_labels, logits=logits)
    with scope_of(scope, "softmax_cross_entropy_loss", logits, onehot_labels, weights) as inner:
        labels, logits = _like_logits(onehot_labels, logits)
        if label_smoothing > 0:
            classes = math.cast(array.shape(labels)[-1], logits.dtype.base_dtype)
            labels = labels * (1.0 - label_smoothing) + label_smoothing / classes
        labels = stop_gradient(labels, name="labels_stop_gradient")
        entropies = softmax_cross_entropy_with_logits_v2(labels=labels, logits=logits, name="xentropy")
        return compute_weighted_loss(entropies, weights, inner, loss_collection, reduction)


def _like_logits(labels: Any, logits: Any) -> tuple[Tensor, Tensor]:
    """The labels in the dtype of the logits, and the logits; ValueError unless they have one shape."""
    logits = convert_to_tensor(logits)
    labels = math.cast(labels, logits.dtype.base_dtype)
    logits.shape.assert_is_compatible_with(labels.shape)
    return labels, logits


def sparse_softmax_cross_entropy(
    labels: Any,
    logits: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """`tf.nn.sparse_softmax_cross_entropy_with_logits`, weighted and averaged.

    A last axis of size 1 that labels or weights have too many is dropped.
    """
    _need(labels=labels, logits=logits)
    with scope_of(scope, "sparse_softmax_cross_entropy_loss", logits, labels, weights) as inner:
        logits, labels = convert_to_tensor(logits), convert_to_tensor(labels)
        if logits.dims is not None:
            labels = _without_last_one(labels, len(logits.dims) - 1)
        if not isinstance(weights, Real) and labels.dims is not None:
            weights = _without_last_one(convert_to_tensor(weights), len(labels.dims))
        entropies = sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits, name="xentropy")
        return compute_weighted_loss(entropies, weights, inner, loss_collection, reduction)


def _without_last_one(x: Tensor, rank: int) -> Tensor:
    """`x` without its last axis if it has one more than `rank` and the last has, or may have, size 1."""
    if x.dims is not None and len(x.dims) == rank + 1 and x.dims[-1] in (1, None):
        return array.squeeze(x, [-1])
    return x


__getattr__ = missing_from(__name__, __all__)
