"""`tf.compile`: functions over one graph as a C library in a folder.

In: fetches and feeds by function name. Out: a folder with C, a header, libraries and what describes them. The texts come
from `codegen/export`; here the graph is asked what the functions need, and files are written and compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..codegen.export.isas import Isa
    from ..codegen.export.model import Model
    from .targets import Platform

NATIVE = "native"

exports: list[Exported] = []
"""What this process has exported so far."""


@dataclass(frozen=True)
class Exported:
    """What `tf.compile` has written: the folder, the names of its files, and what `MODEL.json` says."""

    folder: Path
    prefix: str
    files: tuple[str, ...]
    record: Mapping[str, Any]

    @property
    def library(self) -> Path | None:
        """The shared library; None if only C was asked for."""
        names = [name for name in self.files if name.endswith((".so", ".dylib", ".dll", ".wasm"))]
        return self.folder / names[0] if names else None


def compile(
    functions: Mapping[str, Any],
    path: str | Path,
    prefix: str | None = None,
    target: str | None = None,
    isas: Sequence[str] | None = None,
    c_only: bool = False,
    session: Any = None,
    split: bool = False,
) -> Exported:
    """Write a C library with these functions into the folder `path`, and return what it holds.

    `functions` maps names in C to `(fetches, feeds)` or `(fetches, feeds, given)`. `fetches` is a tensor, operation or
    variable, or a list of them; `feeds` is a list of the tensors that become arguments, in this order. Either may be a
    dictionary from names in C; without, arguments and outputs are called as their nodes. `given` maps further tensors to
    values that become part of the function, such as `{is_training: False}`. All functions share the variables of the graph.

    `prefix` begins all names in C and those of the files (default: as the folder is called). `isas` are the instruction sets
    that one library has code for, `"native"` for this machine's (default on x86-64: sse2, avx2 and avx512, chosen when a
    program runs). `target` compiles for another machine; `"cuda"` for NVIDIA's GPUs, as `PREFIX.cu` with the same functions,
    which take arrays of the host or of the device (`"cuda:sm_90"`, `"cuda:sm_80,sm_90"`: for these architectures). With
    `c_only` no compiler is needed and no library made. The values of the variables of `session` become `PREFIX.safetensors`.
    All C is one file, unless `split` asks for the kernels of each instruction set in a file of their own.

    InvalidArgumentError: something has no C form. ValueError, TypeError: a wrong argument. UnavailableError: no compiler.
    """
    # the compiler's imports cost time that programs need not pay which export nothing
    from ..codegen.export.model import INITIALIZE
    from ..codegen.export.names import check_prefix, check_together, prefix_of
    from .export_files import record_of, written
    from .export_functions import checked, function_of, graph_of
    from .export_values import initializer, weights

    prefix = prefix_of(Path(path).resolve().name) if prefix is None else prefix
    check_prefix(prefix)
    check_together(prefix, checked(functions))
    way = (_for_cuda if _is_cuda(target) else _for_c)(Path(path), prefix, target, isas, c_only, split)
    graph = graph_of(functions, session)
    specified = [function_of(graph, name, specification) for name, specification in checked(functions).items()]
    start, fills = initializer(graph, specified, INITIALIZE)
    model = way.model(specified, start, fills)
    values = None if session is None else weights(session, model, graph)
    texts = written(Path(path), model, values, way.libraries)
    if way.libraries:
        way.build(model)
    record = record_of(Path(path), model, way.target, texts, way.libraries)
    exports.append(Exported(Path(path), prefix, (*texts, *way.libraries, f"{prefix}.json"), record))
    return exports[-1]


@dataclass(frozen=True)
class _Way:
    """How a library is made for a target: its name, the files to build, functions to texts, texts to libraries."""

    target: str | None
    libraries: tuple[str, ...]
    model: Callable[..., Model]
    build: Callable[[Model], Any]


def _for_c(path: Path, prefix: str, target: str | None, isas: Sequence[str] | None, c_only: bool, split: bool) -> _Way:
    from ..codegen.export.model import export_model
    from .export_files import built, library_names
    from .targets import find_platform, own_platform

    platform = None if c_only and target is None and own_platform() is None else find_platform(target)
    chosen = _isas(isas, platform, target is not None)

    def build(model: Model) -> None:
        assert platform is not None, "without a platform there are no libraries"
        built(path, model, platform, _is_native(isas))

    return _Way(
        target=platform.name if platform else None,
        libraries=() if c_only or platform is None else library_names(platform, prefix),
        model=partial(export_model, prefix=prefix, isas=chosen, is_split=split),
        build=build,
    )


def _for_cuda(path: Path, prefix: str, target: str | None, isas: Sequence[str] | None, c_only: bool, split: bool) -> _Way:
    from ..codegen.export.cuda_model import NAME, checked_archs, export_cuda_model
    from .export_cuda import built, library_names

    for name, is_given in (("isas", isas is not None), ("split", split)):
        if is_given:
            raise ValueError(f"{name} is about processors: a library for CUDA has architectures, target='cuda:sm_80,sm_90'")
    archs = checked_archs(str(target))
    return _Way(
        target=NAME,
        libraries=() if c_only else library_names(prefix),
        model=partial(export_cuda_model, prefix=prefix, archs=archs),
        build=partial(built, path),
    )


def _is_cuda(target: str | None) -> bool:
    return target is not None and target.partition(":")[0] == "cuda"


def _isas(names: Sequence[str] | None, platform: Platform | None, is_cross: bool) -> tuple[Isa, ...]:
    """The instruction sets of a library: those that were asked for, else all that the platform has."""
    from ..codegen.export.isas import DEFAULT_X86, ordered
    from ..codegen.target import machine_target

    if names is None:
        least = platform.kernels if platform else machine_target().name
        names = DEFAULT_X86 if least in DEFAULT_X86 else (least,)
    names = (names,) if isinstance(names, str) else tuple(names)
    if NATIVE in names:
        if len(names) > 1 or is_cross:
            raise ValueError("isas: native stands for this machine's instruction set, alone and without a target")
        names = (machine_target().name,)
    return ordered(names)


def _is_native(names: Sequence[str] | None) -> bool:
    return names is not None and NATIVE in ((names,) if isinstance(names, str) else names)
