"""Takes programs through the compiler stage by stage, loading nothing, and evaluates a program at any stage in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tfgraph.codegen.compile import STAGES, compile_program
from tfgraph.codegen.ir import Group, Node, Program, Roots, Value
from tfgraph.codegen.passes.group_kernels import group_kernels
from tfgraph.codegen.passes.place_copies import variable_of
from tfgraph.codegen.passes.specialise import specialise
from tfgraph.codegen.problems import NeedsConstants
from tfgraph.codegen.signature import Prepared, prepare, symbolic
from tfgraph.opdef import Array, Call, Update, View
from tfgraph.order import execution_order
from tfgraph.philox import sample, seeds_of
from tfgraph.reference import compute
from tfgraph.shapes import Batch, at_batch
from tfgraph.tensor import Operation

N = Batch(1)  # the batch dimension of a feed


def prepared(fetches: Any, feeds: Iterable[Any]) -> Prepared:
    """What a run of `fetches` (tensors and operations) with these fed tensors needs, as a session would say it."""
    listed = list(fetches) if isinstance(fetches, (list, tuple)) else [fetches]
    tensors = [f for f in listed if not isinstance(f, Operation)]
    fed = set(feeds)
    order = execution_order(tensors, [f for f in listed if isinstance(f, Operation)], fed)
    taken = {tensor for op in order for tensor in op.inputs if tensor in fed} | {t for t in tensors if t in fed}
    return prepare(order, tensors, sorted(taken, key=lambda tensor: (tensor.op.id, tensor.value_index)))


def roots_of(fetches: Any, feeds: Mapping[Any, Sequence[Any]]) -> Roots:
    """The program right after `specialise`; `feeds` maps tensors to dimensions, `N` among them."""
    run = prepared(fetches, feeds)
    return specialise(run.order, run.fetches, run.feeds, [tuple(feeds[t]) for t in run.feeds], {}, {})


def after(roots: Roots, stages: Iterable[Callable[[Roots], Roots]] = STAGES) -> Roots:
    """`roots` after some stages, all by default."""
    for stage in stages:
        roots = stage(roots)
    return roots


def groups_of(fetches: Any, feeds: Mapping[Any, Sequence[Any]]) -> tuple[Group, ...]:
    """The kernels-to-be of a program."""
    return group_kernels(after(roots_of(fetches, feeds)))


def program_of(fetches: Any, shapes: Mapping[Any, tuple[int, ...]]) -> Program:
    """The program for feeds of these shapes: for every batch size if there is one, as in a session."""
    run = prepared(fetches, shapes)
    exact = [shapes[t] for t in run.feeds]
    try:
        return compile_program(run, symbolic(run, exact)[1], {}, {})
    except NeedsConstants:
        return compile_program(run, exact, {}, {})


# --- what a program looks like --------------------------------------------------------------------------------


def types(roots: Roots) -> list[str]:
    """The op types of a program in order, without constants."""
    return [node.type for node in roots.nodes if node.type != "Const"]


def expression(value: Value) -> str:
    """A value as nested calls: feeds and variables by name, constants by value, ops by type."""
    node = value.op
    if node.type in ("_Feed", "VariableV2"):
        return node.label
    if node.type == "Const":
        return str(np.asarray(node.attr("value")).tolist())
    if node.type == "_Extent":
        return f"size{list(node.attr('dims'))}"
    if node.type == "_Read":
        return expression(node.inputs[0])
    flags = [name for name in ("transpose_a", "transpose_b") if node.attrs.get(name)]
    return f"{node.type}({', '.join([*(expression(v) for v in node.inputs), *flags])})"


def expressions(roots: Roots) -> list[str]:
    return [expression(value) for value in roots.fetches]


# --- its numbers ----------------------------------------------------------------------------------------------


def evaluate(
    roots: Roots,
    feeds: Sequence[np.ndarray],
    n: int = 1,
    variables: Mapping[str, np.ndarray] | None = None,
    in_place: bool = False,
) -> list[np.ndarray]:
    """The fetched values of a program, node by node from the reference.

    Random nodes draw from counter 0. With `in_place`, a read of a variable (and a view of it) gives what the variable
    holds when the value is used, as in compiled code; otherwise what it held at the node's place in the order.
    `variables` is not changed.
    """
    held = {name: np.array(value) for name, value in (variables or {}).items()}
    return _Evaluation(feeds, n, held, in_place).run(roots)


class _Evaluation:
    def __init__(self, feeds: Sequence[np.ndarray], n: int, variables: dict[str, np.ndarray], in_place: bool) -> None:
        self.feeds, self.n, self.variables, self.in_place = feeds, n, variables, in_place
        self.values: dict[Value, np.ndarray] = {}

    def run(self, roots: Roots) -> list[np.ndarray]:
        for node in roots.nodes:
            if node.type == "VariableV2" or (self.in_place and _is_seen_through(node)):
                continue
            self.values.update(zip(node.outputs, self._compute(node), strict=True))
        return [self._of(value) for value in roots.fetches]

    def _of(self, value: Value) -> np.ndarray:
        if value in self.values:
            return self.values[value]
        if value.dtype.is_ref:
            return self.variables[variable_of(value).attr("key")]
        return self._compute(value.op)[value.value_index]

    def _compute(self, node: Node) -> Sequence[np.ndarray]:
        if node.type == "_Feed":
            return [self.feeds[node.attr("index")]]
        if node.type == "Const":
            value = self._sized(node.attr("value"))
            return [np.asarray(value, node.outputs[0].dtype.as_numpy_dtype)]
        inputs = [self._of(v) for v in node.inputs]
        if node.type == "_Read":
            return [inputs[0].copy()]
        if node.opdef.effect == "random":
            seeds = seeds_of(node.attr("seed"), node.attr("seed2"))
            shape = at_batch(node.outputs[0].dims, self.n)
            dtype = node.outputs[0].dtype.as_numpy_dtype
            return [sample(node.type, seeds, 0, int(np.prod(shape)), dtype).reshape(shape)]
        attrs = {name: self._sized(attr) for name, attr in node.attrs.items()}
        results = compute(node.opdef, Call(node.opdef, [Array(i) for i in inputs], attrs), inputs)
        if isinstance(node.kind, Update) or node.opdef.effect == "write":
            references = [v for v in node.inputs if v.dtype.is_ref]
            for reference, result in zip(references, results, strict=True):
                self.variables[variable_of(reference).attr("key")][...] = result
            return [self._of(v) for v in references][: len(node.outputs)]
        return results

    def _sized(self, item: Any) -> Any:
        """`item` with every multiple of N replaced by its number."""
        if isinstance(item, Batch):
            return item.at(self.n)
        if isinstance(item, tuple):
            return tuple(self._sized(i) for i in item)
        if isinstance(item, np.ndarray) and item.dtype == object:
            return np.array([self._sized(i) for i in item.reshape(-1)]).reshape(item.shape)
        return item


def _is_seen_through(node: Node) -> bool:
    """True for nodes that make nothing: what they name is looked up when it is used."""
    return node.type == "_Read" or isinstance(node.kind, View)
