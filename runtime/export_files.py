"""The folder of an exported model: texts written safely, libraries compiled, and the record of it all."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..codegen.export.beside import texts
from ..codegen.export.cuda_model import build_options
from ..codegen.export.model import Model, dims_record
from ..errors import InternalError, UnavailableError
from .cache import module_cache
from .targets import COMMON_OPTIONS, Builder, Platform, builder
from .toolchain import HOW_TO_INSTALL, Compiler, processor_options, target_options

_BUILD_OPTIONS = tuple(option for option in COMMON_OPTIONS if not option.startswith(("-std=", "-fvisibility=")))
# no exception passes through, and functions are too long to care where they begin: 19 and 2 KB less of 370 for lenet
_SMALL = ("-fno-asynchronous-unwind-tables", "-falign-functions=1")
# beside code for better processors, that for the oldest is made small: the same bits, 37 KB less of 334 for the digits
# example, and a step of lenet takes the same time
_BASELINE = ("-O2", "-falign-loops=1")
_MARK, _MARKED = b" by tfgraph", 400  # what every text says of itself in its first bytes
SHOWN_LINES = 30  # of a failed compiler's output


# --- texts ----------------------------------------------------------------------------------------------------------------


def written(folder: Path, model: Model, values: Any, libraries: Sequence[str]) -> tuple[str, ...]:
    """Write the texts and the weights, for a folder that will have these libraries too; the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = {
        one.name: processor_options(one.isa.name, Compiler(("cc",), "")) + (_BASELINE if one.is_baseline else ())
        for one in model.objects
    }
    beside = texts(model, build_options(model.archs) if model.archs else (*_BUILD_OPTIONS, *_SMALL), machine, libraries)
    files = {**model.sources, f"{model.prefix}.h": model.header, **beside}
    for name in files:
        _check_ours(folder / name)
    for name, text in files.items():
        replace(folder / name, text.encode())
    if values is None:
        return tuple(files)
    from ..checkpoint.model import write_model_checkpoint

    weights = f"{model.prefix}.safetensors"
    write_model_checkpoint(str(folder / weights), *values)
    return (*files, weights)


def _check_ours(path: Path) -> None:
    """FileExistsError if there is a file of this name that was not exported: it would be lost."""
    if path.exists() and _MARK not in path.read_bytes()[:_MARKED]:
        raise FileExistsError(f"{path} is there already and was not exported: choose another folder, or move it away")


def replace(path: Path, content: bytes) -> None:
    """Write a file beside its place, then move it there: nobody sees half of it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


# --- libraries ------------------------------------------------------------------------------------------------------------


def library_names(wanted: Platform, prefix: str) -> tuple[str, ...]:
    """The names of the shared and the static library on a platform."""
    return wanted.shared.format(prefix), wanted.static.format(prefix)


def built(folder: Path, model: Model, wanted: Platform, is_native: bool) -> tuple[str, ...]:
    """Compile the C files for every instruction set, side by side, and make both libraries; their names.

    UnavailableError: there is no compiler for the platform. InternalError: it failed.
    """
    tools = builder(wanted)
    prefix = model.prefix
    shared, static = library_names(wanted, prefix)
    with module_cache().build_folder() as build:
        for name in (*model.sources, f"{prefix}.h"):
            (build / name).write_bytes((folder / name).read_bytes())
        objects = [f"{one.name}.o" for one in model.objects]
        with ThreadPoolExecutor(max_workers=_processors()) as crew:
            list(crew.map(lambda job: _run(tools, job, build), _object_commands(tools, model, is_native)))
        _run(tools, tools.link(objects, shared), build)
        _run(tools, tools.archive(objects, static), build)
        for name in (shared, static):
            replace(folder / name, (build / name).read_bytes())
    os.chmod(folder / shared, 0o755)
    return shared, static


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _object_commands(tools: Builder, model: Model, is_native: bool) -> list[list[str]]:
    """How each object is compiled."""
    commands = []
    for one in model.objects:
        options = [f"-D{macro}" for macro in (f"{model.prefix.upper()}_SHARED", *one.macros)]
        options += _BASELINE if one.is_baseline else ()
        options += target_options(tools.compiler) if is_native else ()
        commands.append(tools.compile(one.source, f"{one.name}.o", one.isa.name, [*_SMALL, *options]))
    return commands


def _run(tools: Builder, command: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,  # so that no path of this machine gets into the product
            env=tools.compiler.environment(module_cache().folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise UnavailableError(None, None, f"{command[0]} cannot be started: {error}. {HOW_TO_INSTALL}") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[:SHOWN_LINES]
        lines = [f"{command[0]} failed with status {done.returncode}.", f"  command: {' '.join(command)}"]
        raise InternalError(None, None, "\n".join([*lines, *(f"    {line}" for line in said)]))


# --- the record -----------------------------------------------------------------------------------------------------------


def record_of(
    folder: Path, model: Model, target: str | None, written_files: Iterable[str], libraries: Iterable[str]
) -> Mapping[str, Any]:
    """What the folder holds, as it is written to MODEL.json."""
    record = {
        "format": "tfgraph-model-1",
        "prefix": model.prefix,
        "target": target,
        "isas": [isa.name for isa in model.isas],
        **({"archs": list(model.archs)} if model.archs else {}),
        "functions": {
            f.name: {
                "arguments": [_parameter(p) for p in f.parameters if not p.is_output],
                "outputs": [_parameter(p) for p in f.parameters if p.is_output],
            }
            for f in model.functions
        },
        "variables": [{"name": v.op_name, "dtype": v.dtype.name, "shape": list(v.dims)} for v in model.instance.variables],
        "random_operations": [r.op_name for r in model.instance.randoms],
        "arena_bytes": {
            isa: {name: {"per_sample": a, "fixed": b} for name, (a, b) in found.items()}
            for isa, found in model.arenas.items()
        },
        "files": {name: _file(folder / name) for name in (*written_files, *libraries)},
    }
    replace(folder / f"{model.prefix}.json", (json.dumps(record, indent=1) + "\n").encode())
    return record


def _parameter(p: Any) -> dict[str, Any]:
    return {
        "name": p.name,
        "tensor": p.node,
        "dtype": p.dtype.name,
        "shape": dims_record(p.dims),
        "c_type": p.c_type,
        "by_value": p.by_value,
    }


def _file(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
