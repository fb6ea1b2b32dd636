"""Functions over one graph -> the texts of a library. Read this file first.

    functions --compile_all--> programs, one for each instruction set and function
      --instance_of--> what they share: variables, random states   --texts, templates--> MODEL.c, MODEL.h
        (split: MODEL.c has the interface, a MODEL_kernels_ISA.c for each instruction set its programs)

`Function`s come with their operations in execution order; the last one, `initialize`, gives the variables their values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...shapes import Batch
from ..ir import Program
from ..names import comment
from ..prelude import math_closure
from ..render import render, squeeze, tidy
from .checkpoint import Tensor, checkpoint_source, random_tensor
from .constants import Constants
from .function import Function, Parameter, documented, feed_dims, parameter
from .instance import SEED_MODULUS, Fill, Instance, instance_of
from .isas import Isa
from .names import c_string
from .programs import ALIGNMENT, Programs, compile_all, fixed_bytes, most_bytes_per_sample
from .sections import merged
from .status import CODES, in_c

INITIALIZE = "initialize"
MOST_THREADS = 1024
_MOST_BYTES = 2**62  # of any one array: sums of two still fit into 64 bits


@dataclass(frozen=True)
class Exported:
    """A function as C declares it."""

    name: str
    parameters: tuple[Parameter, ...]
    program: Program  # of the first instruction set


@dataclass(frozen=True)
class Object:
    """How an object file of the library is compiled: a C file, for an instruction set, with macros defined."""

    name: str
    source: str
    isa: Isa
    macros: tuple[str, ...]
    is_baseline: bool  # beside code for better processors


@dataclass(frozen=True)
class Model:
    """A library as text, and what describes it."""

    prefix: str
    isas: tuple[Isa, ...]
    functions: tuple[Exported, ...]
    instance: Instance
    sources: dict[str, str]  # C files by name, the one with the interface first
    header: str
    objects: tuple[Object, ...]  # the first one has the interface
    arenas: dict[str, dict[str, tuple[int, int]]]  # instruction set -> function -> bytes per sample, other bytes
    archs: tuple[str, ...] = ()  # the architectures that CUDA kernels are compiled for


def export_model(
    functions: Sequence[Function],
    initialize: Function,
    fills: Sequence[Fill],
    prefix: str,
    isas: Sequence[Isa],
    is_split: bool = False,
) -> Model:
    """The library `prefix` with these functions. Variables start as `fills` say, the others as `initialize` assigns them.

    `is_split`: the kernels are in files of their own. InvalidArgumentError for what C cannot compute.
    """
    every = (*functions, initialize)
    programs = compile_all(every, isas)
    instance = instance_of([p for found in programs.values() for p in found.values()], fills, graph_of(every))
    exported = tuple(exported_function(f, programs[isas[0].name][f.name]) for f in functions)
    context = _context(prefix, isas, exported, instance, programs)
    context |= {"fills": [filled(fill, instance) for fill in fills], "is_split": is_split}
    objects = _objects_of_files(prefix, isas) if is_split else _objects_of_one_file(prefix, isas)
    return Model(
        prefix=prefix,
        isas=tuple(isas),
        functions=exported,
        instance=instance,
        sources=_files(prefix, isas, programs, context) if is_split else _one_file(prefix, isas, programs, context),
        header=text_of("c/export/model.h.j2", context),
        objects=objects,
        arenas={isa.name: _arenas(programs[isa.name]) for isa in isas},
    )


def _arenas(programs: Mapping[str, Program]) -> dict[str, tuple[int, int]]:
    return {name: (p.batch_bytes, fixed_bytes(p) + p.batch_rest) for name, p in programs.items()}


def text_of(template: str, context: dict[str, Any]) -> str:
    """A template as the text of a file."""
    return squeeze(render(template, **context)).strip() + "\n"


def graph_of(functions: Sequence[Function]) -> Any:
    """The graph that the functions are of."""
    return next(op.graph for function in functions for op in function.order)


def exported_function(function: Function, program: Program) -> Exported:
    """A function with its parameters."""
    ins = [
        parameter(t, feed_dims(t, function.name), name, function.name, False)
        for t, name in zip(function.feeds, function.arguments, strict=True)
    ]
    outs = [
        parameter(t, slot.dims, name, function.name, True)
        for t, slot, name in zip(function.fetches, program.fetches, function.outputs, strict=True)
    ]
    return Exported(function.name, (*ins, *outs), program)


# --- C files ------------------------------------------------------------------------------------------------------


def _one_file(prefix: str, isas: Sequence[Isa], programs: Programs, context: dict[str, Any]) -> dict[str, str]:
    """MODEL.c with everything."""
    opening = {"about": _about(prefix), "building": _building(prefix, isas)}
    parts = _programs_text(isas, programs, context)
    return {f"{prefix}.c": text_of("c/export/model.c.j2", context | parts | opening)}


def _files(prefix: str, isas: Sequence[Isa], programs: Programs, context: dict[str, Any]) -> dict[str, str]:
    """MODEL.c with the interface, and for each instruction set a file with its kernels."""
    names = [f"{prefix}_kernels_{isa.name}.c" for isa in isas]
    building = [f"The kernels are in {', '.join(names)}. How all is built: CMakeLists.txt."]
    opening = {"about": _about(prefix), "building": building}
    found = {f"{prefix}.c": text_of("c/export/model_alone.c.j2", context | opening)}
    for isa, name in zip(isas, names, strict=True):
        opening = {"about": f"The kernels of {prefix}.c for {isa.name}; generated by tfgraph.", "building": building}
        parts = _programs_text((isa,), programs, context)
        found[name] = text_of("c/export/model_kernels.c.j2", context | parts | opening | {"isas": (isa,)})
    return found


def _programs_text(isas: Sequence[Isa], programs: Programs, context: dict[str, Any]) -> dict[str, Any]:
    """What a file that has the programs of these instruction sets has of them."""
    own = [programs[isa.name] for isa in isas]
    everything = [p for found in own for p in found.values()]
    return {
        "math": math_closure({name for p in everything for name in p.math}),
        "random": frozenset(name for p in everything for name in parts_of(p).random),
        "shared": merged({isa.name: shared_texts(programs[isa.name]) for isa in isas}, isas),
        "kernels": merged({isa.name: _kernels(programs[isa.name]) for isa in isas}, isas),
        "programs": merged({isa.name: _runs(programs[isa.name]) for isa in isas}, isas),
        "tables": merged({isa.name: context["table_of"][isa.name] for isa in isas}, isas),
    }


def _objects_of_one_file(prefix: str, isas: Sequence[Isa]) -> tuple[Object, ...]:
    """The same file compiled for every instruction set; first with the interface, which asks for the others."""
    macro = prefix.upper()
    several = len(isas) > 1
    asks = tuple(f"{macro}_WITH_{isa.macro}" for isa in isas[1:])
    first = Object(f"{prefix}_{isas[0].name}", f"{prefix}.c", isas[0], asks, several)
    others = [Object(f"{prefix}_{isa.name}", f"{prefix}.c", isa, (f"{macro}_KERNELS_ONLY",), False) for isa in isas[1:]]
    return (first, *others)


def _objects_of_files(prefix: str, isas: Sequence[Isa]) -> tuple[Object, ...]:
    several = len(isas) > 1
    first = Object(f"{prefix}_interface", f"{prefix}.c", isas[0], (), several)
    names = [f"{prefix}_kernels_{isa.name}" for isa in isas]
    return (first, *(Object(n, f"{n}.c", isa, (), several and isa is isas[0]) for n, isa in zip(names, isas, strict=True)))


def _about(prefix: str) -> str:
    return f"{prefix}: a TensorFlow graph as C, generated by tfgraph. The functions are described in {prefix}.h."


def _building(prefix: str, isas: Sequence[Isa]) -> list[str]:
    lines = [f"cc -O3 -fopenmp-simd -shared -fPIC -fvisibility=hidden -pthread -o lib{prefix}.so {prefix}.c -lm"]
    if len(isas) > 1:
        lines = [
            f"{lines[0]} gives a library for {isas[0].name}, or for what -march allows. For more instruction sets in",
            f"one library compile this file once more for each, with -D{prefix.upper()}_KERNELS_ONLY and its -march, and",
            f"this one with {' '.join(f'-D{prefix.upper()}_WITH_{isa.macro}' for isa in isas[1:])}; see CMakeLists.txt.",
        ]
    return lines


# --- what the templates see ---------------------------------------------------------------------------------------


def _context(
    prefix: str, isas: Sequence[Isa], functions: Sequence[Exported], instance: Instance, programs: Programs
) -> dict[str, Any]:
    constants = Constants(prefix)
    tables = {isa.name: {"tables": _tables(isa, programs[isa.name], instance, constants)} for isa in isas}
    largest = max(most_bytes_per_sample(p) for found in programs.values() for p in found.values())
    return {
        "prefix": prefix,
        "PREFIX": prefix.upper(),
        "summary": [f"{f.name}: {f.program.kernel_count} kernels" for f in functions],
        "isas": isas,
        "alignment": ALIGNMENT,
        "most_threads": MOST_THREADS,
        "most_batch": f"INT64_C({_MOST_BYTES // max(1, largest)})",
        "codes": in_c(CODES, prefix.upper()),
        "functions": [signature(prefix, f) for f in functions],
        "program_names": list(programs[isas[0].name]),
        "variables": instance.variables,
        "randoms": instance.randoms,
        "seed_modulus": SEED_MODULUS,
        "batch_bytes": None,
        "table_of": tables,
        "constants": constants.all,
        "checkpoint": checkpoint_source(tensors(prefix, instance), prefix.upper()),
    }


def parts_of(program: Program) -> Any:
    """The texts that a program's source is made of."""
    assert program.parts is not None, "the program has just been compiled"
    return program.parts


