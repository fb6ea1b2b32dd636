"""Products of matrices, and diagonals."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import FLOATS, NUMBERS, bool_, int32, int64
from ..errors import fail
from ..opdef import Call, composite, primitive, view
from ..shapes import Dims, element_count, merge_dim, merge_dims, show, with_rank
from .compare import select_v2
from .shape import expand_dims, reshape_to

_FACTORS = (*FLOATS, int32, int64)


# --- products --------------------------------------------------------------------------------------------------------


def _matmul_shape(call: Call) -> list[Dims | None]:
    a, b = call.shape("a"), call.shape("b")
    a = with_rank(a, 2, f"In[0] is not a matrix. Instead it has shape {show(a)}")
    b = with_rank(b, 2, f"In[1] is not a matrix. Instead it has shape {show(b)}")
    rows, inner = a[::-1] if call.attr("transpose_a") else a
    other, columns = b[::-1] if call.attr("transpose_b") else b
    merge_dim(inner, other, f"Matrix size-incompatible: In[0]: {show(a)}, In[1]: {show(b)}")
    return [(rows, columns)]


@primitive("MatMul", "a: T, b: T -> product: T", "matmul", _matmul_shape, T=_FACTORS, transpose_a=False, transpose_b=False)
def matmul(call: Call, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """the matrix product a b, each transposed first if so asked: (n, k) (k, m) -> (n, m)"""
    return (a.T if call.attr("transpose_a") else a) @ (b.T if call.attr("transpose_b") else b)


# for each pair (transpose_a, transpose_b), what makes da and db: two operands, and whether each is transposed; operands
# 0 and 1 are a and b, 2 is the gradient of the product
_MATMUL_GRADIENTS: dict[tuple[bool, bool], tuple[tuple[int, int, bool, bool], tuple[int, int, bool, bool]]] = {
    (False, False): ((2, 1, False, True), (0, 2, True, False)),
    (False, True): ((2, 1, False, False), (2, 0, True, False)),
    (True, False): ((1, 2, False, True), (0, 2, False, False)),
    (True, True): ((1, 2, True, True), (2, 0, True, True)),
}


@matmul.gradient
def _matmul_gradient(op: Any, g: Any) -> Any:
    operands = (*op.inputs, g)
    rules = _MATMUL_GRADIENTS[bool(op.attr("transpose_a")), bool(op.attr("transpose_b"))]
    return [
        matmul(operands[left], operands[right], transpose_a=flip_left, transpose_b=flip_right)
        for left, right, flip_left, flip_right in rules
    ]


def _batch_matmul_shape(call: Call) -> list[Dims | None]:
    x, y = call.shape("x"), call.shape("y")
    if x is None or y is None:
        return [None]
    run = f"In[0] mismatch In[1] shape: {show(x)} {show(y)}"
    for dims in (x, y):
        if len(dims) < 2:
            with_rank(dims, 2, f"In[0] and In[1] must have at least 2 dimensions: {show(dims)}")
    batch = merge_dims(x[:-2], y[:-2], run)
    rows, inner = x[-2:][::-1] if call.attr("adj_x") else x[-2:]
    other, columns = y[-2:][::-1] if call.attr("adj_y") else y[-2:]
    merge_dim(inner, other, run)
    return [(*(batch or ()), rows, columns)]


@primitive("BatchMatMul", "x: T, y: T -> output: T", "matmul", _batch_matmul_shape, T=_FACTORS, adj_x=False, adj_y=False)
def batch_matmul(call: Call, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """the products of the matrices in the last two dimensions: (..., n, k) (..., k, m) -> (..., n, m)"""
    return (np.swapaxes(x, -1, -2) if call.attr("adj_x") else x) @ (np.swapaxes(y, -1, -2) if call.attr("adj_y") else y)


@batch_matmul.gradient
def _batch_matmul_gradient(op: Any, g: Any) -> Any:
    operands = (*op.inputs, g)
    rules = _MATMUL_GRADIENTS[bool(op.attr("adj_x")), bool(op.attr("adj_y"))]
    return [
        batch_matmul(operands[left], operands[right], adj_x=flip_left, adj_y=flip_right, name="MatMul")
        for left, right, flip_left, flip_right in rules
    ]


# --- diagonals of the last two dimensions ----------------------------------------------------------------------------


def _matrix_diag_shape(call: Call) -> list[Dims | None]:
    dims = call.shape("diagonal")
    if dims is None:
        return [None]
    if not dims:
        fail("Shape must be at least rank 1 but is rank 0")
    return [(*dims, dims[-1])]


@composite("MatrixDiag", "diagonal: T -> output: T", _matrix_diag_shape, T=(*NUMBERS, bool_))
def matrix_diag(call: Call, diagonal: Any) -> Any:
    """square matrices, zero but for their diagonals: (..., n) -> (..., n, n)"""
    size = int(call.shape("diagonal")[-1])
    return _put_on_diagonal(call, diagonal, size, size, np.zeros((), call.dtype("diagonal").as_numpy_dtype))


def _put_on_diagonal(call: Call, diagonal: Any, rows: int, columns: int, elsewhere: Any) -> Any:
    rank = call.rank("diagonal")
    assert rank is not None
    # the shorter side has the diagonal's length, the other repeats it; off the diagonal it does not show
    repeated = expand_dims(diagonal, rank if rows <= columns else rank - 1)
    return select_v2(np.eye(rows, columns, dtype=bool), repeated, elsewhere)


def _matrix_diag_part_shape(call: Call) -> list[Dims | None]:
    dims = call.shape("input")
    if dims is None:
        return [None]
    if len(dims) < 2:
        fail(f"Shape must be at least rank 2 but is rank {len(dims)}")
    rows, columns = dims[-2:]
    return [(*dims[:-2], None if rows is None or columns is None else min(rows, columns))]


@view("MatrixDiagPart", "input: T -> diagonal: T", _matrix_diag_part_shape, T=(*NUMBERS, bool_))
def matrix_diag_part(call: Call, x: Any) -> Any:
    """the diagonals of matrices: (..., n, m) -> (..., min(n, m))"""
    *batch, rows, columns = x.dims
    # neighbours on the diagonal are one row and one column apart
    return x.reshape((*batch, rows * columns)).slice(len(batch), 0, min(rows, columns), columns + 1)


def _matrix_set_diag_shape(call: Call) -> list[Dims | None]:
    dims, diagonal = call.shape("input"), call.shape("diagonal")
    if dims is None or diagonal is None:
        return [dims]
    if len(dims) < 2:
        fail(f"Shape must be at least rank 2 but is rank {len(dims)}")
    rows, columns = dims[-2:]
    merge_dims((*dims[:-2], None if rows is None or columns is None else min(rows, columns)), diagonal)
    return [dims]


@composite("MatrixSetDiag", "input: T, diagonal: T -> output: T", _matrix_set_diag_shape, T=(*NUMBERS, bool_))
def matrix_set_diag(call: Call, x: Any, diagonal: Any) -> Any:
    """matrices with other diagonals: (..., n, m), (..., min(n, m)) -> (..., n, m)"""
    rows, columns = (int(d) for d in call.shape("input")[-2:])
    return _put_on_diagonal(call, diagonal, rows, columns, x)


@matrix_diag.gradient
def _matrix_diag_gradient(op: Any, dy: Any) -> Any:
    return matrix_diag_part(dy)


@matrix_diag_part.gradient
def _matrix_diag_part_gradient(op: Any, dy: Any) -> Any:
    from .sequence import zeros_like

    return matrix_set_diag(zeros_like(op.inputs[0]), dy)


@matrix_set_diag.gradient
def _matrix_set_diag_gradient(op: Any, dy: Any) -> Any:
    from .sequence import zeros_like

    return matrix_set_diag(dy, zeros_like(op.inputs[1])), matrix_diag_part(dy)


# --- diagonals of whole tensors --------------------------------------------------------------------------------------


def _diag_shape(call: Call) -> list[Dims | None]:
    dims = call.shape("diagonal")
    return [None if dims is None else (*dims, *dims)]


@composite("Diag", "diagonal: T -> output: T", _diag_shape, T=NUMBERS)
def diag(call: Call, diagonal: Any) -> Any:
    """output[i..., i...] = diagonal[i...], zero elsewhere"""
    dims = call.shape("diagonal")
    if len(dims) == 1:
        return matrix_diag(diagonal)
    return reshape_to(matrix_diag(reshape_to(diagonal, dims=(element_count(dims),))), dims=(*dims, *dims))


def _diag_part_shape(call: Call) -> list[Dims | None]:
    dims = call.shape("input")
    if dims is None:
        return [None]
    half, odd = divmod(len(dims), 2)
    if odd or not dims:
        fail(f"Input must have even and non-zero rank, input rank is {len(dims)}")
    return [merge_dims(dims[:half], dims[half:])]


@view("DiagPart", "input: T -> diagonal: T", _diag_part_shape, T=NUMBERS)
def diag_part(call: Call, x: Any) -> Any:
    """diagonal[i...] = input[i..., i...]"""
    dims = x.dims[: len(x.dims) // 2]
    count = element_count(dims)
    return x.reshape((count * count,)).slice(0, 0, count, count + 1).reshape(dims)


@diag.gradient
def _diag_gradient(op: Any, dy: Any) -> Any:
    return diag_part(dy)


@diag_part.gradient
def _diag_part_gradient(op: Any, dy: Any) -> Any:
    return diag(dy)
