"""Graphs and tensors as pictures in a notebook: from operations to Graphviz' language, and by its program `dot` to SVG.

Comes in: the operations of a graph, or those that a tensor is computed from. Goes out: SVG, or None where there is no `dot`.
What initialises variables is left out and constants are; gradients and what applies them are one box for each scope, and
a graph that is still too large shows only its outer scopes.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from .shapes import show
from .tensor import Operation, Tensor

MOST_BOXES = 120  # of which a picture can still be read
MOST_ARROWS = 12  # into the box of a whole scope, the last ones: `dot` takes minutes over a gradient's of a deep net
PATIENCE = 20.0  # seconds for `dot`
_BACKWARD = re.compile(r"gradients(_\d+)?$")

_LOOKS = {
    "VariableV2": 'fillcolor="#d5e8d4", color="#82b366"',
    "Placeholder": 'fillcolor="#fff2cc", color="#d6b656"',
    "PlaceholderWithDefault": 'fillcolor="#fff2cc", color="#d6b656"',
    "": 'fillcolor="#f5f5f5", color="#666666", peripheries=2',  # a whole scope
}
_PLAIN = 'fillcolor="#dae8fc", color="#6c8ebf"'
_CHOSEN = "penwidth=2.5"
_HEAD = """digraph graph_of_operations {
  rankdir=BT; compound=true; bgcolor="transparent"; fontname="Helvetica"; fontsize=10; color="#999999"; style="rounded";
  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=10, margin="0.08,0.04", height=0.3];
  edge [fontname="Helvetica", fontsize=8, color="#555555", fontcolor="#777777", arrowsize=0.6];
