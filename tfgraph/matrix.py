"""The public matrix functions: `tf.matmul`, `tf.eye`, diagonals, `tf.tensordot`, `tf.norm`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import dtypes
from .convert import to_tensor
from .dtypes import as_dtype
from .naming import scope_of
from .ops import linalg
from .ops.functions import abs_, sqrt
from .ops.math import minimum, mul, pow_
from .ops.shape import fill, rank, reshape, shape, squeeze, transpose
from .reduction import reduce_max, reduce_prod, reduce_sum
from .shapes import normalise_axis
from .spellings import either
from .tensor import Tensor


def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    name: str | None = None,
) -> Any:
    """The matrix product of `a` and `b`, each transposed first if so asked: (n, k) (k, m) -> (n, m).

    With more than two dimensions the last two are multiplied, and the others are equal: (..., n, k) (..., k, m) ->
    (..., n, m). ValueError for shapes that do not fit. The `is_sparse` hints change nothing.
    """
    del a_is_sparse, b_is_sparse
    if transpose_a and adjoint_a:
        raise ValueError("Only one of transpose_a and adjoint_a can be True.")
    if transpose_b and adjoint_b:
        raise ValueError("Only one of transpose_b and adjoint_b can be True.")
    # the adjoint of a real matrix is its transpose
    flip_a, flip_b = bool(transpose_a or adjoint_a), bool(transpose_b or adjoint_b)
    if _is_batch(a) and _is_batch(b):
        return linalg.batch_matmul(a, b, adj_x=flip_a, adj_y=flip_b, name=name or "MatMul")
    return linalg.matmul(a, b, transpose_a=flip_a, transpose_b=flip_b, name=name)


def _is_batch(value: Any) -> bool:
    """True for more than two dimensions, and for a number of them that is not known yet."""
    if hasattr(value, "dims"):
        return value.dims is None or len(value.dims) > 2
    return _depth(value) > 2


def _depth(value: Any) -> int:
    """The rank of nested lists, whose leaves may be tensors."""
    if isinstance(value, (list, tuple)) and value:
        return 1 + _depth(value[0])
    return np.ndim(value) if isinstance(value, np.ndarray) else len(getattr(value, "dims", None) or ())


# --- diagonals -------------------------------------------------------------------------------------------------------


def eye(
    num_rows: Any, num_columns: Any = None, batch_shape: Any = None, dtype: Any = dtypes.float32, name: str | None = None
) -> Tensor:
    """Identity matrices, `batch_shape` + [num_rows, num_columns]; `num_columns` is `num_rows` by default."""
    with scope_of(name, "eye", num_rows, num_columns, batch_shape):
        square = num_columns is None or (not hasattr(num_rows, "dims") and num_columns == num_rows)
        columns = num_rows if square else num_columns
        short = num_rows if square else _lesser(num_rows, columns)
        ones = _filled(batch_shape, [short], 1, dtype, "ones")
        if square:
            return linalg.matrix_diag(ones, name="diag")
        return linalg.matrix_set_diag(_filled(batch_shape, [num_rows, columns], 0, dtype, "zeros"), ones, name="set_diag")


def _lesser(a: Any, b: Any) -> Any:
    return minimum(a, b) if hasattr(a, "dims") or hasattr(b, "dims") else min(a, b)


def _filled(batch_shape: Any, sizes: list[Any], value: int, dtype: Any, name: str) -> Tensor:
    """A tensor of shape batch_shape + sizes full of `value`."""
    number = np.asarray(value, as_dtype(dtype).as_numpy_dtype)
    if hasattr(batch_shape, "dims"):
        from .ops.join import concat_v2

        return fill(concat_v2([batch_shape, to_tensor(sizes, dtypes.int32, "sizes")], 0, name="concat"), number, name=name)
    dims = [*(batch_shape or ()), *sizes]
    if any(hasattr(d, "dims") for d in dims):
        return fill(to_tensor(dims, dtypes.int32, "dims"), number, name=name)
    return to_tensor(np.full([int(d) for d in dims], number), name=name)


def diag(diagonal: Any, name: str | None = None) -> Any:
    """A tensor of twice the rank, output[i..., i...] = diagonal[i...] and 0 elsewhere."""
    return linalg.diag(diagonal, name=name)


def diag_part(input: Any, name: str | None = None) -> Any:
    """The diagonal of a tensor of even rank: output[i...] = input[i..., i...]."""
    return linalg.diag_part(input, name=name)


def matrix_diag(diagonal: Any, name: str | None = None) -> Any:
    """Square matrices, 0 but for their diagonals: (..., n) -> (..., n, n)."""
    return linalg.matrix_diag(diagonal, name=name)


def matrix_diag_part(input: Any, name: str | None = None) -> Any:
    """The diagonals of matrices: (..., n, m) -> (..., min(n, m))."""
    return linalg.matrix_diag_part(input, name=name)


def matrix_set_diag(input: Any, diagonal: Any, name: str | None = None) -> Any:
    """Matrices with other diagonals: (..., n, m), (..., min(n, m)) -> (..., n, m)."""
    return linalg.matrix_set_diag(input, diagonal, name=name)


def trace(x: Any, name: str | None = None) -> Tensor:
    """The sums of the diagonals of matrices: (..., n, m) -> (...)."""
    with scope_of(name, "Trace", x) as scope:
        x = to_tensor(x, name="x")
        return reduce_sum(linalg.matrix_diag_part(x), [-1], name=scope)


def matrix_transpose(a: Any, name: str = "matrix_transpose") -> Tensor:
    """`a` with its last two dimensions swapped. ValueError if it has fewer."""
    with scope_of(name, "matrix_transpose", a):
        a = to_tensor(a, name="a")
        if a.dims is None:
            from .ops.join import concat_v2, pack
            from .ops.sequence import range_

            count = rank(a)
            swapped = pack([count - 1, count - 2])
            return transpose(a, concat_v2([range_(0, count - 2, 1), swapped], 0, name="concat"), name="transpose")
        axes = list(range(len(a.dims)))
        if len(axes) < 2:
            raise ValueError(f"Argument 'a' should be a (batch) matrix, with rank >= 2.  Found: {a.shape}")
        return transpose(a, [*axes[:-2], axes[-1], axes[-2]], name="transpose")


# --- products over chosen axes ---------------------------------------------------------------------------------------


def tensordot(a: Any, b: Any, axes: Any, name: str | None = None) -> Tensor:
    """The sum of products of `a` and `b` over axes of each.

    `axes` is a number n (the last n axes of `a` with the first n of `b`) or a pair of axes or of lists of axes. The
    result has the other axes of `a`, then those of `b`. ValueError for axes that do not pair up or unknown ranks.
    """
    with scope_of(name, "Tensordot", a, b) as scope:
        a, b = to_tensor(a, name="a"), to_tensor(b, name="b")
        if a.dims is None or b.dims is None:
            raise ValueError("tensordot needs operands of known rank")
        axes_a, axes_b = _paired_axes(axes, len(a.dims), len(b.dims))
        left, free_a = _as_matrix(a, axes_a, summed_last=True)
        right, free_b = _as_matrix(b, axes_b, summed_last=False)
        product = linalg.matmul(left, right)
        if isinstance(free_a, list) and isinstance(free_b, list):
            return reshape(product, np.asarray(free_a + free_b, np.int32), name=scope)
        from .ops.join import concat_v2

        parts = [to_tensor(part, dtypes.int32) for part in (_vector(free_a), _vector(free_b))]
        result = reshape(product, concat_v2(parts, 0, name="concat"), name=scope)
        result.set_shape([a.dims[i] for i in _others(a, axes_a)] + [b.dims[i] for i in _others(b, axes_b)])
        return result


def _paired_axes(axes: Any, rank_a: int, rank_b: int) -> tuple[list[int], list[int]]:
    if isinstance(axes, (int, np.integer)):
        if not 0 <= axes <= min(rank_a, rank_b):
            raise ValueError(f"'axes' must be between 0 and {min(rank_a, rank_b)}, got {axes}")
        return list(range(rank_a - axes, rank_a)), list(range(axes))
    if len(axes) != 2:
        raise ValueError("'axes' must be an integer or have length 2.")
    first, second = ([x] if isinstance(x, (int, np.integer)) else list(x) for x in axes)
    if len(first) != len(second):
        raise ValueError(f"Different number of contraction axes 'a' and 'b', {len(first)} != {len(second)}.")
    return [_axis(i, rank_a) for i in first], [_axis(i, rank_b) for i in second]


def _axis(axis: Any, count: int) -> int:
    if not -count <= axis < count:
        raise ValueError(f"axis {axis} is outside of a tensor with {count} dimensions")
    return normalise_axis(int(axis), count)


def _others(x: Tensor, axes: Sequence[int]) -> list[int]:
    return [i for i in range(len(x.dims or ())) if i not in axes]


def _vector(sizes: Any) -> Any:
    return np.asarray(sizes, np.int32) if isinstance(sizes, list) else sizes


def _as_matrix(x: Tensor, summed: list[int], summed_last: bool) -> tuple[Tensor, Any]:
    """`x` as a matrix (free, summed) or (summed, free), and the sizes of its free axes: a list, or a tensor."""
    free = _others(x, summed)
    first, second = (free, summed) if summed_last else (summed, free)
    order, dims = [*first, *second], x.dims or ()
    turned = x if order == sorted(order) else transpose(x, order, name="transpose")
    if None not in dims:
        sizes = [int(np.prod([dims[i] for i in part])) for part in (first, second)]
        matrix = turned if sizes == [dims[i] for i in order] else reshape(turned, np.asarray(sizes, np.int32))
        return matrix, [dims[i] for i in free]
    from .ops.gather import gather_v2
    from .ops.join import pack

    every = shape(x)
    free_sizes = gather_v2(every, np.asarray(free, np.int32), 0)
    summed_sizes = gather_v2(every, np.asarray(summed, np.int32), 0)
    counts = [reduce_prod(free_sizes), reduce_prod(summed_sizes)]
    return reshape(turned, pack(counts if summed_last else counts[::-1], name="stack")), free_sizes


# --- norms -----------------------------------------------------------------------------------------------------------


def norm(
    tensor: Any,
    ord: Any = "euclidean",
    axis: Any = None,
    keepdims: bool | None = None,
    name: str | None = None,
    keep_dims: bool | None = None,
) -> Tensor:
    """The norm of vectors (`axis` an int, or None: of all elements) or of matrices (`axis` a pair).

    `ord` is "euclidean", "fro" (matrices), 1, 2 (vectors), inf, or another positive number (vectors). ValueError for
    others.
    """
    keep = bool(either("keepdims", keepdims, "keep_dims", keep_dims))
    of_matrix = isinstance(axis, (list, tuple)) and len(axis) == 2
    supported = ("euclidean", "fro", 1, np.inf) if of_matrix else ("euclidean", 1, 2, np.inf)
    if ord not in supported and (of_matrix or isinstance(ord, str) or not ord > 0):
        kind = "matrix" if of_matrix else "vector"
        raise ValueError(f"'ord' must be a supported {kind} norm in {list(supported)}, got {ord}")
    with scope_of(name, "norm", tensor):
        x = to_tensor(tensor, name="tensor")
        if ord in ("euclidean", "fro", 2):
            result = sqrt(reduce_sum(mul(x, x, name="mul"), axis, keepdims=True))
        elif ord == 1:
            result = reduce_sum(abs_(x), axis[0] if of_matrix else axis, keepdims=True)
            result = reduce_max(result, axis[1], keepdims=True) if of_matrix else result
        elif ord == np.inf:
            result = abs_(x)
            result = reduce_sum(result, axis[1], keepdims=True) if of_matrix else result
            result = reduce_max(result, axis[0] if of_matrix else axis, keepdims=True)
        else:
            result = pow_(reduce_sum(pow_(abs_(x), ord), axis, keepdims=True), 1.0 / ord)
        if keep:
            return result
        axes = [] if axis is None else [axis] if isinstance(axis, (int, np.integer)) else list(axis)
        return squeeze(result, squeeze_dims=axes)


__all__ = [
    "diag", "diag_part", "eye", "matmul", "matrix_diag", "matrix_diag_part", "matrix_set_diag", "matrix_transpose",
    "norm", "tensordot", "trace",
]  # fmt: skip
