"""Generated CUDA under review: the kernels of small programs kept as files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._programs import prepared
from tests.conftest import GOLDEN
from tfgraph.codegen.cuda.compile import compile_cuda_program
from tfgraph.codegen.signature import symbolic

pytestmark = pytest.mark.usefixtures("graph")


def cross_entropy() -> tuple[Any, Any]:
    logits = tf.placeholder(tf.float32, [None, 10], name="logits")
    labels = tf.placeholder(tf.float32, [None, 10], name="labels")
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits), name="loss")
    return [loss, tf.gradients(loss, logits)[0]], {logits: (7, 10), labels: (7, 10)}


def adam_updates() -> tuple[Any, Any]:
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    w = tf.Variable(np.ones((3, 4), np.float32), name="w")
    b = tf.Variable(np.ones(4, np.float32), name="b")
    loss = tf.reduce_sum(tf.square(tf.nn.relu(tf.matmul(x, w) + b)), name="loss")
    return [tf.train.AdamOptimizer(0.1).minimize(loss), loss], {x: (7, 3)}


def dropout() -> tuple[Any, Any]:
    x = tf.placeholder(tf.float32, [None, 64], name="x")
    return [tf.nn.dropout(x, keep_prob=0.5, seed=1, name="dropout")], {x: (7, 64)}


def first_layer() -> tuple[Any, Any]:
    x = tf.placeholder(tf.float32, [None, 9, 10, 3], name="x")
    w = tf.Variable(np.ones((3, 3, 3, 8), np.float32), name="w")
    b = tf.Variable(np.ones(8, np.float32), name="b")
    y = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME"), b))
    return [y, *tf.gradients(y, [w, b])], {x: (7, 9, 10, 3)}


PROGRAMS = (cross_entropy, adam_updates, dropout, first_layer)


def test_every_golden_file_has_a_program() -> None:
    assert {path.name for path in GOLDEN.glob("*.cu")} <= {f"{program.__name__}.cu" for program in PROGRAMS}


@pytest.mark.parametrize("program", PROGRAMS)
def test_golden(program: Callable[[], tuple[Any, Any]], golden: Callable[[str, str], None]) -> None:
    fetches, shapes = program()
    run = prepared(fetches, shapes)
    source = compile_cuda_program(run, symbolic(run, [shapes[t] for t in run.feeds])[1], {}, {}).source
    kernels = source[source.index("/* Reports a failed check") :]  # what comes before is the same in all programs
    golden(f"{program.__name__}.cu", kernels)
