"""`tf.metrics`: hits and misses of yes-or-no predictions, and the shares made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import array, math
from ..convert import convert_to_tensor
from ..dtypes import bool_, float32
from ..state import assign_add
from ..tensor import Tensor
from ..variable_scope import variable_scope
from .shared import alike, broadcast_weights, collected, local_variable, quotient

__all__ = ["false_negatives", "false_positives", "precision", "recall", "true_negatives", "true_positives"]


def _counted(name: str, label: bool, prediction: bool) -> Callable[..., tuple[Tensor, Tensor]]:
    """The metric that counts pairs of this label and this prediction."""

    def function(
        labels: Any,
        predictions: Any,
        weights: Any = None,
        metrics_collections: Any = None,
        updates_collections: Any = None,
        name: str | None = None,
    ) -> tuple[Tensor, Tensor]:
        with variable_scope(name, scope, [predictions, labels, weights]):
            predictions, labels = _truths(predictions, labels)
            found = math.logical_and(math.equal(labels, label), math.equal(predictions, prediction))
            values = math.cast(found, float32)
            if weights is not None:
                values = values * broadcast_weights(weights, values)
            count = local_variable("count")
            update = assign_add(count, math.reduce_sum(values))
            return collected(array.identity(count), update, metrics_collections, updates_collections)

    scope = name
    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"The number of predictions that are {prediction} where the label is {label}, weighted. Numbers but 0 are true."
    )
    return function


def _truths(predictions: Any, labels: Any) -> tuple[Tensor, Tensor]:
    predictions, labels = alike(math.cast(predictions, bool_), math.cast(labels, bool_))
    predictions.shape.assert_is_compatible_with(labels.shape)
    return predictions, labels


true_positives = _counted("true_positives", True, True)
true_negatives = _counted("true_negatives", False, False)
false_positives = _counted("false_positives", False, True)
false_negatives = _counted("false_negatives", True, False)


def _share(name: str, others: Callable[..., tuple[Tensor, Tensor]], meaning: str) -> Callable[..., tuple[Tensor, Tensor]]:
    """The metric true positives / (true positives + others)."""

    def function(
        labels: Any,
        predictions: Any,
        weights: Any = None,
        metrics_collections: Any = None,
        updates_collections: Any = None,
        name: str | None = None,
    ) -> tuple[Tensor, Tensor]:
        with variable_scope(name, scope, [predictions, labels, weights]):
            predictions, labels = _truths(predictions, labels)
            weights = None if weights is None else convert_to_tensor(weights)
            hits, more_hits = true_positives(labels, predictions, weights)
            misses, more_misses = others(labels, predictions, weights)
            value = quotient(hits, hits + misses, "value")
            update = quotient(more_hits, more_hits + more_misses, "update_op")
            return collected(value, update, metrics_collections, updates_collections)

    scope = name
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{meaning}, weighted; 0 before there is one. Numbers but 0 are true."
    return function


precision = _share("precision", false_positives, "The share of the positive predictions that are right")
recall = _share("recall", false_negatives, "The share of the positive labels that are predicted")
