"""`tf.metrics`: how well classes are told apart, class by class; and `tf.confusion_matrix`."""

from __future__ import annotations

from typing import Any

from .. import array, math
from ..convert import convert_to_tensor
from ..dtypes import as_dtype, float32, float64, int32, int64
from ..naming import scope_of
from ..state import assign_add
from ..tensor import Tensor
from ..variable_scope import variable_scope
from .shared import alike, collected, local_variable

__all__ = ["mean_iou", "mean_per_class_accuracy"]


def confusion_matrix(
    labels: Any,
    predictions: Any,
    num_classes: Any = None,
    dtype: Any = int32,
    name: str | None = None,
    weights: Any = None,
) -> Tensor:
    """[num_classes, num_classes]: how often class i (the row) was predicted to be class j (the column), weighted.

    `num_classes` is by default one more than the largest class that occurs, and has to be given where that is not known.
    """
    wanted = as_dtype(dtype)
    with scope_of(name, "confusion_matrix", predictions, labels, num_classes, weights):
        predictions, labels = alike(convert_to_tensor(predictions), convert_to_tensor(labels))
        predictions.shape.assert_is_compatible_with(labels.shape)
        predictions, labels = math.cast(predictions, int64), math.cast(labels, int64)
        if num_classes is None:
            num_classes = math.maximum(math.reduce_max(predictions), math.reduce_max(labels)) + 1
        count = math.cast(num_classes, int64)
        ones = array.ones_like(predictions, dtype=wanted) if weights is None else math.cast(weights, wanted)
        places = array.stack([labels, predictions], axis=1)
        return array.scatter_nd(places, ones, array.stack([count, count]))


def mean_iou(
    labels: Any,
    predictions: Any,
    num_classes: int,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The mean over the classes that occur of right / (right + wrongly of that class + wrongly of another one).

    The update is the confusion matrix with a batch added.
    """
    with variable_scope(name, "mean_iou", [predictions, labels, weights]):
        total = local_variable("total_confusion_matrix", [num_classes, num_classes], float64)
        labels, predictions = (array.reshape(one, [-1]) for one in (labels, predictions))
        flat = None if weights is None else array.reshape(weights, [-1])
        update = assign_add(total, confusion_matrix(labels, predictions, num_classes, float64, weights=flat))
        rows, columns = (math.cast(math.reduce_sum(total, axis), float32) for axis in (0, 1))
        right = math.cast(math.diag_part(total), float32)
        union = rows + columns - right
        seen = math.reduce_sum(math.cast(math.not_equal(union, 0), float32))
        value = math.div_no_nan(math.reduce_sum(math.div_no_nan(right, union)), seen, name="mean_iou")
        return collected(value, update, metrics_collections, updates_collections)


def mean_per_class_accuracy(
    labels: Any,
    predictions: Any,
    num_classes: int,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The mean over all classes of the share of their examples that are predicted right."""
    with variable_scope(name, "mean_accuracy", [predictions, labels, weights]):
        labels, predictions = (array.reshape(math.cast(one, int64), [-1]) for one in (labels, predictions))
        total, count = local_variable("total", [num_classes]), local_variable("count", [num_classes])
        ones = array.ones_like(labels, dtype=float32)
        if weights is not None:
            ones = ones * array.reshape(math.cast(weights, float32), [-1])
        right = math.cast(math.equal(predictions, labels), float32) * ones
        seen = assign_add(total, array.unsorted_segment_sum(ones, labels, num_classes))
        hit = assign_add(count, array.unsorted_segment_sum(right, labels, num_classes))
        value = math.reduce_mean(math.div_no_nan(count, total), name="mean_accuracy")
        return collected(value, math.div_no_nan(hit, seen, name="update_op"), metrics_collections, updates_collections)
