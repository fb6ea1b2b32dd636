"""From a pruned graph to CUDA: C's stages and groups (codegen/compile.py), then kernels of CUDA's own kinds.

groups --kinds--> kernels --joined--> launches --templates/cuda/step.cu.j2--> CudaProgram
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...shapes import Undecided
from ..check import check_plan
from ..compile import grouped, kernel_name, random_slot, summary, variable_slots
from ..emitted import unique_shared
from ..ir import FetchSlot, Group, Kernel, Parts, Plan, Roots
from ..kinds import Written
from ..passes.plan_memory import external_values, plan_memory, tables
from ..prelude import math_closure
from ..problems import NeedsConstants
from ..render import render, squeeze
from ..scalar import Printer
from ..signature import Prepared
from ..target import CUDA, writing_for
from ..trace import Trace
from .joined import Step, runs_of, step_of
from .kinds import entry
from .program import CudaProgram
from .scribe import CudaContext
from .text import function_text, guarded

MOST_POINTERS = 400  # as parameters of a kernel, of which 4 KB are allowed; more are read from tables in memory
PRODUCTS = ("product_f32", "product_f64")


def compile_cuda_program(
    prepared: Prepared,
    dims: Sequence[tuple[Any, ...]],
    values: Mapping[int, np.ndarray],
    variable_dims: Mapping[str, tuple[int, ...]],
    trace: Trace | None = None,
    prefix: str = "",
) -> CudaProgram:
    """The CUDA program of one specialisation; parameters and exceptions are those of `codegen.compile_program`."""
    trace = trace or Trace()
    with writing_for(CUDA.name):
        try:
            roots, groups = grouped(prepared, dims, values, variable_dims, trace)
            program = _emit(roots, groups, dims, prepared, trace, prefix)
        except Undecided as reason:
            raise NeedsConstants(str(reason)) from None
    trace.source(program.source)
    return program


def _emit(
    roots: Roots, groups: tuple[Group, ...], dims: Sequence[Any], prepared: Prepared, trace: Trace, prefix: str
) -> CudaProgram:
    kernels = tuple(
        Kernel(i, prefix + kernel_name(i, group), group, reads, writes)
        for i, (group, (reads, writes)) in enumerate(zip(groups, external_values(groups, roots), strict=True))
    )
    known = tables(groups)
    runs = runs_of(kernels)
    scratch = {k.index: entry(k)[1](k) for k in kernels}
    plan = plan_memory(kernels, roots, known, scratch, [(run.first, run.last) for run in runs])
    check_plan(kernels, plan)
    trace.plan(kernels, plan)
    randoms = tuple(dict.fromkeys(n for g in groups for n in g.nodes if n.opdef.effect == "random"))
    printer, failures = Printer(), dict[str, int]()
    written = [_written(CudaContext(k, plan, printer, known, failures, randoms)) for k in kernels]
    trace.written(written)
    step = step_of(kernels, written, runs, prefix)
    counts = (len(prepared.feeds), len(roots.fetches), len(known.variables), len(known.constants))
    math = frozenset(printer.used)
    shared = unique_shared(item for w in written for item in w.shared)
    random = frozenset(name for w in written for name in w.random)
    parts = Parts(step.sources, (), shared, random)
    return CudaProgram(
        source=_source(step, parts, plan, math, counts, summary(roots, kernels, prepared)),
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
        math=math,
        batch_rest=plan.batch_rest,
        launches=step.launches,
        launch_kernels=step.launch_kernels,
        in_memory=sum(counts) > MOST_POINTERS,
        parts=parts,
    )


def _written(context: CudaContext) -> Written:
    """A kernel; after one that makes a check, nothing may be written once a check has failed."""
    follows_check = bool(context.failures)
    found = entry(context.kernel)[0](context)
    if not follows_check:
        return found
    return Written(guarded(found.source), found.launches, found.shared, found.random, found.method)


TABLES = (("feeds", "const void *"), ("fetches", "void *"), ("variables", "void *"), ("constants", "const void *"))


def _source(
    step: Step, parts: Parts, plan: Plan, math: frozenset[str], counts: Sequence[int], lines: Sequence[str]
) -> str:
    text = render(
        "cuda/step.cu.j2",
        summary=lines,
        batch_bytes=plan.batch_bytes,
        batch_rest=plan.batch_rest,
        fixed_bytes=plan.fixed_bytes,
        shared=parts.shared,
        kernels=step.sources,
        **prelude_context(math, parts.random, counts),
    )
    return squeeze(text)


def prelude_context(math: frozenset[str], random: frozenset[str], counts: Sequence[int]) -> dict[str, Any]:
    """What the prelude's template takes beside the arenas, for kernels that use these functions and tables so long."""
    names = math_closure(math)
    functions = render("c/math.h.j2", math=[name for name in names if name not in PRODUCTS]) if names else ""
    return {
        "tables": [
            {"name": name, "type": ctype, "size": max(1, size)} for (name, ctype), size in zip(TABLES, counts, strict=True)
        ],
        "in_memory": sum(counts) > MOST_POINTERS,
        "products": [name for name in names if name in PRODUCTS],
        "math_text": function_text(functions),
        "random": sorted(random),
    }