"""


class Box(NamedTuple):
    """What is drawn as one box: an operation, or all of a scope (`type` is empty then)."""

    name: str
    type: str


def graph_svg(graph: Any) -> str | None:
    """The whole graph."""
    return svg(dot_text(graph.get_operations()))


def tensor_svg(tensor: Tensor) -> str | None:
    """What a tensor is computed from; its own operation has a thick border."""
    return svg(dot_text(_ancestors(tensor.op), tensor.op))


def svg(text: str) -> str | None:
    """A text in Graphviz' language as an `<svg>` element; None if `dot` is not there or does not manage it."""
    program = shutil.which("dot")
    if program is None:
        return None
    try:
        done = subprocess.run([program, "-Tsvg"], input=text.encode(), capture_output=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    picture = done.stdout.decode("utf-8", "replace")
    return picture[picture.index("<svg") :] if done.returncode == 0 and "<svg" in picture else None


def dot_text(operations: Sequence[Operation], chosen: Operation | None = None) -> str:
    """The operations in Graphviz' language: scopes as frames, tensors as arrows with their shapes, dashed where one
    operation only waits for another."""
    shown = _without_initialisation(operations)
    boxes, left_out = _limited(_boxes(shown), chosen)
    identifiers = {box: f"n{i}" for i, box in enumerate(dict.fromkeys(boxes.values()))}
    counts = Counter(boxes.values())
    lines = [_HEAD]
    lines += _frames(identifiers, counts, boxes.get(chosen) if chosen is not None else None)
    lines += _arrows(boxes, identifiers)
    if left_out:
        lines.append(f'  label="{left_out} more operations are not shown"; labelloc=b;\n')
    return "".join(lines) + "}\n"


# --- what is shown -------------------------------------------------------------------------------------------------------


def _ancestors(op: Operation) -> list[Operation]:
    found, waiting = {op}, [op]
    while waiting:
        one = waiting.pop()
        fresh = {*(tensor.op for tensor in one.inputs), *one.control_inputs} - found
        found |= fresh
        waiting += fresh
    return sorted(found, key=lambda one: one.id)


def _without_initialisation(operations: Sequence[Operation]) -> list[Operation]:
    """Without the first assignments of variables, and what they alone are for; without constants and reads of variables."""
    everything, wanted = frozenset(operations), set[Operation]()
    for op in reversed(operations):
        starts = op.type == "Assign" and op.inputs[0].op.type == "VariableV2" and op.name == f"{op.inputs[0].op.name}/Assign"
        consumers = [one for tensor in op.outputs for one in tensor.consumers() if one in everything]
        serves_others = any(one in wanted for one in consumers)
        if not starts and (serves_others or not consumers or op.type == "VariableV2"):
            wanted.add(op)
    kept = [op for op in operations if op in wanted and op.type != "Const" and not _is_read(op)]
    return [op for op in kept if op.type != "NoOp" or _source_ops(op)]


def _is_read(op: Operation) -> bool:
    return op.type == "Identity" and op.inputs[0].op.type == "VariableV2" and op.name.startswith(op.inputs[0].op.name)


def _source_ops(op: Operation) -> list[Operation]:
    """The operations that `op` waits for, without initialisations of variables."""
    return [one for one in op.control_inputs if not (one.type == "Assign" and one.name.endswith("/Assign"))]


# --- boxes ---------------------------------------------------------------------------------------------------------------


def _boxes(operations: Sequence[Operation]) -> dict[Operation, Box]:
    """A box for each operation; one for all of a scope with gradients, one for that of an optimizer."""
    whole = {op.name.split("/")[0] for op in operations if op.type.startswith("Apply") and "/" in op.name}
    whole |= {part for op in operations if _BACKWARD.match(part := op.name.split("/")[0])}
    boxes = {}
    for op in operations:
        scope = op.name.split("/")[0]
        boxes[op] = Box(scope, "") if scope in whole else Box(op.name, op.type)
    for op, box in boxes.items():  # slots of an optimizer, and counts that it alone moves, belong to it
        if box.type == "VariableV2":
            users = {boxes[one] for one in _users(op) if one in boxes}
            if len(users) == 1 and not (user := next(iter(users))).type:
                boxes[op] = user
    return boxes


def _users(variable: Operation) -> Iterator[Operation]:
    for consumer in variable.outputs[0].consumers():
        if _is_read(consumer):
            yield from consumer.outputs[0].consumers()
        else:
            yield consumer


def _limited(boxes: dict[Operation, Box], chosen: Operation | None) -> tuple[dict[Operation, Box], int]:
    """At most MOST_BOXES: inner scopes become one box each, from the deepest on; then the last operations are left out."""
    deepest = max((box.name.count("/") for box in boxes.values()), default=0)
    for depth in range(deepest, 0, -1):
        if len(set(boxes.values())) <= MOST_BOXES:
            break
        boxes = {op: _outer(box, depth) if op is not chosen else box for op, box in boxes.items()}
    kept = set(list(dict.fromkeys(boxes.values()))[:MOST_BOXES])
    if chosen is not None:
        kept.add(boxes[chosen])
    return {op: box for op, box in boxes.items() if box in kept}, sum(box not in kept for box in boxes.values())


def _outer(box: Box, depth: int) -> Box:
    parts = box.name.split("/")
    return box if len(parts) <= depth else Box("/".join(parts[:depth]), "")


# --- text ----------------------------------------------------------------------------------------------------------------


def _frames(identifiers: dict[Box, str], counts: Counter[Box], chosen: Box | None) -> Iterator[str]:
    """The boxes, each in the frames of its scopes."""
    tree: dict[str, Any] = {}
    for box in identifiers:
        scope = tree
        for part in box.name.split("/")[:-1]:
            scope = scope.setdefault(part, {})
        scope[f"{box.name}/"] = box  # no part of a name holds a slash, so this is no scope
    yield from _frame(tree, "", identifiers, counts, chosen)


def _frame(tree: dict[str, Any], path: str, identifiers: dict[Box, str], counts: Any, chosen: Box | None) -> Iterator[str]:
    indent = "  " * (path.count("/") + 1)
    for key, inner in tree.items():
        if isinstance(inner, Box):
            look = _LOOKS.get(inner.type, _PLAIN)
            if inner is chosen or inner == chosen:
                look += f", {_CHOSEN}"
            label, tip = quoted(_label(inner, counts[inner])), quoted(f"{inner.name} ({inner.type or 'scope'})")
            yield f"{indent}{identifiers[inner]} [label={label}, tooltip={tip}, {look}];\n"
        else:
            frame = f"subgraph {quoted(f'cluster {path}{key}')}"
            yield f"{indent}{frame} {{ label={quoted(key)}; tooltip={quoted(path + key)};\n"
            yield from _frame(inner, f"{path}{key}/", identifiers, counts, chosen)
            yield f"{indent}}}\n"


def _label(box: Box, count: int) -> str:
    short = box.name.rpartition("/")[2]
    if not box.type:
        return f"{short}\n{count} operations"
    return short if short.lower() == box.type.lower() else f"{short}\n{box.type}"


def _arrows(boxes: dict[Operation, Box], identifiers: dict[Box, str]) -> Iterator[str]:
    arrows: dict[tuple[Box, Box, str | None], None] = {}
    for op, box in boxes.items():
        for source, shape in _sources(op):
            of = boxes.get(source)
            if of is not None and of != box:
                arrows[of, box, shape if of.type and box.type else ""] = None
    into = Counter(box for _, box, _ in arrows)
    for of, box, shape in arrows:
        into[box] -= 1
        if box.type or into[box] < MOST_ARROWS:
            yield f"  {identifiers[of]} -> {identifiers[box]} [{_arrow(of, box, shape)}];\n"


def _arrow(source: Box, box: Box, shape: str | None) -> str:
    if source.type and not box.type:
        return 'color="#cccccc", arrowsize=0.4'  # what a gradient takes of the values before
    if shape is None:
        return "style=dashed, arrowsize=0.4"
    return f"label={quoted(shape)}" if shape else ""


def _sources(op: Operation) -> Iterable[tuple[Operation, str | None]]:
    """(operation, shape of what comes from it, None for mere waiting); a read stands for its variable."""
    for tensor in op.inputs:
        source = tensor.op.inputs[0].op if _is_read(tensor.op) else tensor.op
        yield source, "" if tensor.dims is None else show(tensor.dims)
    for source in _source_ops(op):
        yield source, None


def quoted(text: str) -> str:
    """A string of Graphviz' language that shows `text` as it is: no escape of its own, no markup."""
    return (
        '"'
        + text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\0", "")
        + '"'
    )
