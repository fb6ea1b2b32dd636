"""Rows of products of matrices, diagonals and norms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.cases import Case
from tests.cases._inputs import Arrays, block, integers, matrix, spread_out, uniform, vector


def product(rows: Any, columns: Any) -> Callable[[Any, int], Arrays]:
    return uniform(-1, 1, rows, columns)


CASES = [
    Case(
        "matmul",
        lambda tf, a, b: tf.matmul(a, b),
        product(lambda n: (n, 5), lambda n: (5, 4)),
        lambda a, b: np.einsum("ij,jk->ik", a, b),
    ),
    Case(
        "matmul, inner size",
        lambda tf, a, b: a @ b,
        product(lambda n: (3, n), lambda n: (n, 4)),
        lambda a, b: np.einsum("ij,jk->ik", a, b),
        rtol=1e-5,
        atol=5e-6,
    ),
    Case(
        "matmul, columns",
        lambda tf, a, b: tf.matmul(a, b),
        product(lambda n: (3, 5), lambda n: (5, n)),
        lambda a, b: np.einsum("ij,jk->ik", a, b),
    ),
    Case(
        "matmul, a transposed",
        lambda tf, a, b: tf.matmul(a, b, transpose_a=True),
        product(lambda n: (n, 5), lambda n: (n, 4)),
        lambda a, b: np.einsum("ji,jk->ik", a, b),
        rtol=1e-5,
        atol=5e-6,
    ),
    Case(
        "matmul, b transposed",
        lambda tf, a, b: tf.matmul(a, b, transpose_b=True),
        product(lambda n: (n, 5), lambda n: (4, 5)),
        lambda a, b: np.einsum("ij,kj->ik", a, b),
    ),
    Case(
        "matmul, both transposed",
        lambda tf, a, b: tf.matmul(a, b, True, adjoint_b=True),
        product(lambda n: (5, n), lambda n: (4, 5)),
        lambda a, b: np.einsum("ji,kj->ik", a, b),
    ),
    Case(
        "matmul of ints",
        lambda tf, a, b: tf.matmul(a, b),
        integers(-5, 5, lambda n: (n, 5), lambda n: (5, 2)),
        lambda a, b: np.einsum("ij,jk->ik", a, b),
        ("float32",),
        False,
    ),
    Case(
        "batch matmul",
        lambda tf, a, b: tf.matmul(a, b),
        product(lambda n: (2, n, 5), lambda n: (2, 5, 4)),
        lambda a, b: np.einsum("aij,ajk->aik", a, b),
    ),
    Case(
        "batch matmul, batches",
        lambda tf, a, b: tf.matmul(a, b, transpose_b=True),
        product(lambda n: (n, 2, 3, 5), lambda n: (n, 2, 4, 5)),
        lambda a, b: np.einsum("abij,abkj->abik", a, b),
    ),
    Case(
        "batch matmul, a adjoint",
        lambda tf, a, b: tf.matmul(a, b, adjoint_a=True),
        product(lambda n: (2, 5, n), lambda n: (2, 5, 4)),
        lambda a, b: np.einsum("aji,ajk->aik", a, b),
    ),
    Case(
        "batch matmul, both adjoint",
        lambda tf, a, b: tf.matmul(a, b, adjoint_a=True, adjoint_b=True),
        product(lambda n: (2, 5, n), lambda n: (2, 4, 5)),
        lambda a, b: np.einsum("aji,akj->aik", a, b),
    ),
    Case(
        "tensordot",
        lambda tf, a, b: tf.tensordot(a, b, 1),
        product(lambda n: (n, 2, 3), lambda n: (3, 4)),
        lambda a, b: np.einsum("abc,cd->abd", a, b),
    ),
    Case(
        "tensordot over axes",
        lambda tf, a, b: tf.tensordot(a, b, [[0, 2], [1, 0]]),
        product(lambda n: (3, n, 2), lambda n: (2, 3, 4)),
        lambda a, b: np.einsum("cna,acd->nd", a, b),
    ),
    Case(
        "matrix_transpose", lambda tf, a: tf.matrix_transpose(a), uniform(-1, 1, block), lambda a: np.einsum("abc->acb", a)
    ),
    Case("diag", lambda tf, x: tf.diag(x), uniform(-1, 1, vector), lambda x: np.where(np.eye(len(x)) > 0, x, 0)),
    Case(
        "diag of a matrix",
        lambda tf, x: tf.diag(x),
        uniform(-1, 1, lambda n: (n, 2)),
        lambda x: np.einsum("ij,ik,jl->ijkl", x, np.eye(len(x)), np.eye(2)),
    ),
    Case("diag_part", lambda tf, x: tf.diag_part(x), uniform(-1, 1, lambda n: (n, n)), lambda x: np.einsum("ii->i", x)),
    Case(
        "diag_part of rank 4",
        lambda tf, x: tf.diag_part(x),
        uniform(-1, 1, lambda n: (n, 2, n, 2)),
        lambda x: np.einsum("ijij->ij", x),
        sizes=(0, 1, 7),
    ),
    Case(
        "matrix_diag",
        lambda tf, x: tf.matrix_diag(x),
        uniform(-1, 1, matrix),
        lambda x: np.einsum("ij,jk->ijk", x, np.eye(3)),
    ),
    Case(
        "matrix_diag_part",
        lambda tf, x: tf.matrix_diag_part(x),
        uniform(-1, 1, lambda n: (2, n, 8)),
        lambda x: np.einsum("aii->ai", x[:, : min(x.shape[1:]), : min(x.shape[1:])]),
    ),
    Case(
        "matrix_set_diag",
        lambda tf, x, d: tf.matrix_set_diag(x, d),
        uniform(-1, 1, lambda n: (2, n, 8), lambda n: (2, min(n, 8))),
        lambda x, d: (
            x * (1 - np.eye(x.shape[1], 8))
            + np.einsum("ij,jn,jm->inm", d, np.eye(d.shape[1], x.shape[1]), np.eye(d.shape[1], 8))
        ),
    ),
    Case(
        "trace",
        lambda tf, x: tf.trace(x),
        uniform(-1, 1, lambda n: (2, n, n)),
        lambda x: np.einsum("aii->a", x),
        rtol=1e-5,
        atol=2e-6,
    ),
    Case(
        "eye",
        lambda tf, x: [tf.eye(3), tf.eye(2, 3, [2]), tf.matmul(x, tf.eye(3))],
        uniform(-1, 1, matrix),
        lambda x: [np.identity(3), np.broadcast_to(np.identity(3)[:2], (2, 2, 3)), x],
        ("float32",),
        False,
    ),
    Case(
        "norm",
        lambda tf, x: [tf.norm(x), tf.norm(x, axis=1), tf.norm(x, 1, axis=[0, 1], keepdims=True)],
        uniform(0.1, 1, matrix),
        lambda x: [(x**2).sum() ** 0.5, (x**2).sum(1) ** 0.5, np.reshape(max(x.sum(0), default=0), (1, 1))],
        rtol=1e-5,
        differentiable=False,
    ),
    Case(
        "norms of other orders",
        lambda tf, x: [tf.norm(x, 1, 1), tf.norm(x, 3, 1), tf.norm(x, np.inf, 1)],
        spread_out(matrix),
        lambda x: [np.abs(x).sum(1), (np.abs(x) ** 3).sum(1) ** (1 / 3), np.abs(x).max(1)],
        rtol=1e-5,
    ),
]
