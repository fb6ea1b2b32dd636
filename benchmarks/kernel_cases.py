"""The kernels that are measured: what each computes, its operations and the bytes that it must move at the least.

A case says nothing about a framework; `operations` has one file per framework with a function for each `operation`.
Numbers are float32. Bytes count every operand and result once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FLOAT = 4  # bytes


@dataclass(frozen=True)
class Case:
    """One operation on operands of given sizes."""

    group: str  # a section of the report
    name: str
    operation: str
    sizes: Mapping[str, Any]
    flops: float  # multiply-adds as two; 0 where moving the bytes is all there is to do
    moved: float  # bytes
    environment: Mapping[str, str] = field(default_factory=dict)  # settings of tfgraph
    quick: bool = False  # is also part of a quick run


# --- matrix products ----------------------------------------------------------------------------------------------


def _matmul(name: str, m: int, k: int, n: int, form: str = "nn", batch: int = 1, quick: bool = False) -> Case:
    """m x k times k x n; `form` says which operand is stored transposed."""
    sizes = {"m": m, "k": k, "n": n, "batch": batch, "transpose_a": form[0] == "t", "transpose_b": form[1] == "t"}
    label = f"{name}: {f'{batch} x ' if batch > 1 else ''}{m} x {k} x {n}{'' if form == 'nn' else ', ' + form}"
    moved = FLOAT * batch * (m * k + k * n + m * n)
    return Case("matrix product", label, "matmul", sizes, 2.0 * batch * m * k * n, moved, quick=quick)


MATMULS = (
    _matmul("square", 256, 256, 256, quick=True),
    _matmul("square", 1024, 1024, 1024),
    _matmul("square", 1024, 1024, 1024, "tn"),
    _matmul("square", 1024, 1024, 1024, "nt"),
    _matmul("square", 1024, 1024, 1024, "tt"),
    _matmul("mlp forward", 100, 784, 256),
    _matmul("mlp dW", 784, 100, 256, "tn"),
    _matmul("mlp dX", 100, 256, 256, "nt"),
    _matmul("few columns", 100, 256, 10),
    _matmul("long sums", 128, 9216, 100),
    _matmul("tall dW", 9216, 128, 100, "tn"),
    _matmul("kpcnn forward", 128, 15488, 500),
    _matmul("kpcnn dW", 15488, 128, 500, "tn"),
    _matmul("wide dX", 128, 500, 15488, "nt"),
    _matmul("row times matrix", 1, 4096, 4096),
    _matmul("matrix times column", 4096, 4096, 1),
    _matmul("tiny", 8, 8, 8),
    _matmul("batched", 64, 64, 64, batch=64),
    _matmul("batched", 128, 64, 128, "nt", batch=32),
)

# --- convolutions -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layer:
    """A convolution: square images and filters."""

    batch: int
    size: int
    inputs: int
    outputs: int
    filter: int
    padding: str = "SAME"
    stride: int = 1

    @property
    def out_size(self) -> int:
        span = self.size if self.padding == "SAME" else self.size - self.filter + 1
        return math.ceil(span / self.stride)

    @property
    def text(self) -> str:
        details = "" if self.padding == "SAME" else ", VALID"
        details += f", stride {self.stride}" if self.stride > 1 else ""
        return (
            f"{self.filter}x{self.filter}, {self.inputs} to {self.outputs}, {self.size}x{self.size} x {self.batch}{details}"
        )


def _convolution(layer: _Layer, direction: str, method: str = "direct", quick: bool = False) -> Case:
    """`direction`: forward, dX or dW."""
    image = layer.batch * layer.size**2 * layer.inputs
    result = layer.batch * layer.out_size**2 * layer.outputs
    weights = layer.filter**2 * layer.inputs * layer.outputs
    flops = 2.0 * result * layer.filter**2 * layer.inputs
    return Case(
        f"convolution, {direction}",
        f"{layer.text}{'' if method == 'direct' else f', {method}'}",
        "convolution",
        {**vars(layer), "out_size": layer.out_size, "direction": direction},
        flops,
        FLOAT * (image + result + weights),
        {"TFGRAPH_CONV": method},
        quick,
    )


WINOGRAD_LAYERS = (
    _Layer(32, 128, 32, 32, 3),
    _Layer(32, 64, 64, 64, 3),
    _Layer(32, 32, 128, 128, 3),
    _Layer(32, 16, 128, 128, 3),
)
OTHER_LAYERS = (
    _Layer(128, 28, 1, 32, 5),
    _Layer(128, 14, 32, 64, 5),
    _Layer(128, 96, 1, 32, 3, "VALID"),
    _Layer(128, 47, 32, 64, 2, "VALID"),
    _Layer(32, 128, 3, 32, 3),
    _Layer(32, 8, 128, 128, 4),
    _Layer(32, 32, 128, 128, 1),
    _Layer(32, 64, 64, 64, 3, stride=2),
    _Layer(32, 32, 24, 40, 3),
)
FEW_CHANNELS = (_Layer(32, 64, 2, 16, 3), _Layer(32, 64, 4, 32, 3))


def _convolutions(direction: str) -> list[Case]:
    """Every layer; nobody asks for the gradient of the images."""
    others = [layer for layer in (*OTHER_LAYERS, *FEW_CHANNELS) if layer.inputs > 4 or direction != "dX"]
    return [
        *(_convolution(layer, direction, method) for layer in WINOGRAD_LAYERS for method in ("direct", "winograd")),
        *(_convolution(layer, direction) for layer in others),
    ]


CONVOLUTIONS = (
    _convolution(_Layer(4, 16, 8, 16, 3), "forward", quick=True),
    *(case for direction in ("forward", "dX", "dW") for case in _convolutions(direction)),
)


def _block(layer: _Layer, pool: bool) -> Case:
    """A convolution with bias and ReLU, and a max-pool behind them."""
    result = layer.batch * layer.out_size**2 * layer.outputs
    image = layer.batch * layer.size**2 * layer.inputs
    return Case(
        "fused",
        f"convolution {layer.text}, bias, ReLU{', max-pool' if pool else ''}",
        "convolution_block",
        {**vars(layer), "out_size": layer.out_size, "direction": "forward", "pool": pool},
        2.0 * result * layer.filter**2 * layer.inputs,
        FLOAT * (image + result / (4 if pool else 1) + layer.filter**2 * layer.inputs * layer.outputs),
    )


FUSED = (
    *(_block(_Layer(32, 128, 3, 32, 3), pool) for pool in (False, True)),
    _block(_Layer(128, 96, 1, 32, 3, "VALID"), True),
    _block(_Layer(128, 14, 32, 64, 5), True),
    _block(_Layer(32, 64, 64, 64, 3), True),
)

# --- whatever is bound by memory ----------------------------------------------------------------------------------


def _moving(group: str, name: str, operation: str, elements: float, quick: bool = False, **sizes: Any) -> Case:
    """A case whose floor is moving `elements` numbers."""
    return Case(group, name, operation, sizes, 0.0, FLOAT * elements, quick=quick)


_IMAGE = (32, 128, 128, 32)
_BLOCK = (32, 64, 64, 64)
_POOLED = math.prod(_IMAGE) / 4
_TABLE = (50_000, 64)
_ROWS = 65_536
_WIDE = (4096, 1000)
_WORDS = ((128, 10_000), (64, 50_257))  # rows of language models' vocabularies

POOLS = (
    _moving("pooling", "max 2x2, 128x128x32 x 32", "max_pool", math.prod(_IMAGE) + _POOLED, shape=_IMAGE),
    _moving(
        "pooling",
        "max 2x2 and its gradient, 128x128x32 x 32",
        "max_pool_gradient",
        2 * math.prod(_IMAGE) + 2 * _POOLED,
        shape=_IMAGE,
    ),
    _moving("pooling", "average 2x2, 128x128x32 x 32", "avg_pool", math.prod(_IMAGE) + _POOLED, shape=_IMAGE),
    _moving("pooling", "max 2x2, 16x16x8 x 4", "max_pool", 1.25 * 4 * 16 * 16 * 8, shape=(4, 16, 16, 8), quick=True),
)

POINTWISE = tuple(
    _moving("pointwise", f"{text}, {count:,} elements", operation, streams * count, count=count, quick=count == 10_000)
    for operation, text, streams in (
        ("add", "x + y", 3),
        ("chain", "relu(2x + 0.5) (1 - x) + y", 3),
        ("tanh", "tanh(x)", 2),
        ("exp", "exp(x)", 2),
    )
    for count in (10_000, 1_000_000, 16_000_000)
    if count != 10_000 or operation == "add"
)

REDUCTIONS = (
    _moving("reduction", "sum of 64 x 64", "sum", 64 * 64, shape=(64, 64), quick=True),
    *(
        _moving("reduction", f"{text} of {rows} x {columns}", operation, rows * columns, shape=(rows, columns))
        for rows, columns in ((4096, 4096), (128, 1024))
        for operation, text in (
            ("sum", "sum"),
            ("sum_rows", "sum of each row"),
            ("sum_columns", "sum of each column"),
            ("max_rows", "maximum of each row"),
            ("argmax_rows", "position of each row's maximum"),
        )
    ),
    _moving("reduction", "running sum of each row of 4096 x 1024", "cumsum", 2 * 2**22, shape=(4096, 1024)),
    _moving("reduction", "the 8 largest of each row of 4096 x 1024", "top_k", 2**22 + 2 * 2**15, shape=(4096, 1024), k=8),
)

NORMALISATIONS = (
    *(
        _moving(
            "softmax and normalisation", f"softmax, {shape[0]} x {shape[1]}", "softmax", 2 * math.prod(shape), shape=shape
        )
        for shape in (_WIDE, *_WORDS)
    ),
    *(
        _moving(
            "softmax and normalisation",
            f"softmax cross-entropy and its gradient, {shape[0]} x {shape[1]}",
            "softmax_cross_entropy",
            3 * math.prod(shape),
            shape=shape,
            quick=shape[0] == 128,
        )
        for shape in ((128, 10), _WIDE, *_WORDS)
    ),
    _moving(
        "softmax and normalisation",
        "batch normalisation, 64x64x64 x 32",
        "batch_norm",
        2 * math.prod(_BLOCK),
        shape=_BLOCK,
    ),
    _moving(
        "softmax and normalisation",
        "batch normalisation and its gradients, 64x64x64 x 32",
        "batch_norm_gradient",
        3 * math.prod(_BLOCK),
        shape=_BLOCK,
    ),
    _moving(
        "softmax and normalisation", "l2_normalize of each row, 4096 x 1024", "l2_normalize", 2 * 2**22, shape=(4096, 1024)
    ),
)

RANDOMS = (
    _moving("random numbers", "uniform, 10,000", "random_uniform", 1e4, count=10_000, quick=True),
    *(
        _moving("random numbers", f"{text}, 4,000,000", operation, 4e6 * streams, count=4_000_000)
        for operation, text, streams in (
            ("random_uniform", "uniform", 1),
            ("random_normal", "normal", 1),
            ("truncated_normal", "truncated normal", 1),
            ("dropout", "dropout of as many", 2),
        )
    ),
)

MOVES = (
    _moving(
        "moves",
        "gather 65,536 rows of 64",
        "gather",
        _ROWS * (2 * _TABLE[1] + 1),
        table=_TABLE,
        rows=_ROWS,
    ),
    _moving(
        "moves",
        "add 65,536 rows of 64 to 50,000",
        "scatter_add",
        _ROWS * (_TABLE[1] + 1) + math.prod(_TABLE),
        table=_TABLE,
        rows=_ROWS,
    ),
    _moving("moves", "transpose 2048 x 2048", "transpose", 2 * 2048**2, shape=(2048, 2048), axes=(1, 0)),
    _moving("moves", "NHWC to NCHW, 64x64x64 x 32", "transpose", 2 * math.prod(_BLOCK), shape=_BLOCK, axes=(0, 3, 1, 2)),
    _moving("moves", "join two 4096 x 512 by columns", "concat", 4 * 4096 * 512, shape=(4096, 512)),
    _moving("moves", "zeros around 64x64x64 x 32", "pad", math.prod(_BLOCK) + 32 * 66 * 66 * 64, shape=_BLOCK),
    _moving("moves", "transpose 64 x 32", "transpose", 2 * 64 * 32, shape=(64, 32), axes=(1, 0), quick=True),
)

_CONVNET_SIZES = ((3, 3, 3, 32), (3, 3, 32, 64), (3, 3, 64, 128), (3, 3, 128, 128), (4, 4, 128, 128), (8192, 10))
_KPCNN_SIZES = ((15488, 500), (500, 500), (500, 30))

UPDATES = tuple(
    _moving(
        "optimizers",
        f"{operation}, {len(shapes)} variables, {sum(map(math.prod, shapes)):,} numbers",
        operation,
        streams * sum(map(math.prod, shapes)),
        shapes=shapes,
        quick=shapes == ((64, 64), (64,)),
    )
    for operation, streams, shapes in (
        ("Adam", 7, _KPCNN_SIZES),
        ("Adam", 7, _CONVNET_SIZES),
        ("momentum", 5, _KPCNN_SIZES),
        ("Adam", 7, ((64, 64), (64,))),
    )
)

CASES = (*MATMULS, *CONVOLUTIONS, *FUSED, *POOLS, *POINTWISE, *REDUCTIONS, *NORMALISATIONS, *RANDOMS, *MOVES, *UPDATES)
