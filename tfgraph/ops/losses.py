"""Softmax over the last axis, the cross entropies with it, and half the sum of squares."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import FLOATS, int32, int64
from ..errors import InvalidArgumentError, fail
from ..opdef import REQUIRED, Call, composite, primitive, same, scalar
from ..shapes import Dims, broadcast_dims, merge_dim, show, with_rank
from .compare import equal, select
from .functions import exp, log
from .reduce import max_, sum_
from .sequence import iota_beside, zeros_like
from .shape import expand_dims

SHOWN_LABELS = 1000  # in the text of an error


def _shifted(logits: Any) -> Any:
    """Logits less their maximum, so that no exponential overflows."""
    return logits - max_(logits, [-1], keep_dims=True)


def _row_sum(x: Any) -> Any:
    return sum_(x, [-1], keep_dims=True)


def _at_least_a_row(call: Call) -> list[Dims | None]:
    dims = call.shape("logits")
    if dims == ():
        fail("Shape must be at least rank 1 but is rank 0", "logits must have >= 1 dimension, got 0")
    return [dims]


@composite("Softmax", "logits: T -> softmax: T", shape=_at_least_a_row, T=FLOATS)
def softmax(call: Call, logits: Any) -> Any:
    """exp(logits) over its sum along the last axis"""
    powers = exp(_shifted(logits))
    return powers / _row_sum(powers)


@softmax.gradient
def _softmax_gradient(op: Any, dy: Any) -> Any:
    y = op.outputs[0]
    return [(dy - _row_sum(dy * y)) * y]


@composite("LogSoftmax", "logits: T -> logsoftmax: T", shape=_at_least_a_row, T=FLOATS)
def log_softmax(call: Call, logits: Any) -> Any:
    """The logarithm of softmax"""
    shifted = _shifted(logits)
    return shifted - log(_row_sum(exp(shifted)))


@log_softmax.gradient
def _log_softmax_gradient(op: Any, dy: Any) -> Any:
    return [dy - _row_sum(dy) * exp(op.outputs[0])]


# --- cross entropy with distributions -----------------------------------------------------------------------------


def _xent_shape(call: Call) -> list[Dims | None]:
    logits, labels = call.shape("features"), call.shape("labels")
    if logits is not None and labels is not None:
        sizes = f"logits_size={show(logits)} labels_size={show(labels)}"
        for size, label_size in zip(logits, labels, strict=False):
            if 1 not in (size, label_size):
                merge_dim(size, label_size, f"logits and labels must be same size: {sizes}")
    dims = with_rank(broadcast_dims(logits, labels), 2, "logits must be 2-dimensional")
    return [dims[:1], dims]


@composite(
    "SoftmaxCrossEntropyWithLogits",
    "features: T, labels: T -> loss: T, backprop: T",
    shape=_xent_shape,
    T=FLOATS,
)
def softmax_cross_entropy_with_logits(call: Call, logits: Any, labels: Any) -> Any:
    """loss = -sum of labels * log(softmax(logits)) per row; backprop = its gradient, softmax(logits) - labels"""
    shifted = _shifted(logits)
    powers = exp(shifted)
    total = _row_sum(powers)
    return sum_(labels * (log(total) - shifted), [1]), powers / total - labels


def _per_row(loss_gradient: Any, rows: Any) -> Any:
    return expand_dims(loss_gradient, -1) * rows


def _is_zero(gradient: Any) -> bool:
    """True where nothing came back: only a gradient of a gradient uses the output `backprop`."""
    return gradient is None or gradient.op.type == "ZerosLike"


def _through_softmax(logits: Any, d_softmax: Any) -> Any:
    y = softmax(logits)
    return (d_softmax - _row_sum(d_softmax * y)) * y


@softmax_cross_entropy_with_logits.gradient
def _softmax_cross_entropy_gradient(op: Any, d_loss: Any, d_backprop: Any) -> Any:
    logits = op.inputs[0]
    d_logits = _per_row(d_loss, op.outputs[1])
    d_labels = _per_row(d_loss, -log_softmax(logits))
    if not _is_zero(d_backprop):
        d_logits = d_logits + _through_softmax(logits, d_backprop)
        d_labels = d_labels - d_backprop
    return d_logits, d_labels


# --- cross entropy with class numbers -----------------------------------------------------------------------------


@primitive(
    "_CheckLabels",
    "labels: T -> output: T",
    kernel="check_labels",
    shape=same,
    effect="check",
    T=(int32, int64),
    classes=REQUIRED,
)
def check_labels(call: Call, labels: np.ndarray) -> np.ndarray:
    """The labels, all of which are in [0, classes); InvalidArgumentError otherwise"""
    classes = call.attr("classes")
    wrong = labels[(labels < 0) | (labels >= classes)]
    if wrong.size:
        shown = " ".join(str(label) for label in labels[:SHOWN_LABELS]) + (
            "..." if labels.size > SHOWN_LABELS else ""
        )
        text = (
            f"Received a label value of {wrong[0]} which is outside the valid range of [0, {classes}).  "
            f"Label values: {shown}"
        )
        raise InvalidArgumentError(None, None, text)  # type: ignore[call-arg]
    return labels


def _sparse_xent_shape(call: Call) -> list[Dims | None]:
    logits, labels = call.shape("features"), call.shape("labels")
    run = f"labels must be 1-D, but got shape {show(labels)}"
    (rows,) = with_rank(labels, 1, run)
    batch, classes = with_rank(logits, 2, f"logits must be 2-D, but got shape {show(logits)}")
    texts = f"got logits shape {show(logits)} and labels shape {show(labels)}"
    batch = merge_dim(batch, rows, f"logits and labels must have the same first dimension, {texts}")
    if classes == 0 and batch != 0:
        fail(
            "Must have at least one class",
            f"Must have at least one class, but got logits shape {show(logits)}",
        )
    return [(batch,), (batch, classes)]


@composite(
    "SparseSoftmaxCrossEntropyWithLogits",
    "features: T, labels: Tlabels -> loss: T, backprop: T",
    shape=_sparse_xent_shape,
    T=FLOATS,
    Tlabels=(int32, int64),
)
def sparse_softmax_cross_entropy_with_logits(call: Call, logits: Any, labels: Any) -> Any:
    """The same with all of each row's probability on one class, whose number is the label"""
    classes = call.shape("features")[1]
    labels = expand_dims(check_labels(labels, classes=classes), 1)
    chosen = equal(labels, iota_beside(labels, classes, labels.dtype.base_dtype))
    shifted = _shifted(logits)
    powers = exp(shifted)
    total = _row_sum(powers)
    probability = powers / total
    loss = sum_(select(chosen, log(total) - shifted, zeros_like(shifted)), [1])
    return loss, select(chosen, probability - 1, probability)


@sparse_softmax_cross_entropy_with_logits.gradient
def _sparse_softmax_cross_entropy_gradient(op: Any, d_loss: Any, d_backprop: Any) -> Any:
    d_logits = _per_row(d_loss, op.outputs[1])
    if not _is_zero(d_backprop):
        d_logits = d_logits + _through_softmax(op.inputs[0], d_backprop)
    return d_logits, None


# --- half the sum of squares --------------------------------------------------------------------------------------


@composite("L2Loss", "t: T -> output: T", shape=scalar, T=FLOATS)
def l2_loss(call: Call, t: Any) -> Any:
    """sum(t * t) / 2"""
    return sum_(t * t, np.arange(len(t.dims), dtype=np.int32)) * 0.5


@l2_loss.gradient
def _l2_loss_gradient(op: Any, d: Any) -> Any:
    return [op.inputs[0] * d]
