"""The programs of all functions for one instruction set after another, and their texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...dtypes import string
from ...errors import InvalidArgumentError
from ...opdef import Host
from ...run_errors import at_node
from ..compile import compile_program
from ..cuda.compile import compile_cuda_program
from ..cuda.program import CudaProgram
from ..ir import Program
from ..problems import NeedsConstants, NeedsValues, NotCompilable
from ..signature import prepare
from ..target import writing_for
from .function import Function, feed_dims
from .isas import Isa

ALIGNMENT = 64

Programs = Mapping[str, Mapping[str, Program]]
"""Instruction set -> function -> program."""


def compile_all(functions: Sequence[Function], isas: Sequence[Isa]) -> Programs:
    """Every function for every instruction set. InvalidArgumentError for one that C cannot compute, with its reason."""
    for function in functions:
        _check_operations(function)
    found: dict[str, dict[str, Program]] = {}
    for isa in isas:
        with writing_for(isa.name):
            found[isa.name] = {function.name: _compile(function, compile_program, "C") for function in functions}
    return found


def compile_cuda(functions: Sequence[Function]) -> Mapping[str, CudaProgram]:
    """Every function for CUDA, by name. InvalidArgumentError for one that has no CUDA form, with its reason."""
    for function in functions:
        _check_operations(function)
    return {function.name: _compile(function, compile_cuda_program, "CUDA") for function in functions}


def _check_operations(function: Function) -> None:
    for op in function.order:
        in_python = isinstance(op.opdef.kind, Host)
        if in_python or any(t.dtype.base_dtype == string for t in (*op.inputs, *op.outputs) if t not in function.all_feeds):
            what = "runs in Python" if in_python else "works on strings"
            text = f"Function {function.name!r} needs {op.name} ({op.type}), which {what} and has no C form. Leave it out"
            raise at_node(InvalidArgumentError, op, text)


def _compile(function: Function, compiler: Callable[..., Any], language: str) -> Any:
    feeds = function.all_feeds
    values = {i: function.given[t] for i, t in enumerate(feeds) if t in function.given}
    dims = [values[i].shape if i in values else feed_dims(t, function.name) for i, t in enumerate(feeds)]
    prepared = prepare(function.order, function.fetches, feeds)
    try:
        return compiler(prepared, dims, values, {}, prefix=f"{function.name}_")
    except NeedsConstants as need:
        raise _refused(function, language, str(need), "It must not depend on the exact number of samples") from None
    except NeedsValues as need:
        names = [feeds[i].name for i in need.feeds]
        advice = (
            f"The value of {', '.join(names)} decides what is computed: make it part of the function, "
            f"functions={{{function.name!r}: (fetches, feeds, {{{names[0].partition(':')[0]}: value}})}}"
        )
        reason = f"the value of {', '.join(names)} is needed to compile it"
        raise _refused(function, language, reason, advice, feeds[need.feeds[0]].op) from None
    except NotCompilable as problem:
        raise _refused(function, language, str(problem), "Leave it out or compute it in another way") from None


def _refused(function: Function, language: str, reason: str, advice: str, op: Any = None) -> Exception:
    """The error of a function that cannot be compiled, at the operation whose name begins the reason."""
    named = {o.name: o for o in function.order}
    op = op or next((named[word] for word in reason.replace(":", " ").split() if word in named), function.order[-1])
    text = f"Function {function.name!r} cannot be compiled to {language}: {reason}. {advice}"
    return at_node(InvalidArgumentError, op, text)


def fixed_bytes(program: Program) -> int:
    """The part of a program's working memory that does not grow, as the other part follows it."""
    return -(-program.fixed_bytes // ALIGNMENT) * ALIGNMENT


def most_bytes_per_sample(program: Program) -> int:
    """Bytes of the largest array, working memory included, whose size is a multiple of the batch."""
    sizes = [program.batch_bytes]
    for slot in (*program.feeds, *program.fetches):
        per = [d.per if hasattr(d, "per") else int(d) for d in slot.dims]
        sizes.append(int(np.prod(per, dtype=object)) * slot.dtype.size)
    return max(sizes)
