"""`tf.linalg`: matrices, their diagonals and norms."""

from __future__ import annotations

from typing import Any

from .aliases.names import missing_from
from .clip import global_norm
from .letters import einsum
from .matrix import (
    diag as tensor_diag,
)
from .matrix import (
    diag_part as tensor_diag_part,
)
from .matrix import (
    eye,
    matmul,
    matrix_transpose,
    norm,
    tensordot,
    trace,
)
from .matrix import (
    matrix_diag as diag,
)
from .matrix import (
    matrix_diag_part as diag_part,
)
from .matrix import (
    matrix_set_diag as set_diag,
)
from .normalisation import l2_normalize
from .rearranging import matrix_band_part as band_part

transpose = adjoint = matrix_transpose

__all__ = [
    "adjoint", "band_part", "diag", "diag_part", "einsum", "eye", "global_norm", "l2_normalize", "matmul",
    "matrix_transpose", "matvec", "norm", "set_diag", "tensor_diag", "tensor_diag_part", "tensordot", "trace", "transpose",
]  # fmt: skip


def matvec(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    adjoint_a: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    name: str | None = None,
) -> Any:
    """The products of matrices (..., n, k) and vectors (..., k): (..., n)."""
    from .array import expand_dims, squeeze

    product = matmul(a, expand_dims(b, -1), transpose_a=transpose_a, adjoint_a=adjoint_a, name=name)
    return squeeze(product, [-1])


__getattr__ = missing_from(__name__, __all__)
