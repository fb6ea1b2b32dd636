"""Order and choice: no-ops, the switches and merges of `tf.cond`, assertions and printing.

In the NumPy reference a value that does not exist (the branch not taken) is None: a Switch gives (data, None) or
(None, data), an op with a None among its inputs does not run and gives None, a Merge gives the input that exists.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import ALL
from ..errors import fail
from ..guards import merged_predicate
from ..opdef import Call, host, opdef, primitive
from ..shapes import Dims

SHOWN_ENTRIES = 3  # how many elements Assert and Print show per tensor unless told otherwise


@primitive("NoOp", "->", "no_op", lambda call: [])
def no_op(call: Call) -> tuple[()]:
    """Nothing; its control inputs are the point of it."""
    return ()


# --- conditions ---------------------------------------------------------------------------------------------------


def _both_branches(call: Call) -> list[Dims | None]:
    return [call.shape("data")] * 2


def _switch(call: Call, data: Any, pred: Any) -> tuple[Any, Any]:
    """(data, nothing) where `pred` is false, (nothing, data) where it is true."""
    return (None, data) if pred else (data, None)


switch = primitive("Switch", "data: T, pred: bool -> output_false: T, output_true: T", "switch", _both_branches, T=ALL)(
    _switch
)
ref_switch = primitive(
    "RefSwitch",
    "data: Ref(T), pred: bool -> output_false: Ref(T), output_true: Ref(T)",
    "switch",
    _both_branches,
    T=ALL,
)(_switch)


def _merged_shape(call: Call) -> list[Dims | None]:
    """What all inputs agree on."""
    shapes = call.shape("inputs")
    if any(s is None for s in shapes) or len({len(s) for s in shapes}) != 1:
        return [None, ()]
    return [tuple(d[0] if all(x == d[0] for x in d) else None for d in zip(*shapes, strict=True)), ()]


@primitive("Merge", "inputs: N*T -> output: T, value_index: int32", "merge", _merged_shape, T=ALL)
def merge(call: Call, inputs: Sequence[Any]) -> tuple[Any, Any]:
    """The one input that exists, and its index."""
    index = next((i for i, value in enumerate(inputs) if value is not None), None)
    return (None, None) if index is None else (inputs[index], np.int32(index))


@merge.gradient
def _merge_gradient(op: Any, dy: Any, _: Any) -> tuple[Any, ...]:
    predicate, taken = merged_predicate(op)
    branches = switch(dy, predicate, name="cond_grad")
    return branches if taken == 1 else branches[::-1]


@switch.gradient
def _switch_gradient(op: Any, *dy: Any) -> tuple[Any, None]:
    """Each branch contributes where it is taken; a branch that x does not reach contributes zeros."""
    data, pred = op.inputs
    there = list(dy)
    for branch, gradient in enumerate(dy):
        if gradient is None:
            there[branch] = _raw("ZerosLike")(switch(data, pred)[branch])
    return merge(there, name="cond_grad")[0], None


# the gradient that reaches a reference is an ordinary value
ref_switch.gradient(_switch_gradient)


def _raw(op_type: str) -> Any:
    definition = opdef(op_type)
    assert definition is not None, op_type
    return definition


# --- assertions and printing ----------------------------------------------------------------------------------------


@host("Assert", "condition: bool, data: N*any ->", lambda call: [], effect="check", summarize=SHOWN_ENTRIES)
def assert_op(call: Call, condition: Any, data: Sequence[Any]) -> tuple[()]:
    """Stops the run with InvalidArgumentError and the data if `condition` is false."""
    if not condition:
        shown = " ".join(f"[{summary(value, call.attr('summarize'))}]" for value in data)
        fail(f"assertion failed: {shown}")
    return ()


@host(
    "Print",
    "input: T, data: N*any -> output: T",
    lambda call: [call.shape("input")],
    effect="print",
    T=ALL,
    message="",
    first_n=-1,
    summarize=SHOWN_ENTRIES,
)
def print_op(call: Call, value: Any, data: Sequence[Any]) -> Any:
    """`input` unchanged; writes `message` and the data to the standard error stream.

    `first_n` limits how often a session prints; the session counts.
    """
    shown = "".join(f"[{summary(item, call.attr('summarize'))}]" for item in data)
    print(f"{call.attr('message')}{shown}", file=sys.stderr, flush=True)
    return value


@print_op.gradient
def _print_gradient(op: Any, dy: Any) -> list[Any]:
    return [dy, *[None] * (len(op.inputs) - 1)]


def summary(array: Any, entries: int) -> str:
    """The first `entries` elements (all if negative), rows in brackets, "..." where elements are left out."""
    array = np.asarray(array)
    limit = array.size if entries < 0 else entries
    flat = [_shown(item) for item in array.reshape(-1)]
    if array.ndim <= 1:
        text = " ".join(flat[:limit])
    else:
        text = _rows(flat[:limit], array.shape, 0)[0]
    return text + ("..." if array.size > limit else "")


def _rows(flat: list[str], shape: tuple[int, ...], used: int) -> tuple[str, int]:
    """The elements of `flat` from `used` on that belong to one block of `shape`, as text; and how many are used then."""
    if len(shape) == 1:
        row = flat[used : used + shape[0]]
        return " ".join(row) + ("..." if len(row) < shape[0] else ""), used + len(row)
    text = ""
    for _ in range(shape[0]):
        if used < len(flat):
            inner, used = _rows(flat, shape[1:], used)
            text += f"[{inner}]"
    return text, used


# the digits that are tried first and the digits that always read back exactly
_DIGITS = {"float16": (6, 9), "float32": (6, 9), "float64": (15, 17)}


def _shown(item: Any) -> str:
    if isinstance(item, bytes):
        return item.decode("utf-8", "replace")
    if isinstance(item, np.floating):
        short, exact = _DIGITS[item.dtype.name]
        text = f"{item:.{short}g}"
        return text if type(item)(text) == item or np.isnan(item) else f"{float(item):.{exact}g}"
    return str(int(item)) if isinstance(item, (np.bool_, np.integer)) else str(item)