def shared_texts(programs: Any) -> dict[str, str]:
    """The helpers of all programs, each once."""
    found: dict[str, str] = {}
    for item in (item for p in programs.values() for item in parts_of(p).shared):
        assert found.setdefault(item.name, item.source) == item.source, f"two helpers are called {item.name}"
    return found


def _kernels(programs: Any) -> dict[str, str]:
    pairs = [pair for p in programs.values() for pair in zip(p.kernels, parts_of(p).kernels, strict=True)]
    return {kernel.name: text for kernel, text in pairs}


def _runs(programs: Any) -> dict[str, str]:
    texts = {}
    for name, program in programs.items():
        parts = parts_of(program)
        launches = parts.whole_step()
        used = any("N" in _words(launch.chunks) for launch in launches)
        run = tidy(render("c/export/model_program.c.j2", name=name, n_is_used=used, launches=launches))
        texts[name] = "\n\n".join([*(joined.source for joined in parts.joined if joined.source), run])
    return texts


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c == "_" else " " for c in text).split()


def _tables(isa: Isa, programs: Any, instance: Instance, constants: Constants) -> str:
    rows = []
    for name, p in programs.items():
        row = needs(name, p, instance)
        rows.append(row | {"constants": [constants.name_of(array) for array in p.constants]})
    return render("c/export/model_tables.c.j2", isa=c_string(isa.name), programs=rows)


