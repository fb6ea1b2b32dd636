"""What an explanation says of fusions: which there are, by the names of the user's nodes, and why there is none."""

from __future__ import annotations

import numpy as np
import pytest

import tfgraph as tf
from tests._explained import array, constant, default_environment, explained, fed  # noqa: F401  a fixture among them
from tfgraph.runtime.explain_text import ranges_text

pytestmark = pytest.mark.usefixtures("graph", "environment")


def test_dropout() -> None:
    x = fed(20)
    hidden = tf.nn.dropout(tf.nn.relu(tf.matmul(x, constant(20, 64)), name="act"), keep_prob=0.5, name="drop")
    y = tf.matmul(hidden, constant(64, 48))
    gradient = tf.gradients(tf.nn.l2_loss(y), x)[0]
    found = explained([y, gradient], {x: array(5, 20)})
    drawing = [kernel for kernel in found.kernels if kernel.fused]
    assert len(drawing) == 2
    for kernel in drawing:
        assert "drawn here, never stored: drop/random_uniform/RandomUniform" in kernel.fused
        assert "computed again instead of loaded: drop/GreaterEqual" in kernel.fused
        assert kernel.kind == "matmul"
    assert "drawn here, never stored" in str(found)
    assert "drawn here, never stored" in found.to_json()


def test_a_training_loss() -> None:
    x, labels = fed(10), fed(10, name="labels")
    bias = tf.Variable(np.zeros(10, np.float32), name="bias")
    losses = tf.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=x + bias)
    loss = tf.reduce_mean(losses, name="loss")
    gradient = tf.gradients(loss, bias, name="back")[0]
    (kernel,) = explained([loss, gradient], {x: array(5, 10), labels: array(5, 10)}).kernels
    said = "\n".join(kernel.fused)
    assert "of all rows, in the sweep over them: loss, back/add_grad/" in said
    assert "computed before the loops: back/loss_grad/RealDiv" in said


def test_sums_and_residuals() -> None:
    x = fed(6, 6, 8)
    sums = [tf.reduce_sum(x, [0, 1, 2], name="sum"), tf.reduce_sum(x * x, [0, 1, 2], name="squares")]
    (kernel,) = explained(sums, {x: array(2, 6, 6, 8)}).kernels
    assert kernel.fused == ("in one sweep: sum, squares",)
    y = tf.nn.relu(tf.nn.conv2d(x, constant(3, 3, 8, 8), [1, 1, 1, 1], "SAME") + tf.identity(x))
    (kernel,) = explained(y, {x: array(2, 6, 6, 8)}).kernels
    assert kernel.fused == (f"added where the result is stored: {x.op.name}",)


def test_why_numbers_go_through_memory() -> None:
    x = fed(20)
    y = tf.reduce_sum(tf.nn.dropout(x, keep_prob=0.5, name="drop"), 0)
    kernels = explained(y, {x: array(5, 20)}).kernels
    (reason,) = kernels[0].not_fused
    assert reason.reason == "reduce makes no random numbers"


def test_gradients_of_biases() -> None:
    x, bias = fed(20), tf.Variable(np.zeros(64, np.float32), name="bias")
    hidden = tf.nn.relu(tf.matmul(x, tf.Variable(array(20, 64), name="weights")) + bias)
    train = tf.train.GradientDescentOptimizer(0.1).minimize(tf.nn.l2_loss(tf.matmul(hidden, constant(64, 48))))
    found = explained(train, {x: array(5, 20)})
    (kernel,) = [k for k in found.kernels if "GradientDescent/update_weights/ApplyGradientDescent" in k.nodes]
    (said,) = kernel.fused
    assert said.startswith("of the gradient that is loaded anyway: gradients/add_grad/")
    assert "GradientDescent/update_bias/ApplyGradientDescent" in kernel.nodes


def test_kernels_that_are_launched_together() -> None:
    variables = [tf.Variable(np.ones(size, np.float32)) for size in (50_000, 40_000, 30_000)]
    clipped, _ = tf.clip_by_global_norm(tf.gradients(tf.add_n([tf.nn.l2_loss(v) for v in variables]), variables), 1.0)
    train = tf.train.AdamOptimizer(0.1).apply_gradients(zip(clipped, variables, strict=True))
    found = explained(train, {})
    updating = [k for k in found.kernels if any(node.endswith("ApplyAdam") for node in k.nodes)]
    assert len(updating) == 3
    for kernel in updating:
        others = {other.index for other in updating} - {kernel.index}
        assert others <= set(kernel.launched_with)
        assert kernel.index not in kernel.launched_with
        assert f"launched together with {ranges_text(kernel.launched_with)}" in str(found)
    x = fed(20)
    assert [k.launched_with for k in explained(tf.tanh(x), {x: array(5, 20)}).kernels] == [()]


def test_numbers_of_kernels_for_reading() -> None:
    assert ranges_text([4]) == "kernel 4"
    assert ranges_text([4, 5]) == "kernels 4, 5"
    assert ranges_text([2, 4, 5, 6, 9]) == "kernels 2, 4 to 6, 9"
