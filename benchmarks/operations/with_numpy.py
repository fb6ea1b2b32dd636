"""The kernel cases in NumPy, where one call or two say the same; matrix products are OpenBLAS's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..kernel_cases import Case
from . import matmul_operands, numbers, row_indices

Call = Callable[[], Any]


def build(case: Case, threads: int) -> Call:
    """The call of a case; KeyError if it has no operation here."""
    return OPERATIONS[case.operation](case.sizes)


def _matmul(sizes: Mapping[str, Any]) -> Call:
    a, b = matmul_operands(sizes)
    a = a.swapaxes(-1, -2) if sizes["transpose_a"] else a
    b = b.swapaxes(-1, -2) if sizes["transpose_b"] else b
    result = np.matmul(a, b)
    return lambda: np.matmul(a, b, out=result)


def _unary(function: Callable[..., Any]) -> Callable[[Mapping[str, Any]], Call]:
    def operation(sizes: Mapping[str, Any]) -> Call:
        x, result = numbers(sizes["count"]), np.zeros(sizes["count"], np.float32)
        return lambda: function(x, out=result)

    return operation


def _add(sizes: Mapping[str, Any]) -> Call:
    x, y = numbers(sizes["count"]), numbers(sizes["count"], seed=1)
    result = np.zeros_like(x)
    return lambda: np.add(x, y, out=result)


def _chain(sizes: Mapping[str, Any]) -> Call:
    x, y = numbers(sizes["count"]), numbers(sizes["count"], seed=1)
    return lambda: np.maximum(2 * x + np.float32(0.5), 0) * (1 - x) + y


def _reduced(function: Callable[[np.ndarray], Any]) -> Callable[[Mapping[str, Any]], Call]:
    def operation(sizes: Mapping[str, Any]) -> Call:
        x = numbers(*sizes["shape"])
        return lambda: function(x)

    return operation


def _uniform(sizes: Mapping[str, Any]) -> Call:
    rng, result = np.random.default_rng(0), np.zeros(sizes["count"], np.float32)
    return lambda: rng.random(out=result, dtype=np.float32)


def _normal(sizes: Mapping[str, Any]) -> Call:
    rng, result = np.random.default_rng(0), np.zeros(sizes["count"], np.float32)
    return lambda: rng.standard_normal(out=result, dtype=np.float32)


def _gather(sizes: Mapping[str, Any]) -> Call:
    table, rows = numbers(*sizes["table"]), row_indices(sizes)
    result = np.zeros((sizes["rows"], sizes["table"][1]), np.float32)
    return lambda: np.take(table, rows, axis=0, out=result, mode="clip")


def _scatter_add(sizes: Mapping[str, Any]) -> Call:
    rows, x = row_indices(sizes), numbers(sizes["rows"], sizes["table"][1])
    result = np.zeros(sizes["table"], np.float32)

    def call() -> None:
        result[...] = 0
        np.add.at(result, rows, x)

    return call


def _transpose(sizes: Mapping[str, Any]) -> Call:
    x = numbers(*sizes["shape"])
    view = x.transpose(sizes["axes"])
    result = np.zeros(view.shape, np.float32)
    return lambda: np.copyto(result, view)


def _cumsum(sizes: Mapping[str, Any]) -> Call:
    x = numbers(*sizes["shape"])
    result = np.zeros_like(x)
    return lambda: np.cumsum(x, 1, out=result)


def _concat(sizes: Mapping[str, Any]) -> Call:
    parts = [numbers(*sizes["shape"]), numbers(*sizes["shape"], seed=1)]
    result = np.concatenate(parts, 1)
    return lambda: np.concatenate(parts, 1, out=result)


OPERATIONS: dict[str, Callable[[Mapping[str, Any]], Call]] = {
    "matmul": _matmul,
    "add": _add,
    "chain": _chain,
    "tanh": _unary(np.tanh),
    "exp": _unary(np.exp),
    "sum": _reduced(np.sum),
    "sum_rows": _reduced(lambda x: x.sum(1)),
    "sum_columns": _reduced(lambda x: x.sum(0)),
    "max_rows": _reduced(lambda x: x.max(1)),
    "argmax_rows": _reduced(lambda x: x.argmax(1)),
    "cumsum": _cumsum,
    "random_uniform": _uniform,
    "random_normal": _normal,
    "gather": _gather,
    "scatter_add": _scatter_add,
    "transpose": _transpose,
    "concat": _concat,
    "pad": _reduced(lambda x: np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))),
}
