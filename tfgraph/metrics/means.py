"""`tf.metrics`: running means of values, of hits and of errors."""

from __future__ import annotations

from typing import Any

from .. import array, math
from ..control_flow import control_dependencies
from ..convert import convert_to_tensor
from ..dtypes import float32, float64
from ..state import assign_add
from ..tensor import Tensor
from ..variable_scope import variable_scope
from .shared import alike, broadcast_weights, collected, local_variable, quotient

__all__ = [
    "accuracy",
    "mean",
    "mean_absolute_error",
    "mean_cosine_distance",
    "mean_relative_error",
    "mean_squared_error",
    "mean_tensor",
    "percentage_below",
    "root_mean_squared_error",
]


def running_mean(values: Any, weights: Any) -> tuple[Tensor, Tensor]:
    values = math.cast(values, float32)
    total, count = local_variable("total"), local_variable("count")
    if weights is None:
        number = math.cast(array.size(values), float32)
    else:
        weights = broadcast_weights(weights, values)
        values, number = values * weights, math.reduce_sum(weights)
    added = assign_add(total, math.reduce_sum(values))
    with control_dependencies([values]):
        counted = assign_add(count, number)
    return quotient(total, count, "value"), quotient(added, counted, "update_op")


def mean(
    values: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The weighted mean of all `values` seen; `weights` broadcast against them."""
    with variable_scope(name, "mean", [values, weights]):
        return collected(*running_mean(convert_to_tensor(values), weights), metrics_collections, updates_collections)


def accuracy(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The share of `predictions` that equal their `labels`. ValueError where the shapes do not fit."""
    with variable_scope(name, "accuracy", [predictions, labels, weights]):
        predictions, labels = alike(convert_to_tensor(predictions), convert_to_tensor(labels))
        predictions.shape.assert_is_compatible_with(labels.shape)
        if labels.dtype != predictions.dtype:
            predictions = math.cast(predictions, labels.dtype)
        is_right = math.cast(math.equal(predictions, labels), float32)
        return collected(*running_mean(is_right, weights), metrics_collections, updates_collections)


def mean_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The mean of (predictions - labels)^2."""
    with variable_scope(name, "mean_squared_error", [predictions, labels, weights]):
        errors = math.squared_difference(*_floats(predictions, labels))
        return collected(*running_mean(errors, weights), metrics_collections, updates_collections)


def root_mean_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The square root of the mean of (predictions - labels)^2."""
    with variable_scope(name, "root_mean_squared_error", [predictions, labels, weights]):
        value, update = running_mean(math.squared_difference(*_floats(predictions, labels)), weights)
        return collected(math.sqrt(value), math.sqrt(update), metrics_collections, updates_collections)


def mean_absolute_error(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The mean of |predictions - labels|."""
    with variable_scope(name, "mean_absolute_error", [predictions, labels, weights]):
        one, other = _floats(predictions, labels)
        return collected(*running_mean(math.abs(one - other), weights), metrics_collections, updates_collections)


def _floats(predictions: Any, labels: Any) -> tuple[Tensor, Tensor]:
    predictions, labels = alike(convert_to_tensor(predictions), convert_to_tensor(labels))
    kind = float64 if predictions.dtype.base_dtype == float64 else float32
    return math.cast(predictions, kind), math.cast(labels, kind)


def mean_relative_error(
    labels: Any,
    predictions: Any,
    normalizer: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The mean of |labels - predictions| / normalizer, 0 where the normalizer is."""
    with variable_scope(name, "mean_relative_error", [predictions, labels, weights]):
        one, other = _floats(predictions, labels)
        divisor = math.cast(normalizer, one.dtype.base_dtype)
        errors = math.div_no_nan(math.abs(other - one), divisor * array.ones_like(one))
        return collected(*running_mean(errors, weights), metrics_collections, updates_collections)


def mean_cosine_distance(
    labels: Any,
    predictions: Any,
    dim: int,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """1 - the mean of the sums of labels * predictions along `dim`; both are taken to have length 1 there."""
    with variable_scope(name, "mean_cosine_distance", [predictions, labels, weights]):
        one, other = _floats(predictions, labels)
        products = math.reduce_sum(math.multiply(one, other), [dim], keepdims=True)
        value, update = running_mean(products, weights)
        return collected(1.0 - value, 1.0 - update, metrics_collections, updates_collections)


def percentage_below(
    values: Any,
    threshold: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The share of `values` below the threshold, from 0 to 1."""
    with variable_scope(name, "percentage_below_threshold", [values, weights]):
        values = convert_to_tensor(values)
        is_below = math.cast(math.less(values, math.cast(threshold, values.dtype.base_dtype)), float32)
        return collected(*running_mean(is_below, weights), metrics_collections, updates_collections)


def mean_tensor(
    values: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The mean of each element over all batches; `values` has a known shape."""
    with variable_scope(name, "mean", [values, weights]):
        values = math.cast(values, float32)
        total, count = (local_variable(kind, values.shape) for kind in ("total_tensor", "count_tensor"))
        number = array.ones_like(values) if weights is None else broadcast_weights(weights, values)
        added, counted = assign_add(total, values * number), assign_add(count, number)
        return collected(
            quotient(total, count, "value"), quotient(added, counted, "update_op"), metrics_collections, updates_collections
        )
