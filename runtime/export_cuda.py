"""The libraries of a model exported for CUDA, compiled by nvcc."""

from __future__ import annotations

import os
from pathlib import Path

from ..codegen.export.cuda_model import build_options
from ..codegen.export.model import Model
from ..errors import UnavailableError
from .cache import module_cache
from .cuda.images import HOW_TO_INSTALL, QUIET, find_nvcc, run_compiler
from .export_files import replace

# nothing but libc and libm is needed where the library runs, and the driver's libcuda, which CUDA's runtime opens itself
_LINK_OPTIONS = (
    "-cudart=static",
    "-Xcompiler=-static-libstdc++,-static-libgcc",
    "-Xlinker=-s,-z,noexecstack,--exclude-libs,ALL",
)


def library_names(prefix: str) -> tuple[str, str]:
    """The names of the shared and the static library."""
    return f"lib{prefix}.so", f"lib{prefix}.a"


def built(folder: Path, model: Model) -> tuple[str, str]:
    """Compile MODEL.cu for all its architectures and make both libraries; their names.

    UnavailableError: there is no nvcc. InternalError: it failed.
    """
    nvcc = find_nvcc()
    if nvcc is None:
        text = "There is no nvcc, which makes the library; c_only=True writes its text without."
        raise UnavailableError(None, None, f"{text} {HOW_TO_INSTALL}")
    prefix = model.prefix
    shared, static = library_names(prefix)
    options = build_options(model.archs)
    with module_cache().build_folder() as build:
        for name in (f"{prefix}.cu", f"{prefix}.h"):
            (build / name).write_bytes((folder / name).read_bytes())
        compiling = [option for option in options if option != "-shared"]
        run_compiler([nvcc, *compiling, *QUIET, "-c", "-o", f"{prefix}.o", f"{prefix}.cu"], build)
        run_compiler([nvcc, *options, *_LINK_OPTIONS, "-o", shared, f"{prefix}.o"], build)
        run_compiler([nvcc, "-lib", "-o", static, f"{prefix}.o"], build)
        for name in (shared, static):
            replace(folder / name, (build / name).read_bytes())
    os.chmod(folder / shared, 0o755)
    return shared, static
