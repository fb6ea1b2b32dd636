"""From generated C to a callable module: compiled once per machine, kept on disk, loaded once per process."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InternalError, UnavailableError
from ._step_abi import ffi
from .cache import ModuleCache, key_of, module_cache
from .toolchain import HOW_TO_INSTALL, Compiler, find_compiler, processor_identity, target_options

SHOWN_LINES = 30  # of a failed compiler's output

@dataclass
class Statistics:
    """What has been compiled, and what was found compiled already, in this process."""

    compilations: int = 0
    cache_hits: int = 0


_statistics = Statistics()
_lock = threading.Lock()
# never unloaded: the thread pool's code is in the first of them
_modules: dict[str, Any] = {}
_pools: list[Any] = []


def statistics() -> Statistics:
    """A copy of the counters."""
    return Statistics(_statistics.compilations, _statistics.cache_hits)


def load(source: str) -> Any:
    """The module of a C source that defines `tg_run` and `tg_new_pool`, as a cffi library.

    UnavailableError: there is no compiler. InternalError: it failed or was killed, or its product cannot be loaded.
    """
    compiler = find_compiler()
    if compiler is None:
        raise UnavailableError(None, None, f"There is no C compiler. {HOW_TO_INSTALL}")
    target = target_options()
    command = compiler.command_line("step.c", "step.so", target)
    key = key_of(source, compiler.identity, "\n".join(command), processor_identity())
    with _lock:
        module = _modules.get(key)
        if module is None:
            module = _modules[key] = _load_entry(module_cache(), key, source, command, compiler)
        else:
            _statistics.cache_hits += 1
        return module


def _load_entry(cache: ModuleCache, key: str, source: str, command: list[str], compiler: Compiler) -> Any:
    entry = cache.find(key)
    if entry is not None:
        try:
            module = ffi.dlopen(str(entry))
        except OSError:
            cache.remove(entry)  # e.g. linked against a library that is no longer there
        else:
            _statistics.cache_hits += 1
            return module
    entry = _compile(cache, key, source, command)
    try:
        return ffi.dlopen(str(entry))
    except OSError as error:
        text = f"The module that {compiler.command[0]} made cannot be loaded: {error}. {HOW_TO_INSTALL}"
        raise InternalError(None, None, text) from error


def _compile(cache: ModuleCache, key: str, source: str, command: list[str]) -> Path:
    """Compile in a folder of its own and move the result into the cache."""
    with cache.build_folder() as folder:
        (folder / "step.c").write_text(source)
        _statistics.compilations += 1
        try:
            done = subprocess.run(
                command,
                cwd=folder,  # so that no path of this machine gets into the product
                env={**os.environ, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
            )
        except OSError as error:
            text = f"The C compiler cannot be started: {error}\n  command: {' '.join(command)}\n{HOW_TO_INSTALL}"
            raise UnavailableError(None, None, text) from error
        if done.returncode != 0 or not (folder / "step.so").is_file():
            raise InternalError(None, None, _failure(command, done))
        return cache.store(key, folder / "step.so")


def _failure(command: list[str], done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        what = f"was killed by {name}" + (" (is there enough memory?)" if name == "SIGKILL" else "")
    elif done.returncode > 0:
        what = f"failed with exit status {done.returncode}"
    else:
        what = "made no output file"
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-SHOWN_LINES:]
    return "\n".join(
        [
            f"The C compiler {what}.",
            f"  command: {' '.join(command)}",
            *(["  it said:", *(f"    {line}" for line in said)] if said else []),
            HOW_TO_INSTALL,
        ]
    )


# --- threads ------------------------------------------------------------------------------------------------


def thread_count(config: Any = None) -> int:
    """$TFGRAPH_NUM_THREADS, else `config.intra_op_parallelism_threads`, else the CPUs this process may use."""
    text = os.environ.get("TFGRAPH_NUM_THREADS", "").strip()
    if text:
        if not text.isdigit() or int(text) == 0:
            raise ValueError(f"TFGRAPH_NUM_THREADS must be a positive number, not {text!r}")
        return int(text)
    wanted = int(getattr(config, "intra_op_parallelism_threads", 0) or 0)
    if wanted > 0:
        return wanted
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pool(module: Any, threads: int) -> Any:
    """The thread pool of this process; the first call makes it, with `threads` threads, from `module`."""
    with _lock:
        if not _pools:
            _pools.append(module.tg_new_pool(threads))
        return _pools[0]
