"""The files beside the C of a model: how to build it, an example, what is where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..render import render, squeeze
from .function import Parameter
from .model import Exported, Model
from .names import Identifiers

_LOCAL = ("model", "status", "i")  # variables of main.c
_BATCH = 32  # that the README tells sizes for
_LINK = {"c": "lib{}.a -lm -pthread", "cuda": "-L. -l{} -Wl,-rpath,."}


def texts(
    model: Model, options: Sequence[str], machine: Mapping[str, Sequence[str]], libraries: Sequence[str]
) -> dict[str, str]:
    """CMakeLists.txt, main.c and README.md by name, for a compiler with these options (`machine`: by object)."""
    language = "cuda" if model.archs else "c"
    common = {
        "prefix": model.prefix,
        "PREFIX": model.prefix.upper(),
        "options": options,
        "archs": model.archs,
        "cmake_archs": " ".join(cmake_archs(model.archs)),
        "link": _LINK[language].format(model.prefix),
    }
    objects = [
        {"name": one.name, "source": one.source, "macros": one.macros, "options": " ".join(machine[one.name])}
        for one in model.objects
    ]
    return {
        "CMakeLists.txt": _text(f"{language}/export/CMakeLists.txt.j2", **common, objects=objects),
        "main.c": _text("c/export/main.c.j2", **common, functions=[_called(f) for f in model.functions]),
        "README.md": _text(
            f"{language}/export/README.md.j2",
            **common,
            isas=[isa.name for isa in model.isas],
            sources=list(model.sources),
            files=_files(model, libraries),
            functions=[_described(f) for f in model.functions],
            variables=_variables(model),
            arena=f"{'at most ' if model.archs else ''}{_arena(model, _BATCH):,}",
            example=_example(model),
        ),
    }


def cmake_archs(archs: Sequence[str]) -> list[str]:
    """Architectures as CMake calls them: kernels for each, PTX of the last, too."""
    numbers = [arch.removeprefix("sm_") for arch in archs]
    return [*(f"{number}-real" for number in numbers[:-1]), *numbers[-1:]]


def _text(template: str, **context: Any) -> str:
    return squeeze(render(template, **context)).strip() + "\n"


# --- main.c ---------------------------------------------------------------------------------------------------------------


def _called(function: Exported) -> dict[str, Any]:
    names = Identifiers(_LOCAL)
    parameters = [p if p.by_value else replace(p, name=names.unique(p.name)) for p in function.parameters]
    arrays = [p for p in parameters if not p.by_value]
    values = ["model", "BATCH", *(_value(p) if p.by_value else p.name for p in parameters)]
    return {
        "name": function.name,
        "arrays": [_array(p) for p in arrays],
        "filled": [_array(p) for p in arrays if not p.is_output and p.dtype.is_floating and p.fixed_elements > 0],
        "results": [{"name": p.name} for p in arrays if p.is_output and p.fixed_elements > 0],
        "call": ", ".join(values),
    }


def _array(p: Parameter) -> dict[str, Any]:
    per_sample = max(1, p.fixed_elements)
    count = f"BATCH * {per_sample}" if p.grows else str(per_sample)
    return {"name": p.name, "c_type": p.c_type, "count": count}


def _value(p: Parameter) -> str:
    """A number for an argument that is none: a half, in whatever type."""
    return {"float32": "0.5f", "float64": "0.5", "bool": "false"}.get(p.dtype.name, "1")


# --- README.md ------------------------------------------------------------------------------------------------------------


def _files(model: Model, libraries: Sequence[str]) -> list[tuple[str, str]]:
    isas = ", ".join(model.archs or [isa.name for isa in model.isas])
    rows = [(f"{model.prefix}.h", "what a program includes")]
    main, *kernels = model.sources
    rows += [(main, "all of the code but the kernels" if kernels else f"all of the code, for {isas}")]
    rows += [(name, f"the kernels for {isa.name}") for name, isa in zip(kernels, model.isas, strict=bool(kernels))]
    rows += [(name, "the static library" if name.endswith(".a") else "the library") for name in libraries]
    return [
        *rows,
        (f"{model.prefix}.json", "functions, shapes, types, sizes and hashes"),
        ("CMakeLists.txt", "builds the libraries and the example"),
        ("main.c", "an example: calls every function once"),
    ]


def _described(function: Exported) -> dict[str, str]:
    ins = ["`int64_t batch`", *(_cell(p) for p in function.parameters if not p.is_output)]
    outs = [_cell(p) for p in function.parameters if p.is_output]
    return {"name": function.name, "ins": ", ".join(ins), "outs": ", ".join(outs) or "none"}


def _cell(p: Parameter) -> str:
    return f"`{p.name}` {p.dtype.name} {p.shape}" if p.dims else f"`{p.name}` {p.dtype.name}"


def _variables(model: Model) -> str:
    count = len(model.instance.variables)
    size = sum(v.elements * v.dtype.size for v in model.instance.variables)
    return f"An instance holds {count} variables of {size:,} bytes." if count else "An instance holds no variables."


def _arena(model: Model, batch: int) -> int:
    return max(per * batch + fixed for found in model.arenas.values() for per, fixed in found.values())


def _example(model: Model) -> str:
    function = model.functions[0]
    arguments = ", ".join(["model", "batch", *(p.name for p in function.parameters)])
    return f"status = {model.prefix}_{function.name}({arguments});"
