"""`tf.nn`: losses over very many classes, of which only the true ones and some sampled ones are looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from . import array, math
from .convert import convert_to_tensor
from .cross_entropy import sigmoid_cross_entropy_with_logits, softmax_cross_entropy_with_logits_v2
from .dtypes import int64
from .naming import scope_of
from .opdef import OpDef
from .ops import sampling
from .ops.identity import stop_gradient
from .random import seed_attributes
from .tensor import Tensor

__all__ = ["log_uniform_candidate_sampler", "nce_loss", "sampled_softmax_loss", "uniform_candidate_sampler"]


class Candidates(NamedTuple):
    """Sampled classes int64 [num_sampled], and how often the true classes [batch, num_true] and they are expected."""

    sampled_candidates: Tensor
    true_expected_count: Tensor
    sampled_expected_count: Tensor


def _sampler(public_name: str, op: OpDef, meaning: str) -> Callable[..., Candidates]:
    def function(
        true_classes: Any,
        num_true: int,
        num_sampled: int,
        unique: bool,
        range_max: int,
        seed: int | None = None,
        name: str | None = None,
    ) -> Candidates:
        limits = {"num_true": num_true, "num_sampled": num_sampled, "unique": unique, "range_max": range_max}
        return Candidates(*op(true_classes, name=name, **limits, **seed_attributes(seed)))

    function.__name__ = function.__qualname__ = public_name
    function.__doc__ = f"{meaning} `num_sampled` of [0, range_max), all different if `unique`; ValueError if too few."
    return function


log_uniform_candidate_sampler = _sampler(
    "log_uniform_candidate_sampler",
    sampling.log_uniform_candidate_sampler,
    "Classes, small ones more often: the distribution of words that are numbered by their frequency.",
)
uniform_candidate_sampler = _sampler(
    "uniform_candidate_sampler", sampling.uniform_candidate_sampler, "Classes that are all equally probable."
)


def nce_loss(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int = 1,
    sampled_values: Any = None,
    remove_accidental_hits: bool = False,
    partition_strategy: str = "mod",
    name: str = "nce_loss",
) -> Tensor:
    """The noise-contrastive loss of each example, [batch]: true classes are told apart from sampled ones.

    `weights` [classes, size], `biases` [classes], `labels` [batch, num_true], `inputs` [batch, size]. Classes are sampled by
    `log_uniform_candidate_sampler` unless `sampled_values` are given. NotImplementedError for weights in several parts.
    """
    with scope_of(name, "nce_loss", weights, biases, inputs, labels):
        found = _logits_and_labels(
            weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values, remove_accidental_hits, None
        )
        losses = sigmoid_cross_entropy_with_logits(labels=found[1], logits=found[0], name="sampled_losses")
        return math.reduce_sum(losses, 1)


def sampled_softmax_loss(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int = 1,
    sampled_values: Any = None,
    remove_accidental_hits: bool = True,
    partition_strategy: str = "mod",
    name: str = "sampled_softmax_loss",
    seed: int | None = None,
) -> Tensor:
    """The cross-entropy of each example, [batch], over its true classes and the sampled ones; see `nce_loss`."""
    with scope_of(name, "sampled_softmax_loss", weights, biases, inputs, labels):
        found = _logits_and_labels(
            weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values, remove_accidental_hits, seed
        )
        return softmax_cross_entropy_with_logits_v2(labels=stop_gradient(found[1]), logits=found[0])


def _logits_and_labels(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int,
    sampled_values: Any,
    remove_accidental_hits: bool,
    seed: int | None,
) -> tuple[Tensor, Tensor]:
    """[batch, num_true + num_sampled] each: logits less the logarithms of expected counts, labels that sum to 1."""
    table, bias = _whole(weights), _whole(biases)
    inputs = convert_to_tensor(inputs, name="inputs")
    labels = math.cast(convert_to_tensor(labels, name="labels"), int64)
    if sampled_values is None:
        sampled_values = log_uniform_candidate_sampler(labels, num_true, num_sampled, True, num_classes, seed)
    sampled, true_count, sampled_count = (stop_gradient(value) for value in sampled_values)
    sampled, flat = math.cast(sampled, int64), array.reshape(labels, [-1])

    rows = array.reshape(array.gather(table, flat), [-1, num_true, table.shape[1].value])
    of_true = math.reduce_sum(array.expand_dims(inputs, 1) * rows, 2)
    of_true += array.reshape(array.gather(bias, flat), [-1, num_true])
    of_sampled = math.matmul(inputs, array.gather(table, sampled), transpose_b=True) + array.gather(bias, sampled)
    if remove_accidental_hits:
        hit = math.reduce_any(math.equal(array.expand_dims(labels, 2), array.reshape(sampled, [1, 1, -1])), 1)
        of_sampled += math.cast(hit, of_sampled.dtype.base_dtype) * of_sampled.dtype.base_dtype.min
    logits = array.concat([of_true - math.log(true_count), of_sampled - math.log(sampled_count)], 1)
    wanted = array.concat([array.ones_like(of_true) / num_true, array.zeros_like(of_sampled)], 1)
    return logits, wanted


def _whole(table: Any) -> Any:
    if isinstance(table, (list, tuple)):
        if len(table) != 1:
            raise NotImplementedError("sampled losses take weights and biases in one part each")
        table = table[0]
    return convert_to_tensor(table)
