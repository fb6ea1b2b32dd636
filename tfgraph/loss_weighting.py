"""What the losses of `tf.losses` share: the collection that they join, their weights, their reduction to one number."""

from __future__ import annotations

from numbers import Real
from typing import Any

from . import array, math
from .convert import convert_to_tensor
from .dtypes import float32
from .graph import get_default_graph
from .keys import GraphKeys
from .naming import scope_of
from .tensor import Tensor

__all__ = [
    "Reduction",
    "add_loss",
    "compute_weighted_loss",
    "get_losses",
    "get_regularization_loss",
    "get_regularization_losses",
    "get_total_loss",
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
        by_weights = (cls.SUM_OVER_NONZERO_WEIGHTS, cls.SUM_BY_NONZERO_WEIGHTS)
        return cls.NONE, cls.SUM, cls.MEAN, cls.SUM_OVER_BATCH_SIZE, *by_weights

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
        check_broadcastable(weights, losses)
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


def check_broadcastable(weights: Any, losses: Tensor) -> None:
    """ValueError for weights that do not fit the losses, see `compute_weighted_loss`."""
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
