"""Builds the tests' own CUDA: `python tests/fake_driver/build.py FOLDER`. Needs g++ and the headers of PyPI's packages
nvidia-cuda-runtime, nvidia-cuda-crt and nvidia-cuda-profiler-api, or of an installed toolkit.

FOLDER/libcuda.so.1          the driver of this folder's sources, which is found through LD_LIBRARY_PATH
FOLDER/libcuda.so            for linking PyCUDA, which works with NVIDIA's driver as well then
FOLDER/nvcc                  a compiler that makes the host shim's libraries, which is found through PATH
FOLDER/.aksetup-defaults.py  what PyCUDA's setup.py reads in $HOME: these headers, this library, no curand
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHIM = HERE.parents[1] / "runtime" / "cuda" / "shim"
OPTIONS = ("-O1", "-fPIC", "-fcf-protection=none", "-U_FORTIFY_SOURCE")  # the shim jumps between stacks, as in shim_build.py
NOT_SUPPORTED = 801


def include_folders() -> Iterator[Path]:
    """Where cuda.h may be: in packages from PyPI, in $CUDA_HOME, beside nvcc."""
    spec = importlib.util.find_spec("nvidia")
    for root in (spec.submodule_search_locations or ()) if spec is not None else ():
        yield from sorted(Path(root).glob("*/include"), reverse=True)
    for name in ("CUDA_HOME", "CUDA_PATH"):
        if os.environ.get(name):
            yield Path(os.environ[name], "include")
    nvcc = shutil.which("nvcc")
    if nvcc is not None:
        yield Path(nvcc).resolve().parents[1] / "include"
    yield Path("/usr/local/cuda/include")


def find_headers() -> Path:
    """The folder that has cuda.h."""
    for folder in include_folders():
        if (folder / "cuda.h").exists() and (folder / "cudaProfiler.h").exists():
            return folder
    sys.exit("cuda.h is missing: pip install nvidia-cuda-runtime nvidia-cuda-crt nvidia-cuda-profiler-api")


def other_functions(headers: Path) -> str:
    """C text in which every function of the driver says that it is not supported; those of the sources go before."""
    text = "".join((headers / name).read_text() for name in ("cuda.h", "cudaProfiler.h"))
    names = sorted(set(re.findall(r"\bcu[A-Z]\w*", text)))
    return "".join(f"__attribute__((weak)) int {name}(void) {{ return {NOT_SUPPORTED}; }}\n" for name in names)


def build(folder: Path) -> None:
    """Write everything into the folder."""
    headers = find_headers()
    folder.mkdir(parents=True, exist_ok=True)
    others = folder / "others.c"
    others.write_text(other_functions(headers))
    objects = []
    for source in (others, *sorted(SHIM.glob("*.c")), *sorted(HERE.glob("*.cpp"))):
        objects.append(str(folder / f"{source.stem}.o"))
        language = ("g++", "-std=c++17") if source.suffix == ".cpp" else ("gcc", "-std=gnu11")
        subprocess.run([*language, *OPTIONS, "-I", SHIM, "-I", headers, "-c", "-o", objects[-1], source], check=True)
    library = folder / "libcuda.so.1"
    subprocess.run(["g++", "-shared", f"-Wl,-soname,{library.name}", "-o", library, *objects], check=True)
    (folder / "libcuda.so").unlink(missing_ok=True)
    (folder / "libcuda.so").symlink_to(library.name)
    nvcc = folder / "nvcc"
    nvcc.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE / "nvcc.py"} "$@"\n')
    nvcc.chmod(0o755)
    settings = {"CUDA_ENABLE_CURAND": False, "CUDA_INC_DIR": [str(headers)], "CUDADRV_LIB_DIR": [str(folder.resolve())]}
    (folder / ".aksetup-defaults.py").write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()))


if __name__ == "__main__":
    build(Path(sys.argv[1]))
