"""`tf.metrics`: averages over the runs of an evaluation, kept in local variables.

Each function gives two tensors: the value so far, and an operation that takes a batch in and gives the value after it.
`tf.local_variables_initializer()` starts an evaluation.
"""

from __future__ import annotations

from typing import Any

from . import array, math
from .aliases.names import missing_from
from .control_flow import control_dependencies
from .convert import convert_to_tensor
from .dtypes import float32, float64
from .graph import get_default_graph
from .keys import GraphKeys
from .state import assign_add
from .tensor import Tensor
from .variable_scope import variable_scope
from .variables import Variable

__all__ = ["accuracy", "mean", "mean_absolute_error", "mean_squared_error", "root_mean_squared_error"]


def _local(name: str) -> Variable:
    keys = [GraphKeys.LOCAL_VARIABLES, GraphKeys.METRIC_VARIABLES]
    return Variable(array.zeros([], float32), trainable=False, collections=keys, name=name)


def _collected(value: Tensor, update: Tensor, value_keys: Any, update_keys: Any) -> tuple[Tensor, Tensor]:
    graph = get_default_graph()
    for key in value_keys or ():
        graph.add_to_collection(key, value)
    for key in update_keys or ():
        graph.add_to_collection(key, update)
    return value, update


def _quotient(total: Any, count: Any, name: str) -> Tensor:
    """total / count, 0 where nothing has been counted."""
    return math.div_no_nan(total, count, name=name)


def _mean(values: Any, weights: Any) -> tuple[Tensor, Tensor]:
    values = math.cast(values, float32)
    total, count = _local("total"), _local("count")
    if weights is None:
        number = math.cast(array.size(values), float32)
    else:
        weights = math.cast(weights, float32)
        if values.shape.ndims is not None and weights.shape.ndims == values.shape.ndims - 1:
            weights = array.expand_dims(weights, -1)
        weights = weights * array.ones_like(values)
        values, number = values * weights, math.reduce_sum(weights)
    added = assign_add(total, math.reduce_sum(values))
    with control_dependencies([values]):
        counted = assign_add(count, number)
    return _quotient(total, count, "value"), _quotient(added, counted, "update_op")


def mean(
    values: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The weighted mean of all `values` seen; `weights` broadcast against them."""
    with variable_scope(name, "mean", [values, weights]):
        return _collected(*_mean(convert_to_tensor(values), weights), metrics_collections, updates_collections)


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
        predictions, labels = _alike(convert_to_tensor(predictions), convert_to_tensor(labels))
        predictions.shape.assert_is_compatible_with(labels.shape)
        if labels.dtype != predictions.dtype:
            predictions = math.cast(predictions, labels.dtype)
        is_right = math.cast(math.equal(predictions, labels), float32)
        return _collected(*_mean(is_right, weights), metrics_collections, updates_collections)


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
        return _collected(*_mean(errors, weights), metrics_collections, updates_collections)


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
        value, update = _mean(math.squared_difference(*_floats(predictions, labels)), weights)
        return _collected(math.sqrt(value), math.sqrt(update), metrics_collections, updates_collections)


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
        return _collected(*_mean(math.abs(one - other), weights), metrics_collections, updates_collections)


def _floats(predictions: Any, labels: Any) -> tuple[Tensor, Tensor]:
    predictions, labels = _alike(convert_to_tensor(predictions), convert_to_tensor(labels))
    kind = float64 if predictions.dtype.base_dtype == float64 else float32
    return math.cast(predictions, kind), math.cast(labels, kind)


def _alike(predictions: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the same rank: a last axis of size 1 that only one of them has is dropped."""
    ranks = predictions.shape.ndims, labels.shape.ndims
    if None not in ranks:
        if ranks[0] == ranks[1] + 1 and predictions.shape[-1].value == 1:  # type: ignore[operator]
            predictions = array.squeeze(predictions, [-1])
        elif ranks[1] == ranks[0] + 1 and labels.shape[-1].value == 1:  # type: ignore[operator]
            labels = array.squeeze(labels, [-1])
    return predictions, labels


__getattr__ = missing_from(__name__, __all__)
