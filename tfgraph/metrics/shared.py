"""What the metrics share: local variables, collections, quotients, shapes that fit each other."""

from __future__ import annotations

from typing import Any

from .. import array, math
from ..dtypes import float32
from ..graph import get_default_graph
from ..keys import GraphKeys
from ..tensor import Tensor
from ..variables import Variable


def local_variable(name: str, shape: Any = (), dtype: Any = float32) -> Variable:
    """A variable that starts at zeros with an evaluation."""
    keys = [GraphKeys.LOCAL_VARIABLES, GraphKeys.METRIC_VARIABLES]
    return Variable(array.zeros(shape, dtype), trainable=False, collections=keys, name=name)


def collected(value: Any, update: Any, value_keys: Any, update_keys: Any) -> tuple[Any, Any]:
    """Both, added to the collections of these names."""
    graph = get_default_graph()
    for key in value_keys or ():
        graph.add_to_collection(key, value)
    for key in update_keys or ():
        graph.add_to_collection(key, update)
    return value, update


def quotient(total: Any, count: Any, name: str) -> Tensor:
    """total / count, 0 where nothing has been counted."""
    return math.div_no_nan(total, count, name=name)


def broadcast_weights(weights: Any, values: Tensor) -> Tensor:
    """One float32 weight for each value; a last axis that only the values have is added."""
    weights = math.cast(weights, float32)
    if values.shape.ndims is not None and weights.shape.ndims == values.shape.ndims - 1:
        weights = array.expand_dims(weights, -1)
    return weights * array.ones_like(values)


def alike(predictions: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the same rank: a last axis of size 1 that only one of them has is dropped."""
    ranks = predictions.shape.ndims, labels.shape.ndims
    if None not in ranks:
        if ranks[0] == ranks[1] + 1 and predictions.shape[-1].value == 1:  # type: ignore[operator]
            predictions = array.squeeze(predictions, [-1])
        elif ranks[1] == ranks[0] + 1 and labels.shape[-1].value == 1:  # type: ignore[operator]
            labels = array.squeeze(labels, [-1])
    return predictions, labels
