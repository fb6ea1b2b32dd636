"""From a pruned graph to C, stage by stage. Read this file first.

    graph operations --specialise--> Roots --expand, simplify, fold_constants, pool_positions, place_copies--> Roots
      --group_kernels, order_kernels--> groups --plan_memory--> Plan --kinds, templates--> Program

`STAGES` is the part of the pipeline that maps Roots to Roots; the driver runs, checks and dumps each stage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..shapes import Batch, Undecided, element_count
from . import kinds
from .check import check_plan, check_roots
from .emitted import unique_shared
from .index import access_of
from .ir import FetchSlot, Group, Kernel, Node, Parts, Program, RandomSlot, Roots, Size, VariableSlot
from .joined import write_joined
from .names import comment, identifier
from .passes.expand import expand
from .passes.fold_constants import fold_constants
from .passes.group_kernels import group_kernels
from .passes.join_launches import Run, join_launches
from .passes.moments import moments
from .passes.move_reshapes import move_reshapes
from .passes.move_transposes import move_transposes
from .passes.name_sizes import name_sizes
from .passes.order_kernels import order_kernels
from .passes.place_copies import place_copies, variable_of
from .passes.plan_memory import Tables, external_values, plan_memory, tables
from .passes.pool_positions import pool_positions
from .passes.settle_static import settle_static
from .passes.short_groups import short_groups
from .passes.simplify import simplify
from .passes.specialise import specialise
from .passes.spread_gradients import spread_gradients
from .problems import NeedsConstants
from .scalar import Printer
from .signature import Prepared
from .source import assemble
from .trace import Trace

STAGES: tuple[Callable[[Roots], Roots], ...] = (
    name_sizes,  # before expand: composites ask for sizes as values
    expand,
    name_sizes,  # and make new ones, which are packed by a composite
    expand,
    fold_constants,  # before simplify: its rules look at constant operands
    move_transposes,
    simplify,
    fold_constants,  # simplify may leave constants that have met
    pool_positions,  # after simplify: equal nodes are one by now, so that a gradient knows its pooling
    spread_gradients,
    move_reshapes,  # after pool_positions, which moves masks in front of pooling gradients
    short_groups,
    settle_static,
    moments,
    place_copies,  # last: every pass before it is free to make views, and equal copies of fetches must not become one
)


def compile_program(
    prepared: Prepared,
    dims: Sequence[tuple[Any, ...]],
    values: Mapping[int, np.ndarray],
    variable_dims: Mapping[str, tuple[int, ...]],
    trace: Trace | None = None,
    prefix: str = "",
) -> Program:
    """The program of one specialisation. Pure: equal graphs give byte-equal source. `trace` follows the compilation;
    the names of the kernels' functions begin with `prefix`.

    Raises NeedsConstants, NeedsValues, NotCompilable (see `problems`) or InvalidArgumentError for shapes that do not fit.
    """
    trace = trace or Trace()
    try:
        roots, groups = grouped(prepared, dims, values, variable_dims, trace)
        program = emit(roots, groups, dims, prepared, trace, prefix)
    except Undecided as reason:
        raise NeedsConstants(str(reason)) from None
    trace.source(program.source)
    return program


def grouped(
    prepared: Prepared,
    dims: Sequence[tuple[Any, ...]],
    values: Mapping[int, np.ndarray],
    variable_dims: Mapping[str, tuple[int, ...]],
    trace: Trace,
) -> tuple[Roots, tuple[Group, ...]]:
    """What comes before the text, which every target has in common: the graph of one specialisation, and its groups."""
    roots = specialise(prepared.order, prepared.fetches, prepared.feeds, dims, values, variable_dims)
    trace.stage("specialise", roots)
    for stage in STAGES:
        roots = stage(roots)
        check_roots(roots, stage.__name__)
        trace.stage(stage.__name__, roots)
    groups = order_kernels(group_kernels(roots), roots)
    trace.groups(groups)
    return roots, groups


def emit(
    roots: Roots, groups: tuple[Group, ...], dims: Sequence[Any], prepared: Prepared, trace: Trace, prefix: str = ""
) -> Program:
    """Kernels, their memory and their text."""
    kernels = tuple(
        Kernel(i, prefix + kernel_name(i, group), group, reads, writes)
        for i, (group, (reads, writes)) in enumerate(zip(groups, external_values(groups, roots), strict=True))
    )
    known = tables(groups)
    scratch = {k.index: kinds.scratch(k) for k in kernels}
    runs = join_launches(kernels)
    plan = plan_memory(kernels, roots, known, scratch, [(run.first, run.last) for run in runs])
    check_plan(kernels, plan)
    trace.plan(kernels, plan)
    randoms = tuple(dict.fromkeys(n for g in groups for n in g.nodes if n.opdef.effect == "random"))
    printer, failures = Printer(), dict[str, int]()
    written = [kinds.write(k, plan, printer, known, failures, randoms) for k in kernels]
    trace.written(written)
    parts = _parts(kernels, written, runs, prefix)
    source = assemble(
        kernels=parts.kernels,
        launches=parts.launches,
        joined=parts.joined,
        shared=parts.shared,
        math=frozenset(printer.used),
        random=parts.random,
        summary=summary(roots, kernels, prepared),
        batch_bytes=plan.batch_bytes,
        batch_rest=plan.batch_rest,
        fixed_bytes=plan.fixed_bytes,
    )
    return Program(
        source=source,
        feeds=tuple(FetchSlot(t.dtype.base_dtype, tuple(d)) for t, d in zip(prepared.feeds, dims, strict=True)),
        fetches=tuple(FetchSlot(v.dtype.base_dtype, v.dims) for v in roots.fetches),
        variables=variable_slots(known, groups),
        constants=tuple(np.asarray(v.op.attr("value")) for v in known.constants),
        randoms=tuple(random_slot(n) for n in randoms),
        batch_bytes=plan.batch_bytes,
        fixed_bytes=plan.fixed_bytes,
        kernels=kernels,
        plan=plan,
        kernel_count=len(kernels),
        checks=tuple(failures),
        math=frozenset(printer.used),
        parts=parts,
        batch_rest=plan.batch_rest,
    )


def _parts(kernels: Sequence[Kernel], written: Sequence[kinds.Written], runs: Sequence[Run], prefix: str) -> Parts:
    return Parts(
        kernels=tuple(w.source for w in written),
        launches=tuple((k.index, launch) for k, w in zip(kernels, written, strict=True) for launch in w.launches),
        shared=unique_shared(item for w in written for item in w.shared),
        random=frozenset(name for w in written for name in w.random),
        joined=tuple(write_joined(r, [w.launches for w in written[r.first : r.last + 1]], prefix) for r in runs),
    )


def kernel_name(index: int, group: Group) -> str:
    """`k07_conv2d_bias_relu`: the number, then what the group does."""
    names = dict.fromkeys(identifier(n.label) if group.kind != "pointwise" else identifier(n.type) for n in group.nodes)
    if group.anchor is not None:
        names = {group.kind: None, **{identifier(n.type): None for n in group.nodes if n is not group.anchor}}
    stem = "_".join(list(names)[:4])
    return f"k{index:02d}_{stem}"[:48]


def variable_slots(known: Tables, groups: Sequence[Group]) -> tuple[VariableSlot, ...]:
    """What each variable must be before the step: who reads it first, if anybody does before a write sets it whole."""
    first_reader: dict[Node, str | None] = {}
    written: set[Node] = set()
    for node in (n for group in groups for n in group.nodes):
        plain = [access_of(v).base.op for v in node.data_inputs() if not v.dtype.is_ref]
        for read in (r for r in plain if r.type == "_Read"):
            first_reader.setdefault(variable_of(read.inputs[0]), _origin_name(read))
        for variable in (variable_of(v) for v in node.inputs if v.dtype.is_ref):
            first_reader.setdefault(variable, None if node.type == "Assign" else _origin_name(node))
            written.add(variable)
    return tuple(
        VariableSlot(v.attr("key"), v.outputs[0].dtype.base_dtype, v.outputs[0].dims, first_reader.get(v), v in written)
        for v in known.variables
    )


def _origin_name(node: Node) -> str:
    return node.origin.name if node.origin is not None else node.label


def random_slot(node: Node) -> RandomSlot:
    """A random operation of the program."""
    count = element_count(node.outputs[0].dims)
    # 256 counters per output, whatever the distribution (tfgraph/philox.py)
    reserved = Size(per_batch=256 * count.per) if isinstance(count, Batch) else Size(fixed=256 * count)
    return RandomSlot(node.origin.name, int(node.attr("seed")), int(node.attr("seed2")), reserved)


def summary(roots: Roots, kernels: Sequence[Kernel], prepared: Prepared) -> list[str]:
    """The lines above a program's text."""
    fetched = ", ".join(comment(t.name) for t in prepared.fetches[:8])
    fed = ", ".join(comment(t.name) for t in prepared.feeds[:8])
    return [f"{len(kernels)} kernels from {len(prepared.order)} operations", f"fetches: {fetched}", f"feeds: {fed}"]
