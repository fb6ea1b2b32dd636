"""`tf.metrics`: what an evaluation over many runs adds up, kept in local variables.

Each function gives two tensors: the value so far, and an operation that takes a batch in and gives the value after it.
`tf.local_variables_initializer()` starts an evaluation.
"""

from ..aliases.names import missing_from
from .classes import mean_iou, mean_per_class_accuracy
from .counts import false_negatives, false_positives, precision, recall, true_negatives, true_positives
from .means import (
    accuracy,
    mean,
    mean_absolute_error,
    mean_cosine_distance,
    mean_relative_error,
    mean_squared_error,
    mean_tensor,
    percentage_below,
    root_mean_squared_error,
)
from .thresholds import (
    auc,
    false_negatives_at_thresholds,
    false_positives_at_thresholds,
    precision_at_thresholds,
    recall_at_thresholds,
    true_negatives_at_thresholds,
    true_positives_at_thresholds,
)

__all__ = [
    "accuracy", "auc", "false_negatives", "false_negatives_at_thresholds", "false_positives",
    "false_positives_at_thresholds", "mean", "mean_absolute_error", "mean_cosine_distance", "mean_iou",
    "mean_per_class_accuracy", "mean_relative_error", "mean_squared_error", "mean_tensor", "percentage_below", "precision",
    "precision_at_thresholds", "recall", "recall_at_thresholds", "root_mean_squared_error", "true_negatives",
    "true_negatives_at_thresholds", "true_positives", "true_positives_at_thresholds",
]  # fmt: skip

__getattr__ = missing_from(__name__, __all__)
