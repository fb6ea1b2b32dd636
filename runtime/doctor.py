"""`python -m tfgraph doctor`: what this machine has for tfgraph, what is missing, and what each missing piece would give."""

from __future__ import annotations

import argparse
import ctypes.util
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True)
class Finding:
    """One line of the report: `state` is "ok", "missing" (something optional) or "problem"."""

    name: str
    state: str
    found: str
    advice: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(options: argparse.Namespace) -> int:
    """Print the report. 0 if a Session can run compiled code, else 1."""
    findings = examined()
    if options.json:
        print(json.dumps([asdict(one) for one in findings], indent=1))
    else:
        print("\n".join(_line(one) for one in findings))
    return 1 if any(one.state == "problem" for one in findings) else 0


def _line(one: Finding) -> str:
    mark = {"ok": "ok     ", "missing": "missing", "problem": "PROBLEM"}[one.state]
    advice = f"\n{' ' * 24}{one.advice}" if one.advice else ""
    return f"{mark}  {one.name:<13}  {one.found}{advice}"


def examined() -> list[Finding]:
    """All findings. An examination that fails is a finding, too."""
    found: list[Finding] = []
    for name, examine in EXAMINATIONS.items():
        try:
            found.append(examine())
        except Exception as error:
            found.append(Finding(name, "problem", f"{type(error).__name__}: {error}"))
    return found


# --- one examination each ---------------------------------------------------------------------------------------------


def _version() -> Finding:
    python = ".".join(map(str, sys.version_info[:3]))
    return Finding("tfgraph", "ok", f"{metadata.version('tfgraph-compiler')} with Python {python} on {os.uname().sysname}")


def _compiler() -> Finding:
    from .toolchain import HOW_TO_INSTALL, find_compiler

    compiler = find_compiler()
    if compiler is None:
        return Finding("compiler", "problem", "none; graphs run in NumPy, much slower", HOW_TO_INSTALL)
    command = " ".join(compiler.command)
    source = "$CC" if os.environ.get("CC", "").strip() else "found"
    return Finding("compiler", "ok", f"{command} ({source}): {_first_line([*compiler.command, '--version'])}")


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)
    return (done.stdout or done.stderr).strip().partition("\n")[0]


def _instructions() -> Finding:
    from ..codegen.target import host_target, machine_target, wanted_target

    target = host_target()
    chosen = f", by TFGRAPH_TARGET; this machine has {machine_target().name}" if wanted_target() else ""
    return Finding("instructions", "ok", f"{target.name}: vectors of {target.vector_bytes} bytes{chosen}")


def _threads() -> Finding:
    from .cpu import thread_count
    from .toolchain import processor_count

    by = " by TFGRAPH_NUM_THREADS" if os.environ.get("TFGRAPH_NUM_THREADS", "").strip() else ""
    return Finding("threads", "ok", f"{thread_count()}{by}; this process may use {processor_count()} processors")


def _cache() -> Finding:
    from .cache import module_cache

    folder = Path(module_cache().folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    mode = folder.stat().st_mode & 0o777
    told = f"{folder}: {len(files)} files, {size / 1e6:.1f} MB, mode {mode:o}"
    if not os.access(folder, os.W_OK):
        return Finding("cache", "problem", told, "It cannot be written: name another folder in TFGRAPH_CACHE.")
    return Finding("cache", "ok", told)


def _self_test() -> Finding:
    """A small training step, compiled and run."""
    import tfgraph as tf

    from .toolchain import find_compiler

    if find_compiler() is None:
        return Finding("self-test", "missing", "not run: there is no compiler")
    start = time.perf_counter()
    with tf.Graph().as_default(), tf.Session() as sess:
        x = tf.Variable(3.0)
        step = tf.train.GradientDescentOptimizer(0.25).minimize(tf.square(x))
        sess.run(x.initializer)
        sess.run(step)
        value, sources = float(sess.run(x)), len(sess._machine.sources)
    seconds = time.perf_counter() - start
    if value != 1.5 or not sources:
        return Finding("self-test", "problem", f"one step from 3 gave {value}, not 1.5, with {sources} compiled programs")
    return Finding("self-test", "ok", f"{sources} programs compiled or found, and right, in {seconds:.2f} s")


def _cuda() -> Finding:
    driver = ctypes.util.find_library("cuda")
    nvcc = shutil.which("nvcc")
    parts = [f"driver {driver}" if driver else "no driver", f"nvcc {nvcc}" if nvcc else "no nvcc"]
    parts.append("pycuda" if importlib.util.find_spec("pycuda") else "no pycuda")
    from .cuda.choice import find_driver, why_none

    found = find_driver()
    if found is None:
        return Finding("CUDA", "missing", ", ".join(parts), f"Graphs run on the CPU. {why_none()}")
    names = [f"/gpu:{i} {info.name} ({info.arch})" for i, info in enumerate(found.devices())]
    return Finding("CUDA", "ok", ", ".join((*names, *parts)))


def _extra(name: str, modules: tuple[str, ...], gives: str) -> Finding:
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if not missing:
        return Finding(name, "ok", gives)
    return Finding(name, "missing", f"{gives}: needs {', '.join(missing)}", f"pip install 'tfgraph-compiler[{name}]'")


def _examination(name: str, modules: tuple[str, ...], gives: str) -> Callable[[], Finding]:
    return lambda: _extra(name, modules, gives)


EXAMINATIONS: dict[str, Callable[[], Finding]] = {
    "tfgraph": _version,
    "compiler": _compiler,
    "instructions": _instructions,
    "threads": _threads,
    "cache": _cache,
    "self-test": _self_test,
    "CUDA": _cuda,
} | {
    name: _examination(name, modules, gives)
    for name, modules, gives in (
        ("zig", ("ziglang",), "compiles without a system compiler, and for other targets (tf.compile(..., target=...))"),
        ("tensorboard", ("tensorboard",), "event files, GraphDef and MetaGraphDef files"),
        ("scripts", ("absl",), "tf.app.flags in scripts"),
        ("sklearn", ("sklearn",), "scikit-learn estimators (tfgraph.scikit)"),
        ("examples", ("matplotlib", "sklearn"), "pictures and data of the examples"),
    )
}
