"""Programs on disk: what the compiler answered for a step, found again by a fingerprint of the graph.

A step found here needs no passes, no templates and no C compiler. The files are JSON in the module cache's folder and go
through its checks; one that is not what this version writes is ignored.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..codegen.cuda.launches import CudaLaunch
from ..codegen.cuda.program import CudaProgram
from ..codegen.ir import FetchSlot, Plan, Program, RandomSlot, Size, VariableSlot
from ..codegen.problems import NeedsConstants, NeedsValues
from ..codegen.signature import Prepared
from ..dtypes import DType, as_dtype
from ..shapes import Batch
from .cache import key_of, module_cache

SUFFIX = ".json"
LARGEST_CONSTANT = 1 << 20  # bytes; a program with a larger one is compiled anew each time

Answer = Program | NeedsConstants | NeedsValues


# --- the fingerprint ----------------------------------------------------------------------------------------------


def fingerprint(
    prepared: Prepared,
    dims: Sequence[tuple[Any, ...]],
    values: Mapping[int, np.ndarray],
    variable_dims: Mapping[str, tuple[int, ...]],
    target: str,
) -> str:
    """A key that differs whenever the program might: the operations with their names and attributes, how they are
    connected, what is fed and fetched, what it is compiled for, and the compiler's own code."""
    place = {tensor: f"feed {i}" for i, tensor in enumerate(prepared.feeds)}
    parts = [own_code(), target]
    numbers = {op: i for i, op in enumerate(prepared.order)}
    for i, op in enumerate(prepared.order):
        inputs = ",".join(place.get(t, "?") for t in op.inputs)
        controls = ",".join(str(numbers[c]) for c in op.control_inputs if c in numbers)
        attrs = ";".join(f"{name}={_text(value)}" for name, value in sorted(op.attrs.items()))
        parts.append(f"{op.type} {op.name} ({inputs}) ^({controls}) {attrs}")
        for tensor in op.outputs:
            place.setdefault(tensor, f"{i}:{tensor.value_index}")
    parts += [f"{t.name} {t.dtype.name} {d}" for t, d in zip(prepared.feeds, dims, strict=True)]
    parts += [place[t] for t in prepared.fetches]
    parts += [f"{i} {_text(value)}" for i, value in values.items()]
    parts += [f"{name} {shape}" for name, shape in variable_dims.items()]
    return key_of("program", *parts)


def _text(value: Any) -> str:
    """An attribute as text that differs whenever its value does."""
    if isinstance(value, np.ndarray):
        data = repr(value.tolist()).encode() if value.dtype == object else np.ascontiguousarray(value).data
        return f"{value.dtype}{value.shape}{hashlib.sha256(data).hexdigest()}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_text, value))}]"
    return repr(value)