def needs(name: str, program: Program, instance: Instance) -> dict[str, Any]:
    """What a program needs, for the template of its tables."""
    return {
        "name": name,
        "batch_bytes": program.batch_bytes,
        "fixed_bytes": fixed_bytes(program),
        "rest_bytes": program.batch_rest,
        "uses": [
            {
                "variable": instance.variable(v.op_name),
                "reads": _c_bool(v.read_by is not None),
                "writes": _c_bool(v.written),
                "op_name": comment(v.op_name),
            }
            for v in program.variables
        ],
        "draws": [
            {
                "operation": instance.random(r.op_name),
                "per_batch": r.reserved.per_batch,
                "fixed": r.reserved.fixed,
                "op_name": comment(r.op_name),
            }
            for r in program.randoms
        ],
        "checks": [c_string(check) for check in program.checks],
    }


def filled(fill: Fill, instance: Instance) -> dict[str, Any]:
    """How a variable starts that is one number everywhere, for the template."""
    variable = instance.variable(fill.op_name)
    elements = instance.variables[variable].elements
    bits = f"0x{fill.bits:0{2 * fill.dtype.size}x}U"
    comment_ = f"{comment(fill.op_name)} = {fill.value}"
    return {"variable": variable, "elements": elements, "size": fill.dtype.size, "bits": bits, "comment": comment_}


def _c_bool(value: bool) -> str:
    return "true" if value else "false"


def tensors(struct: str, instance: Instance) -> list[Tensor]:
    """What a checkpoint has, with its places in a C type that has the variables and `random` as members."""
    variables = [Tensor(v.op_name, v.dtype, v.dims, f"offsetof({struct}, {v.member})") for v in instance.variables]
    randoms = [
        random_tensor(r.op_name, f"offsetof({struct}, random) + {i} * sizeof(tg_random)")
        for i, r in enumerate(instance.randoms)
    ]
    return [*variables, *randoms]


def signature(prefix: str, function: Exported) -> dict[str, Any]:
    """A function as the templates declare, document and call it."""
    ins = [p for p in function.parameters if not p.is_output]
    outs = [p for p in function.parameters if p.is_output]
    declared = ", ".join([f"{prefix} *model", "int64_t batch", *(p.declaration for p in function.parameters)])
    pointers = ["model", *(p.name for p in function.parameters if not p.by_value)]
    return {
        "name": function.name,
        "prototype": f"{prefix}_{function.name}({declared})",
        "null_test": " || ".join(f"{name} == NULL" for name in pointers),
        "feeds": ", ".join(f"&{p.name}" if p.by_value else p.name for p in ins),
        "fetches": ", ".join(p.name for p in outs),
        "comment": _comment(function, ins, outs),
    }


def _comment(function: Exported, ins: Sequence[Parameter], outs: Sequence[Parameter]) -> list[str]:
    lines = [f"{function.name}"]
    if not any(p.grows for p in function.parameters):
        lines.append("    batch has no influence: no array of this function grows with it")
    lines += [f"    in   {comment(line)}" for line in documented(ins)]
    lines += [f"    out  {comment(line)}" for line in documented(outs)]
    written = sum(v.written for v in function.program.variables)
    if written:
        lines.append(f"    changes {written} variable{'s' if written > 1 else ''}")
    return lines


def dims_record(dims: Any) -> list[Any]:
    """Dimensions for JSON: numbers, `"batch"`, or `"3 * batch"`."""
    return [("batch" if d.per == 1 else f"{d.per} * batch") if isinstance(d, Batch) else int(d) for d in dims]
