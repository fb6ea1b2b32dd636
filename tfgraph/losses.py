"""`tf.losses`: weighted losses that collect themselves in the graph's collection "losses"."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from typing import Any

from . import array, math
from .aliases.names import missing_from
from .convert import convert_to_tensor
from .cross_entropy import (
    sigmoid_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits_v2,
    sparse_softmax_cross_entropy_with_logits,
)
from .dtypes import float32
from .graph import get_default_graph
from .keys import GraphKeys
from .naming import scope_of
from .ops.identity import stop_gradient
from .tensor import Tensor

__all__ = [
    "Reduction",
    "absolute_difference",
    "add_loss",
    "compute_weighted_loss",
    "get_losses",
    "get_regularization_loss",
    "get_regularization_losses",
    "get_total_loss",
    "mean_squared_error",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "sparse_softmax_cross_entropy",
]


class Reduction:
    """How the losses of the elements become one loss."""

    NONE = "none"  # they do not
    SUM = "weighted_sum"
    SUM_OVER_BATCH_SIZE = "weighted_sum_over_batch_size"  # divided by the number of elements
    MEAN = "weighted_mean"  # divided by the sum of the weights
    SUM_BY_NONZERO_WEIGHTS = (
        "weighted_sum_by_nonzero_weights"  # divided by the number of weights that are not 0
    )
    SUM_OVER_NONZERO_WEIGHTS = SUM_BY_NONZERO_WEIGHTS

    @classmethod
    def all(cls) -> tuple[str, ...]:
        return cls.NONE, cls.SUM, cls.MEAN, cls.SUM_OVER_BATCH_SIZE, cls.SUM_BY_NONZERO_WEIGHTS

    @classmethod
    def validate(cls, key: str) -> None:
        """ValueError for anything else."""
        if key not in cls.all():
            raise ValueError(f"Invalid Reduction Key {key}.")


# --- the collection -------------------------------------------------------------------------------------------------


def add_loss(loss: Any, loss_collection: str | None = GraphKeys.LOSSES) -> None:
    """Add a tensor to the collected losses."""
    if loss_collection:
        get_default_graph().add_to_collection(loss_collection, loss)


def get_losses(scope: str | None = None, loss_collection: str = GraphKeys.LOSSES) -> list[Any]:
    """The collected losses, those in `scope` only if it is given."""
    return get_default_graph().get_collection(loss_collection, scope)


def get_regularization_losses(scope: str | None = None) -> list[Any]:
    """The losses that the regularizers of variables collected."""
    return get_default_graph().get_collection(GraphKeys.REGULARIZATION_LOSSES, scope)


def get_regularization_loss(scope: str | None = None, name: str = "total_regularization_loss") -> Tensor:
    """The sum of the regularization losses, 0 if there are none."""
    found = get_regularization_losses(scope)
    return math.add_n(found, name=name) if found else convert_to_tensor(0.0)


def get_total_loss(
    add_regularization_losses: bool = True, name: str = "total_loss", scope: str | None = None
) -> Tensor:
    """The sum of the collected losses, and of the regularization losses; ValueError if there are none."""
    found = get_losses(scope)
    if add_regularization_losses:
        found = found + get_regularization_losses(scope)
    return math.add_n(found, name=name)


# --- weighting ------------------------------------------------------------------------------------------------------


def compute_weighted_loss(
    losses: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """losses * weights, reduced to a scalar (unless `reduction` is NONE) in float32, in the dtype of the losses.

    `weights` is a scalar, or has the rank of the losses and each size either 1 or theirs; ValueError otherwise.
    """
    Reduction.validate(reduction)
    with scope_of(scope, "weighted_loss", losses, weights):
        losses = convert_to_tensor(losses)
        _check_broadcastable(weights, losses)
        values = math.cast(losses, float32)
        factors = math.cast(weights, float32)
        total = math.multiply(values, factors)
        if reduction != Reduction.NONE:
            total = math.reduce_sum(total)
        if reduction == Reduction.MEAN:
            total = _safe_mean(total, math.reduce_sum(array.ones_like(values) * factors))
        elif reduction == Reduction.SUM_BY_NONZERO_WEIGHTS:
            total = _safe_mean(total, _count_present(values, weights))
        elif reduction == Reduction.SUM_OVER_BATCH_SIZE:
            total = _safe_mean(total, _count(values))
        total = math.cast(total, losses.dtype.base_dtype)
        add_loss(total, loss_collection)
        return total


def _check_broadcastable(weights: Any, losses: Tensor) -> None:
    if weights is None:
        raise ValueError("weights must not be None")
    sizes = getattr(convert_to_tensor(weights), "dims", None) if not isinstance(weights, Real) else ()
    if not sizes or losses.dims is None:
        return
    problem = "weights can not be broadcast to values."
    if len(sizes) != len(losses.dims):
        raise ValueError(
            f"{problem} values.rank={len(losses.dims)}. weights.rank={len(sizes)}. values.shape={losses.shape}."
        )
    for axis, (size, wanted) in enumerate(zip(sizes, losses.dims, strict=True)):
        if size not in (1, None) and wanted is not None and size != wanted:
            raise ValueError(
                f"{problem} Mismatch at dim {axis}. values.shape={losses.shape}, weights.shape={sizes}."
            )


def _count(values: Tensor) -> Tensor:
    return math.cast(array.size(values, name="num_elements"), float32)


def _count_present(values: Tensor, weights: Any) -> Tensor:
    """The number of losses whose weight is not 0, as a float32 scalar."""
    if isinstance(weights, Real) and weights != 0:
        return _count(values)
    with scope_of(None, "num_present", values):
        factors = math.cast(weights, float32)
        present = math.cast(math.not_equal(factors, 0.0), float32)
        return math.reduce_sum(present * array.ones_like(values))


def _safe_mean(total: Tensor, count: Tensor) -> Tensor:
    return math.div_no_nan(total, count, name="value")


# --- losses ---------------------------------------------------------------------------------------------------------


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
