"""The kernel cases in PyTorch, images in channels_last; results are allocated by each call, as PyTorch's are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ..kernel_cases import Case
from . import matmul_operands, numbers, one_hot, row_indices

Call = Callable[[], Any]


def build(case: Case, threads: int) -> Call:
    """The call of a case; KeyError if it has no operation here."""
    torch.set_num_threads(threads)
    call = OPERATIONS[case.operation](case.sizes)

    def without_recording() -> Any:
        with torch.inference_mode():
            return call()

    return call if case.operation in NEEDS_GRADIENTS else without_recording


def _tensor(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(numbers(*shape, seed=seed))


def _images(*shape: int, seed: int = 0) -> torch.Tensor:
    """NHWC numbers as a tensor in channels_last."""
    return _tensor(*shape, seed=seed).permute(0, 3, 1, 2)


def _matmul(sizes: Mapping[str, Any]) -> Call:
    a, b = (torch.from_numpy(array) for array in matmul_operands(sizes))
    a = a.mT if sizes["transpose_a"] else a
    b = b.mT if sizes["transpose_b"] else b
    return lambda: torch.matmul(a, b)


def _convolution(sizes: Mapping[str, Any], biases: torch.Tensor | None = None) -> Call:
    batch, size, out, k, stride = (sizes[name] for name in ("batch", "size", "out_size", "filter", "stride"))
    x = _images(batch, size, size, sizes["inputs"])
    dy = _images(batch, out, out, sizes["outputs"], seed=1)
    weights = _tensor(sizes["outputs"], sizes["inputs"], k, k, seed=2).contiguous(memory_format=torch.channels_last)
    before, after = 0, 0
    if sizes["padding"] == "SAME":
        whole = max(0, (out - 1) * stride + k - size)
        before, after = whole // 2, whole - whole // 2
    if before != after:  # only one number per side can be said: pad the images once, outside the timing
        x = functional.pad(x, (before, after, before, after)).contiguous(memory_format=torch.channels_last)
        before = 0
    pads = [before, before]
    if sizes["direction"] == "forward":
        return lambda: functional.conv2d(x, weights, biases, stride=stride, padding=pads)
    mask = [sizes["direction"] == "dX", sizes["direction"] == "dW", False]
    backward = torch.ops.aten.convolution_backward
    return lambda: backward(dy, x, weights, None, [stride, stride], pads, [1, 1], False, [0, 0], 1, mask)


def _convolution_block(sizes: Mapping[str, Any]) -> Call:
    convolution = _convolution(sizes, _tensor(sizes["outputs"], seed=3))
    if sizes["pool"]:
        return lambda: functional.max_pool2d(functional.relu_(convolution()), 2)
    return lambda: functional.relu_(convolution())


def _pool(function: Callable[..., Any]) -> Callable[[Mapping[str, Any]], Call]:
    def operation(sizes: Mapping[str, Any]) -> Call:
        x = _images(*sizes["shape"])
        return lambda: function(x, 2)

    return operation


def _max_pool_gradient(sizes: Mapping[str, Any]) -> Call:
    n, height, width, channels = sizes["shape"]
    x = _images(*sizes["shape"]).requires_grad_()
    dy = _images(n, height // 2, width // 2, channels, seed=1)
    return lambda: torch.autograd.grad(functional.max_pool2d(x, 2), x, dy)


def _pointwise(function: Callable[[Any, Any], Any]) -> Callable[[Mapping[str, Any]], Call]:
    def operation(sizes: Mapping[str, Any]) -> Call:
        x, y = _tensor(sizes["count"]), _tensor(sizes["count"], seed=1)
        return lambda: function(x, y)

    return operation


def _rows(function: Callable[[Any], Any]) -> Callable[[Mapping[str, Any]], Call]:
    def operation(sizes: Mapping[str, Any]) -> Call:
        x = _tensor(*sizes["shape"])
        return lambda: function(x)

    return operation


def _softmax_cross_entropy(sizes: Mapping[str, Any]) -> Call:
    x = _tensor(*sizes["shape"]).requires_grad_()
    classes = torch.from_numpy(one_hot(sizes["shape"]).argmax(1))
    return lambda: torch.autograd.grad(functional.cross_entropy(x, classes), x)


def _batch_norm(sizes: Mapping[str, Any]) -> Call:
    x = _images(*sizes["shape"])
    scale, offset = torch.ones(x.shape[1]), torch.zeros(x.shape[1])
    return lambda: functional.batch_norm(x, None, None, scale, offset, training=True, eps=1e-3)


def _batch_norm_gradient(sizes: Mapping[str, Any]) -> Call:
    x, dy = _images(*sizes["shape"]).requires_grad_(), _images(*sizes["shape"], seed=1)
    scale, offset = torch.ones(x.shape[1], requires_grad=True), torch.zeros(x.shape[1], requires_grad=True)

    def call() -> Any:
        y = functional.batch_norm(x, None, None, scale, offset, training=True, eps=1e-3)
        return torch.autograd.grad(y, (x, scale, offset), dy)

    return call


def _filled(fill: Callable[[torch.Tensor], Any]) -> Callable[[Mapping[str, Any]], Call]:
    def operation(sizes: Mapping[str, Any]) -> Call:
        x = torch.zeros(sizes["count"])
        return lambda: fill(x)

    return operation


def _dropout(sizes: Mapping[str, Any]) -> Call:
    x = _tensor(sizes["count"])
    return lambda: functional.dropout(x, 0.25, training=True)


def _gather(sizes: Mapping[str, Any]) -> Call:
    table, rows = _tensor(*sizes["table"]), torch.from_numpy(row_indices(sizes))
    return lambda: functional.embedding(rows, table)


def _scatter_add(sizes: Mapping[str, Any]) -> Call:
    rows, x = torch.from_numpy(row_indices(sizes)), _tensor(sizes["rows"], sizes["table"][1])
    return lambda: torch.zeros(sizes["table"]).index_add_(0, rows, x)


def _transpose(sizes: Mapping[str, Any]) -> Call:
    view = _tensor(*sizes["shape"]).permute(sizes["axes"])
    return lambda: view.clone(memory_format=torch.contiguous_format)


def _concat(sizes: Mapping[str, Any]) -> Call:
    parts = [_tensor(*sizes["shape"]), _tensor(*sizes["shape"], seed=1)]
    return lambda: torch.cat(parts, 1)


def _top_k(sizes: Mapping[str, Any]) -> Call:
    x = _tensor(*sizes["shape"])
    return lambda: torch.topk(x, sizes["k"], 1)


def _updates(make: Callable[[list[torch.Tensor]], torch.optim.Optimizer]) -> Callable[[Mapping[str, Any]], Call]:
    def operation(sizes: Mapping[str, Any]) -> Call:
        variables = [torch.from_numpy(np.array(numbers(*shape))).requires_grad_() for shape in sizes["shapes"]]
        for variable in variables:
            variable.grad = _tensor(*variable.shape, seed=1)
        return make(variables).step

    return operation


OPERATIONS: dict[str, Callable[[Mapping[str, Any]], Call]] = {
    "matmul": _matmul,
    "convolution": _convolution,
    "convolution_block": _convolution_block,
    "max_pool": _pool(functional.max_pool2d),
    "avg_pool": _pool(functional.avg_pool2d),
    "max_pool_gradient": _max_pool_gradient,
    "add": _pointwise(torch.add),
    "chain": _pointwise(lambda x, y: torch.relu(2 * x + 0.5) * (1 - x) + y),
    "tanh": _pointwise(lambda x, y: torch.tanh(x)),
    "exp": _pointwise(lambda x, y: torch.exp(x)),
    "sum": _rows(torch.sum),
    "sum_rows": _rows(lambda x: x.sum(1)),
    "sum_columns": _rows(lambda x: x.sum(0)),
    "max_rows": _rows(lambda x: torch.amax(x, 1)),
    "argmax_rows": _rows(lambda x: torch.argmax(x, 1)),
    "cumsum": _rows(lambda x: torch.cumsum(x, 1)),
    "top_k": _top_k,
    "softmax": _rows(lambda x: torch.softmax(x, 1)),
    "softmax_cross_entropy": _softmax_cross_entropy,
    "batch_norm": _batch_norm,
    "batch_norm_gradient": _batch_norm_gradient,
    "l2_normalize": _rows(lambda x: functional.normalize(x, dim=1)),
    "random_uniform": _filled(torch.Tensor.uniform_),
    "random_normal": _filled(torch.Tensor.normal_),
    "truncated_normal": _filled(lambda x: torch.nn.init.trunc_normal_(x)),
    "dropout": _dropout,
    "gather": _gather,
    "scatter_add": _scatter_add,
    "transpose": _transpose,
    "concat": _concat,
    "pad": _rows(lambda x: functional.pad(x, (0, 0, 1, 1, 1, 1))),
    "Adam": _updates(lambda variables: torch.optim.Adam(variables, lr=1e-6, fused=True)),
    "momentum": _updates(lambda variables: torch.optim.SGD(variables, lr=1e-9, momentum=0.9, fused=True)),
}

NEEDS_GRADIENTS = ("max_pool_gradient", "softmax_cross_entropy", "batch_norm_gradient", "Adam", "momentum")
