"""How a CUDA kernel is launched, as data: a program is captured and launched by a runtime that knows no graph."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

THREADS = 256  # of a block, for every kernel that only moves and folds: eight warps hide each other's loads
MOST_BLOCKS = 4096  # of a kernel whose loop strides over the grid; more only pay for being started


@dataclass(frozen=True)
class CudaLaunch:
    """One launch of a kernel function.

    `grid` are the blocks along x, y and z: C expressions of numbers, N, + - * / and the functions of `FUNCTIONS`, which
    `count` evaluates. `threads` are those of a block along x, `shared` the bytes of dynamic shared memory.
    """

    function: str
    grid: tuple[str, str, str] = ("1", "1", "1")
    threads: int = THREADS
    shared: int = 0

    def blocks(self, n: int) -> tuple[int, int, int]:
        """The grid for batch size n, at least one block each way."""
        x, y, z = (max(1, count(text, n)) for text in self.grid)
        return x, y, z


def _chunks(total: int, size: int) -> int:
    return -(-total // size)


def _parts(total: int, grain: int, most: int) -> int:
    return max(1, min(_chunks(total, grain), most))


FUNCTIONS: dict[str, Callable[..., int]] = {
    "tg_least": min,
    "tg_smaller": min,
    "tg_larger": max,
    "tg_chunks": _chunks,
    "tg_parts": _parts,
}
_OPERATORS: dict[type[ast.AST], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.floordiv,
    ast.Mod: operator.mod,
}


def count(text: str, n: int) -> int:
    """The value of such an expression for batch size n. ValueError for anything else."""
    return _value(ast.parse(text, mode="eval").body, n)


def _value(node: Any, n: int) -> int:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.Name) and node.id == "N":
        return n
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left, n), _value(node.right, n))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS and not node.keywords:
        return FUNCTIONS[node.func.id](*(_value(argument, n) for argument in node.args))
    raise ValueError(f"{ast.unparse(node)} is no number of blocks")
