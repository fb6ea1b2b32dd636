"""`tf.metrics`: what predictions in [0, 1] are worth as yes-or-no predictions, above many thresholds at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .. import array, math
from ..convert import convert_to_tensor
from ..dtypes import bool_, float32
from ..state import assign_add
from ..tensor import Tensor
from ..variable_scope import variable_scope
from .shared import broadcast_weights, collected, local_variable

__all__ = [
    "auc",
    "false_negatives_at_thresholds",
    "false_positives_at_thresholds",
    "precision_at_thresholds",
    "recall_at_thresholds",
    "true_negatives_at_thresholds",
    "true_positives_at_thresholds",
]

_MARGIN = 1e-7  # how far the outermost thresholds lie outside of [0, 1]
_TINY = 1e-6  # added where a divisor may be 0
_SMALL = 1e-7  # the same, of the shares at thresholds


class Confusion(NamedTuple):
    """Hits and misses above each threshold, float32 [thresholds]."""

    true_positives: Any
    false_negatives: Any
    true_negatives: Any
    false_positives: Any


def _confusion(
    labels: Any, predictions: Any, thresholds: Sequence[float], weights: Any, wanted: Sequence[str]
) -> tuple[Confusion, Confusion]:
    """The counts so far, and the operations that add a batch to them; None where they are not `wanted`."""
    predictions = math.cast(predictions, float32)
    predictions.shape.assert_is_compatible_with(convert_to_tensor(labels).shape)
    factors = None if weights is None else array.reshape(broadcast_weights(weights, predictions), [1, -1])
    yes = array.reshape(math.cast(labels, bool_), [1, -1])
    above = math.greater(array.reshape(predictions, [1, -1]), array.reshape(convert_to_tensor(list(thresholds)), [-1, 1]))
    found = {
        "true_positives": lambda: math.logical_and(yes, above),
        "false_negatives": lambda: math.logical_and(yes, math.logical_not(above)),
        "true_negatives": lambda: math.logical_and(math.logical_not(yes), math.logical_not(above)),
        "false_positives": lambda: math.logical_and(math.logical_not(yes), above),
    }
    values: list[Any] = []
    updates: list[Any] = []
    for kind in Confusion._fields:
        if kind not in wanted:
            values.append(None)
            updates.append(None)
            continue
        hits = math.cast(found[kind](), float32)
        count = local_variable(kind, [len(thresholds)])
        values.append(array.identity(count))
        updates.append(assign_add(count, math.reduce_sum(hits if factors is None else hits * factors, 1)))
    return Confusion(*values), Confusion(*updates)


# --- counts and shares ----------------------------------------------------------------------------------------------------


def _at_thresholds(
    name: str, scope: str, needed: tuple[str, ...], share: Callable[[Confusion], Tensor], meaning: str
) -> Callable[..., tuple[Tensor, Tensor]]:
    def function(
        labels: Any,
        predictions: Any,
        thresholds: Sequence[float],
        weights: Any = None,
        metrics_collections: Any = None,
        updates_collections: Any = None,
        name: str | None = None,
    ) -> tuple[Tensor, Tensor]:
        with variable_scope(name, scope, [predictions, labels, weights]):
            values, updates = _confusion(labels, predictions, thresholds, weights, needed)
            return collected(share(values), share(updates), metrics_collections, updates_collections)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{meaning} where predictions above each of the thresholds count as yes: float32 [thresholds]."
    return function


def _count_at_thresholds(kind: str, meaning: str) -> Callable[..., tuple[Tensor, Tensor]]:
    return _at_thresholds(f"{kind}_at_thresholds", kind, (kind,), lambda found: getattr(found, kind), meaning)


true_positives_at_thresholds = _count_at_thresholds("true_positives", "The number of right yes")
false_negatives_at_thresholds = _count_at_thresholds("false_negatives", "The number of wrong no")
true_negatives_at_thresholds = _count_at_thresholds("true_negatives", "The number of right no")
false_positives_at_thresholds = _count_at_thresholds("false_positives", "The number of wrong yes")
precision_at_thresholds = _at_thresholds(
    "precision_at_thresholds",
    "precision_at_thresholds",
    ("true_positives", "false_positives"),
    lambda found: found.true_positives / (_SMALL + found.true_positives + found.false_positives),
    "The share of right ones among the yes,",
)
recall_at_thresholds = _at_thresholds(
    "recall_at_thresholds",
    "recall_at_thresholds",
    ("true_positives", "false_negatives"),
    lambda found: found.true_positives / (_SMALL + found.true_positives + found.false_negatives),
    "The share of the yes that are found,",
)


# --- the area under a curve -----------------------------------------------------------------------------------------------

_HEIGHTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "trapezoidal": lambda one, other: (one + other) / 2.0,
    "minoring": math.minimum,
    "majoring": math.maximum,
}


def auc(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    num_thresholds: int = 200,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    curve: str = "ROC",
    name: str | None = None,
    summation_method: str = "trapezoidal",
    thresholds: Sequence[float] | None = None,
) -> tuple[Tensor, Tensor]:
    """The area under the curve of hits over false alarms ("ROC") or of precision over recall ("PR"), for predictions in
    [0, 1], from its points at `num_thresholds` thresholds (`thresholds` are those between 0 and 1).

    ValueError for another curve or summation method.
    """
    if curve not in ("ROC", "PR"):
        raise ValueError(f"curve must be either ROC or PR, {curve} unknown")
    if summation_method not in _HEIGHTS:
        raise ValueError(f"Invalid summation_method: {summation_method}")
    with variable_scope(name, "auc", [labels, predictions, weights]):
        if thresholds is None:
            inner = [(i + 1) / (num_thresholds - 1) for i in range(num_thresholds - 2)]
        else:
            inner = sorted(thresholds)
        every = [0.0 - _MARGIN, *inner, 1.0 + _MARGIN]
        values, updates = _confusion(labels, predictions, every, weights, Confusion._fields)
        value, update = (_area(found, curve, _HEIGHTS[summation_method]) for found in (values, updates))
        return collected(value, update, metrics_collections, updates_collections)


def _area(found: Confusion, curve: str, height: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    positives, negatives = found.true_positives + found.false_negatives, found.false_positives + found.true_negatives
    recall = (found.true_positives + _TINY) / (positives + _TINY)
    if curve == "ROC":
        x, y = found.false_positives / (negatives + _TINY), recall
    else:
        x, y = recall, (found.true_positives + _TINY) / (found.true_positives + found.false_positives + _TINY)
    return math.reduce_sum((x[:-1] - x[1:]) * height(y[:-1], y[1:]))
