"""`tf.losses`, sampled losses, `tf.metrics` and batch statistics on TensorFlow and here: values, gradients, collections."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.conformance._both import assert_same

pytestmark = [pytest.mark.conformance, pytest.mark.filterwarnings("ignore:The value of AUC")]

_rng = np.random.RandomState(0)
LABELS = _rng.rand(6, 4).astype(np.float32)
GUESSES = _rng.rand(6, 4).astype(np.float32)
BITS = (_rng.rand(3, 8) > 0.5).astype(np.float32)
CHANCES = _rng.rand(3, 8).astype(np.float32)
WEIGHTS = {
    "1": 1.0,
    "a number": 0.5,
    "0": 0.0,
    "rows": _rng.rand(6, 1).astype(np.float32) * (np.arange(6)[:, None] != 2),
    "elements": _rng.rand(6, 4).astype(np.float32),
}


def with_slopes(tf: Any, losses: Any, *sources: Any) -> Any:
    slopes = [tf.gradients(loss, source)[0] for loss in losses for source in sources]
    with tf.Session() as sess:
        sess.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        return sess.run([*losses, *[tf.convert_to_tensor(s) for s in slopes if s is not None]])


@pytest.mark.parametrize("weights", WEIGHTS)
def test_losses(weights: str) -> None:
    def script(tf: Any) -> Any:
        guesses, labels, w = tf.constant(GUESSES), tf.constant(LABELS), WEIGHTS[weights]
        losses = tf.losses
        found = [losses.huber_loss(labels, guesses, w, delta=0.3), losses.huber_loss(labels, 4 * guesses, w)]
        found += [losses.log_loss(labels, guesses, w), losses.log_loss(labels, guesses, w, epsilon=0.1)]
        found += [losses.hinge_loss(np.round(LABELS), 3 * guesses - 1, w), losses.absolute_difference(labels, guesses, w)]
        for reduction in tf.losses.Reduction.all():
            found.append(losses.huber_loss(labels, guesses, w, loss_collection=None, reduction=reduction))
        if weights != "elements":
            found += [losses.cosine_distance(labels, guesses, axis=1, weights=w)]
            found += [losses.mean_pairwise_squared_error(labels, guesses, w)]
        found.append(losses.get_total_loss())
        return with_slopes(tf, found, guesses)

    assert_same(script)


@pytest.mark.parametrize("num_true", [1, 2])
def test_sampled_losses(num_true: int) -> None:
    """The same candidates, the same losses, the same gradients, run after run."""

    def script(tf: Any) -> Any:
        weights = tf.Variable(_array(20, 5))
        biases, inputs = tf.Variable(_array(20)), tf.constant(_array(6, 5))
        labels = tf.constant(np.arange(6 * num_true).reshape(6, num_true), tf.int64)
        found = [tf.nn.nce_loss(weights, biases, labels, inputs, 7, 20, num_true)]
        found += [tf.nn.sampled_softmax_loss(weights, biases, labels, inputs, 7, 20, num_true, seed=3)]
        sampled = tf.nn.uniform_candidate_sampler(labels, num_true, 4, True, 20, seed=5)
        found += [tf.nn.nce_loss(weights, biases, labels, inputs, 4, 20, num_true, sampled, remove_accidental_hits=True)]
        slopes = [tf.convert_to_tensor(s) for s in tf.gradients([tf.reduce_sum(x) for x in found], [weights, biases, inputs])]
        step = tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_mean(found[0]))
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            seen = []
            for _ in range(3):
                seen.append(sess.run([*found, *slopes]))
                sess.run(step)
            return seen

    assert_same(script, "gradients", seed=2)


def _array(*shape: int) -> np.ndarray:
    return np.random.RandomState(sum(shape)).uniform(-1, 1, shape).astype(np.float32)


def test_random_choices() -> None:
    def script(tf: Any) -> Any:
        logits = tf.log(tf.constant([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]))
        found = [tf.random_shuffle(np.arange(n)) for n in (0, 1, 2, 9)] + [tf.random_shuffle(np.arange(12).reshape(6, 2), seed=1)]
        found += [tf.multinomial(logits, 6, seed=2), tf.random.categorical(logits, 3, dtype=tf.int32)]
        found += [tf.multinomial([[0.0, -np.inf, 0.0]], 8, output_dtype=tf.int32), tf.random.shuffle(logits)]
        found += tf.nn.log_uniform_candidate_sampler([[1], [5]], 1, 6, True, 20, seed=1)[:1]
        with tf.Session() as sess:
            return [sess.run(found) for _ in range(3)]

    assert_same(script, "uniform", seed=4)


def metrics_of(tf: Any) -> dict[str, Any]:
    x, y = tf.placeholder(tf.float32, [None]), tf.placeholder(tf.float32, [None])
    of, yes, few = tf.metrics, x > 0.5, [0.2, 0.5, 0.8]
    classes, guesses = tf.to_int64(4 * x), tf.to_int64(4 * y * 0.99)
    w = tf.abs(tf.sin(7 * x))
    found = {
        "precision": of.precision(y, yes), "recall": of.recall(y, yes), "weighted": of.precision(y, yes, w),
        "auc": of.auc(y, x), "auc PR": of.auc(y, x, curve="PR", summation_method="minoring"), "auc few": of.auc(y, x, w, 7),
        "iou": of.mean_iou(classes, guesses, 4), "iou w": of.mean_iou(classes, guesses, 5, w),
        "per class": of.mean_per_class_accuracy(classes, guesses, 5),
        "per class w": of.mean_per_class_accuracy(classes, guesses, 4, w),
        "relative": of.mean_relative_error(y, x, y), "cosine": of.mean_cosine_distance(y, x, 0),
        "below": of.percentage_below(x, 0.4, w), "tensor": of.mean_tensor(tf.reshape(x[:4], [2, 2])),
        "precision at": of.precision_at_thresholds(y, x, few), "recall at": of.recall_at_thresholds(y, x, few, w),
    }  # fmt: skip
    for kind in ("true_positives", "true_negatives", "false_positives", "false_negatives"):
        found[kind] = getattr(of, kind)(y, yes, w)
        found[f"{kind} at"] = getattr(of, f"{kind}_at_thresholds")(y, x, few)
    with tf.Session() as sess:
        sess.run(tf.local_variables_initializer())
        seen = []
        for chances, bits in zip(CHANCES, BITS, strict=True):
            updates = {name: pair[1] for name, pair in found.items()}
            seen.append(sess.run(updates, {x: chances, y: bits}))
            seen.append(sess.run({name: pair[0] for name, pair in found.items()}))
        return {"seen": seen, "names": sorted(v.name for v in tf.local_variables())}


def test_metrics() -> None:
    assert_same(metrics_of)


def test_statistics_and_confusion() -> None:
    def script(tf: Any) -> Any:
        x = tf.placeholder(tf.float32, [None, 3, 4])
        nn = tf.nn
        counted = nn.sufficient_statistics(x, [0, 1], shift=0.2)
        found = [*counted[:3], *nn.normalize_moments(*counted), *nn.sufficient_statistics(x, [2], keep_dims=True)[:3]]
        found += [*nn.weighted_moments(x, [0], tf.abs(x)), *nn.weighted_moments(x, [0, 2], 2.0, keep_dims=True)]
        found += tf.gradients([found[3], found[4], found[-1]], x)
        found += [tf.confusion_matrix([0, 2, 1, 2], [0, 1, 1, 2]), tf.confusion_matrix([0, 1], [1, 0], 4, tf.float32, weights=[2.0, 3.0])]
        with tf.Session() as sess:
            return sess.run(found, {x: _array(5, 3, 4)})

    assert_same(script, "gradients")