@cache
def own_code() -> str:
    """What tells this version of the package from others: the sizes and times of its files."""
    from .. import codegen, templates

    roots = {Path(str(m.__file__)).parent for m in (codegen, templates)} | {Path(__file__).parent.parent / "tfgraph"}
    roots |= {Path(str(as_dtype.__code__.co_filename)).parent}
    found = []
    for root in sorted(roots):
        for folder, _, names in os.walk(root):
            for name in names:
                if name.endswith((".py", ".j2")):
                    status = os.stat(os.path.join(folder, name))
                    found.append(f"{name} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()


# --- the file -----------------------------------------------------------------------------------------------------


def find(key: str) -> Answer | None:
    """What the compiler answered for this fingerprint; None if that is not known."""
    entry = module_cache().find(key, SUFFIX)
    if entry is None:
        return None
    try:
        return _answer(json.loads(entry.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        module_cache().remove(entry)
        return None


def keep(key: str, answer: Answer) -> None:
    """Store an answer; one that is too large, or a disk that is full, is no error."""
    record = _record(answer)
    if record is None:
        return
    cache_ = module_cache()
    try:
        with cache_.build_folder() as folder:
            file = folder / "program.json"
            file.write_text(json.dumps(record))
            cache_.store(key, file, SUFFIX)
    except OSError:
        return


def _record(answer: Answer) -> dict[str, Any] | None:
    if isinstance(answer, NeedsConstants):
        return {"needs": "constants"}
    if isinstance(answer, NeedsValues):
        return {"needs": list(answer.feeds)}
    if sum(a.nbytes for a in answer.constants) > LARGEST_CONSTANT or any(a.dtype == object for a in answer.constants):
        return None
    return {
        "source": answer.source,
        "feeds": [_slot_record(s) for s in answer.feeds],
        "fetches": [_slot_record(s) for s in answer.fetches],
        "variables": [[v.op_name, v.dtype.name, list(v.dims), v.read_by, v.written] for v in answer.variables],
        "constants": [[a.dtype.name, list(a.shape), base64.b64encode(a.tobytes()).decode()] for a in answer.constants],
        "randoms": [[r.op_name, r.seed, r.seed2, r.reserved.per_batch, r.reserved.fixed] for r in answer.randoms],
        "arenas": [answer.batch_bytes, answer.batch_rest, answer.fixed_bytes],
        "kernels": answer.kernel_count,
        "checks": list(answer.checks),
        **(_cuda_record(answer) if isinstance(answer, CudaProgram) else {}),
    }


def _cuda_record(program: CudaProgram) -> dict[str, Any]:
    return {
        "launches": [[launch.function, list(launch.grid), launch.threads, launch.shared] for launch in program.launches],
        "launch kernels": [list(kernels) for kernels in program.launch_kernels],
        "in memory": program.in_memory,
    }


def _slot_record(slot: FetchSlot) -> list[Any]:
    return [slot.dtype.name, [f"{d.per}N" if isinstance(d, Batch) else int(d) for d in slot.dims]]


def _answer(record: dict[str, Any]) -> Answer:
    if "needs" in record:
        return NeedsConstants("as found before") if record["needs"] == "constants" else NeedsValues(record["needs"])
    fields: dict[str, Any] = {
        "source": str(record["source"]),
        "feeds": tuple(_slot(*s) for s in record["feeds"]),
        "fetches": tuple(_slot(*s) for s in record["fetches"]),
        "variables": tuple(_variable(*v) for v in record["variables"]),
        "constants": tuple(_array(*c) for c in record["constants"]),
        "randoms": tuple(RandomSlot(n, int(a), int(b), Size(int(p), int(f))) for n, a, b, p, f in record["randoms"]),
        "batch_bytes": int(record["arenas"][0]),
        "batch_rest": int(record["arenas"][1]),
        "fixed_bytes": int(record["arenas"][2]),
        "kernels": (),
        "plan": Plan({}, 0, 0, {}),
        "kernel_count": int(record["kernels"]),
        "checks": tuple(map(str, record["checks"])),
    }
    return CudaProgram(**fields, **_cuda_fields(record)) if "launches" in record else Program(**fields)


def _cuda_fields(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "launches": tuple(_launch(*launch) for launch in record["launches"]),
        "launch_kernels": tuple(tuple(map(int, kernels)) for kernels in record["launch kernels"]),
        "in_memory": bool(record["in memory"]),
    }


def _variable(name: str, dtype: str, dims: list[int], read_by: str | None, written: bool) -> VariableSlot:
    return VariableSlot(name, _dtype(dtype), tuple(map(int, dims)), read_by, bool(written))


def _launch(function: str, grid: list[str], threads: int, shared: int) -> CudaLaunch:
    x, y, z = map(str, grid)
    return CudaLaunch(str(function), (x, y, z), int(threads), int(shared))


def _dtype(name: str) -> DType:
    return as_dtype(name)


def _slot(dtype: str, dims: list[Any]) -> FetchSlot:
    return FetchSlot(_dtype(dtype), tuple(Batch(int(d[:-1])) if isinstance(d, str) else int(d) for d in dims))


def _array(dtype: str, shape: list[int], data: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(data), _dtype(dtype).as_numpy_dtype).reshape(shape)
