"""From generated C to a callable module: compiled once per machine, kept on disk, loaded once per process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InternalError, UnavailableError
from ._step_abi import ffi
from .build import Recipe, build, recipe
from .cache import ModuleCache, key_of, module_cache
from .stored import own_code
from .toolchain import HOW_TO_INSTALL, Compiler, find_compiler, processor_count, processor_identity, target_options


@dataclass
class Statistics:
    """What has been compiled, and what was found compiled already, in this process."""

    compilations: int = 0
    cache_hits: int = 0


_statistics = Statistics()
_lock = threading.Lock()
# never unloaded: the thread pool's code is in one of them
_modules: dict[str, Any] = {}
_pools: dict[int, Any] = {}  # by their number of threads
_started: dict[str, threading.Thread] = {}  # by the key of the module that each of them compiles


def statistics() -> Statistics:
    """A copy of the counters."""
    return Statistics(_statistics.compilations, _statistics.cache_hits)


# the threads take gcc 12 50 ms of a step's 130, and are the same for all steps: they are a module of their own
_OPTIONS = ("-DTG_POOL_ELSEWHERE",)


def load(source: str) -> Any:
    """The module of a C source that defines `tg_run`, as a cffi library.

    UnavailableError: there is no compiler, or no room for its product. InternalError: it failed or was killed, or its
    product cannot be loaded.
    """
    with _lock:
        return _load(source, lambda: source)


def _load(text: str, source: Callable[[], str]) -> Any:
    """The module of `source()`, which is asked for only if it has to be compiled; `text` tells it from others."""
    compiler = find_compiler()
    if compiler is None:
        raise UnavailableError(None, None, f"There is no C compiler. {HOW_TO_INSTALL}")
    steps = _recipe(text, compiler)
    key = _key(text, compiler, steps)
    module = _modules.get(key)
    if module is None:
        module = _modules[key] = _load_entry(module_cache(), key, source, steps, compiler)
    else:
        _statistics.cache_hits += 1
    return module


def _recipe(text: str, compiler: Compiler) -> Recipe:
    return recipe(text, compiler, (*target_options(compiler), *_OPTIONS))


def _key(text: str, compiler: Compiler, steps: Recipe) -> str:
    return key_of(text, compiler.identity, steps.text, processor_identity())


def _load_entry(cache: ModuleCache, key: str, source: Callable[[], str], steps: Recipe, compiler: Compiler) -> Any:
    started = _started.pop(key, None)
    if started is not None:
        started.join()
    entry = cache.find(key)
    if entry is not None:
        try:
            module = ffi.dlopen(str(entry))
        except OSError:
            cache.remove(entry)  # e.g. linked against a library that is no longer there
        else:
            if started is None:
                _statistics.cache_hits += 1
            return module
    _statistics.compilations += started is None
    entry = _compile(cache, key, source(), steps, compiler)
    try:
        return ffi.dlopen(str(entry))
    except OSError as error:
        text = f"The module that {compiler.command[0]} made cannot be loaded: {error}. {HOW_TO_INSTALL}"
        raise InternalError(None, None, text) from error


def _compile(cache: ModuleCache, key: str, source: str, steps: Recipe, compiler: Compiler) -> Path:
    """Compile in a folder of its own and move the result into the cache."""
    try:
        with cache.build_folder() as folder:
            return cache.store(key, build(source, steps, compiler.environment(cache.folder), folder))
    except OSError as error:
        text = f"No module can be compiled in {cache.folder}: {error}. Set TFGRAPH_CACHE to a folder that has room."
        raise UnavailableError(None, None, text) from error


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
    return processor_count()


def pool(threads: int) -> Any:
    """The pool of so many threads, which all steps of this process that want as many share."""
    with _lock:
        if threads not in _pools:
            _pools[threads] = _load(_pool_name(), _pool_source).tg_new_pool(threads)
        return _pools[threads]


def start_pool() -> None:
    """Begin to compile the module of the thread pool, if it is not there yet, beside all that comes before `pool`.

    The first run of a small script takes 0.52 s instead of 0.61 so, if nothing has been compiled yet.
    """
    if _pools or not _lock.acquire(blocking=False):  # who loads a module now has been here before
        return
    try:
        compiler = find_compiler()
        if compiler is not None:
            _start(_pool_name(), _pool_source, compiler)
    except UnavailableError:
        pass  # `load` says so, if it comes to that
    finally:
        _lock.release()


def _start(text: str, source: Callable[[], str], compiler: Compiler) -> None:
    """Begin to compile what `_load` will be asked for."""
    steps, cache = _recipe(text, compiler), module_cache()
    key = _key(text, compiler, steps)
    if key in _modules or key in _started or cache.find(key) is not None:
        return
    _statistics.compilations += 1
    thread = threading.Thread(target=_try_to_compile, args=(cache, key, source(), steps, compiler))
    thread.start()
    _started[key] = thread


def _try_to_compile(cache: ModuleCache, key: str, source: str, steps: Recipe, compiler: Compiler) -> None:
    """Compile into the cache. Whoever misses the module there tries once more, and says what is wrong."""
    with suppress(InternalError, UnavailableError):
        _compile(cache, key, source, steps, compiler)


def _pool_name() -> str:
    return f"the pool of {own_code()}"


def _pool_source() -> str:
    from ..codegen.render import render  # templates, whose import takes time

    return render("c/pool_alone.c.j2")
