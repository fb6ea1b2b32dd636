"""`tf.test`: a test case that compares arrays, and gradients checked by differences."""

# ruff: noqa: PT009, PT027 (this is a unittest.TestCase, whose methods are meant)

from __future__ import annotations

import re
import tempfile
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from . import errors
from .graph import Graph
from .tensor import Tensor

__all__ = [
    "TestCase",
    "compute_gradient",
    "compute_gradient_error",
    "get_temp_dir",
    "gpu_device_name",
    "is_built_with_cuda",
    "is_gpu_available",
    "main",
    "mock",
]


def main(argv: Any = None) -> None:
    """Run the tests of the script."""
    unittest.main(argv=argv)


def get_temp_dir() -> str:
    """A new folder for temporary files."""
    return tempfile.mkdtemp()


def is_built_with_cuda() -> bool:
    return False


def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: Any = None) -> bool:
    return gpu_device_name() != ""


def gpu_device_name() -> str:
    """The name of the first GPU, "" if there is none."""
    from . import Session

    with Session(graph=Graph()) as sess:
        return next((device.name for device in sess.list_devices() if device.device_type == "GPU"), "")


class TestCase(unittest.TestCase):
    """`unittest.TestCase` with a fresh default graph for each test, sessions, and comparisons of arrays."""

    def setUp(self) -> None:
        self._graph = Graph().as_default()
        self._graph.__enter__()
        self.addCleanup(self._graph.__exit__, None, None, None)

    @contextmanager
    def session(
        self, graph: Any = None, config: Any = None, use_gpu: bool = False, force_gpu: bool = False
    ) -> Iterator[Any]:
        """A session that is the default one inside."""
        from . import Session

        with Session(graph=graph, config=config) as sess:
            yield sess

    cached_session = session

    def test_session(self, *args: Any, **kwargs: Any) -> Any:
        """`session`; its name looks like a test's, so a test runner calls it as well."""
        if self._testMethodName == "test_session":
            self.skipTest("test_session is no test; it is what tests call")
        return self.session(*args, **kwargs)

    def get_temp_dir(self) -> str:
        """A folder for this test, which is removed after it."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name

    def evaluate(self, tensors: Any) -> Any:
        """The values of tensors in the default session."""
        from .graph import get_default_session

        sess = get_default_session()
        if sess is None:
            raise ValueError("evaluate needs a default session: `with self.session():`")
        return sess.run(tensors)

    def _value(self, value: Any) -> np.ndarray:
        return np.asarray(self.evaluate(value) if hasattr(value, "graph") else value)

    def assertAllEqual(self, a: Any, b: Any, msg: str | None = None) -> None:
        """The same shape and the same elements; NaN equals NaN."""
        np.testing.assert_array_equal(self._value(a), self._value(b), err_msg=msg or "")

    def assertAllClose(self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, msg: str | None = None) -> None:
        """The same structure, and |a - b| <= atol + rtol |b| for all elements."""
        if isinstance(a, dict) and isinstance(b, dict):
            self.assertEqual(a.keys(), b.keys(), msg)
            for key in a:
                self.assertAllClose(a[key], b[key], rtol, atol, f"[{key!r}] {msg or ''}")
            return
        if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
            shapes = {np.shape(v) for v in (*a, *b) if not hasattr(v, "graph")}
            if len(shapes) > 1:
                for i, (one, other) in enumerate(zip(a, b, strict=True)):
                    self.assertAllClose(one, other, rtol, atol, f"[{i}] {msg or ''}")
                return
        one, other = self._value(a), self._value(b)
        self.assertEqual(one.shape, other.shape, msg)
        np.testing.assert_allclose(one, other, rtol, atol, err_msg=msg or "")

    def assertNotAllClose(self, a: Any, b: Any, **options: Any) -> None:
        with self.assertRaises(AssertionError):
            self.assertAllClose(a, b, **options)

    def assertNear(self, f1: float, f2: float, err: float, msg: str | None = None) -> None:
        self.assertTrue(f1 == f2 or abs(f1 - f2) <= err, f"{f1!r} != {f2!r} +/- {err!r} {msg or ''}")

    def assertArrayNear(self, farray1: Any, farray2: Any, err: float, msg: str | None = None) -> None:
        self.assertEqual(len(farray1), len(farray2), msg)
        for one, other in zip(farray1, farray2, strict=True):
            self.assertNear(float(one), float(other), err, msg)

    def assertShapeEqual(self, np_array: np.ndarray, tf_tensor: Tensor, msg: str | None = None) -> None:
        self.assertEqual(list(np_array.shape), tf_tensor.get_shape().as_list(), msg)

    @contextmanager
    def assertRaisesWithPredicateMatch(self, exception_type: Any, expected_err_re_or_predicate: Any) -> Iterator[None]:
        """An error of this type whose text has the pattern, or which the predicate accepts."""
        expected = expected_err_re_or_predicate
        try:
            yield
        except exception_type as error:
            found = expected(error) if callable(expected) else re.search(expected, str(error))
            self.assertTrue(found, f"{type(error).__name__}: {error}")
        else:
            self.fail(f"{exception_type} not raised")

    def assertRaisesOpError(self, expected_err_re_or_predicate: Any) -> Any:
        return self.assertRaisesWithPredicateMatch(errors.OpError, expected_err_re_or_predicate)


def compute_gradient(
    x: Any,
    x_shape: Any,
    y: Any,
    y_shape: Any,
    x_init_value: Any = None,
    delta: float = 1e-3,
    init_targets: Any = None,
    extra_feed_dict: Any = None,
) -> Any:
    """(the Jacobian that `tf.gradients` gives, the one by differences), each [elements of x, elements of y].

    `x` and `x_shape` may be lists; then the result is a list. Needs a default session.
    """
    if isinstance(x, (list, tuple)):
        inits = x_init_value or [None] * len(x)
        given = [np.random.random_sample(shape) if value is None else value for value, shape in zip(inits, x_shape)]
        feeds = {**(extra_feed_dict or {}), **dict(zip(x, given))}
        return [
            compute_gradient(one, shape, y, y_shape, value, delta, init_targets, feeds)
            for one, shape, value in zip(x, x_shape, given, strict=True)
        ]
    from .array import placeholder
    from .gradients import gradients
    from .graph import get_default_session

    sess = get_default_session()
    if sess is None:
        raise ValueError("compute_gradient needs a default session: `with self.session():`")
    if init_targets is not None:
        sess.run(init_targets)
    kind = x.dtype.base_dtype.as_numpy_dtype
    at = np.asarray(np.random.random_sample(x_shape) if x_init_value is None else x_init_value, kind)
    extra = dict(extra_feed_dict or {})
    outer = placeholder(y.dtype.base_dtype, list(y_shape))
    (dx,) = gradients(y, [x], grad_ys=[outer])
    size, out = int(np.prod(x_shape)), int(np.prod(y_shape))
    by_rule, by_steps = np.zeros((size, out), kind), np.zeros((size, out), kind)
    for j in range(out):
        seed = np.zeros(out, kind)
        seed[j] = 1
        if dx is not None:
            by_rule[:, j] = sess.run(dx, {**extra, x: at, outer: seed.reshape(y_shape)}).ravel()
    for i in range(size):
        values = []
        for sign in (1, -1):
            moved = at.copy()
            moved.flat[i] += sign * delta
            values.append(sess.run(y, {**extra, x: moved}).ravel())
        by_steps[i] = (values[0] - values[1]) / (2 * delta)
    return by_rule, by_steps


def compute_gradient_error(x: Any, x_shape: Any, y: Any, y_shape: Any, *args: Any, **kwargs: Any) -> float:
    """The largest difference between the Jacobian that `tf.gradients` gives and the one by differences."""
    found = compute_gradient(x, x_shape, y, y_shape, *args, **kwargs)
    pairs = found if isinstance(found, list) else [found]
    return max((float(np.max(np.abs(a - b), initial=0.0)) for a, b in pairs), default=0.0)

