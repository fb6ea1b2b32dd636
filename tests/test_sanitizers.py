"""Generated code under AddressSanitizer and UndefinedBehaviorSanitizer: ops, gradients and whole training steps.

The default is a part of it; TFGRAPH_SANITIZE=all runs every op at every size in both precisions, and all gradients.
Memory that a step works on is allocated to the byte, so that one element too far is an error.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests._nets import NETS
from tests._subprocesses import run_script
from tests.test_ops import AREAS

EVERYTHING = os.environ.get("TFGRAPH_SANITIZE") == "all"
SIZES = (0, 1, 7, 8, 9, 33) if EVERYTHING else (7,)
DTYPES = ("float32", "float64") if EVERYTHING else ("float32",)
BATCHES = (5, 1, 0, 17)
FLAGS = "-O0 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"

PRELUDE = """
import ctypes, json, sys
import numpy as np
import pytest
import tfgraph as tf
from tfgraph.runtime import machine, memory, programs

_libc = ctypes.CDLL(None)

def exact(shape, dtype):
    '''Aligned memory with nothing usable around it; it is never given back.'''
    dtype = np.dtype(dtype)
    if dtype.kind == "O":
        return np.empty(shape, dtype)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    place = ctypes.c_void_p()
    assert _libc.posix_memalign(ctypes.byref(place), ctypes.c_size_t(64), ctypes.c_size_t(max(size, 1))) == 0
    block = (ctypes.c_char * size).from_address(place.value)
    return np.frombuffer(block, np.uint8).view(dtype).reshape(shape) if size else np.empty(shape, dtype)

for module in (machine, memory, programs):
    module.aligned_empty = exact
"""

OPS = (
    PRELUDE
    + """
from tests.test_ops import AREAS, Slopes, _run_area
from tests._evaluate import compiled

def wrong_in(area, sizes, dtypes, gradients):
    print(area, file=sys.stderr)
    wrong = []
    for size in sizes:
        for dtype in dtypes:
            wrong += _run_area(AREAS[area], size, dtype, compiled)
    with tf.Graph().as_default():
        rows = [Slopes(case, known=True) for case in AREAS[area] if gradients and case.differentiable]
        fetches = [gradient for row in rows for gradient in row.gradients]
        if fetches:
            compiled(fetches, {tensor: array for row in rows for tensor, array in row.feeds.items()})
    return wrong

def run(*options):
    print(json.dumps({area: wrong_in(area, *options) for area in AREAS}))
"""
)

STEPS = (
    PRELUDE
    + """
from tests._evaluate import refuse_interpreter
from tests._nets import NETS

def train(name, batches):
    print(name, file=sys.stderr)
    with tf.Graph().as_default(), tf.Session() as session:
        net = NETS[name]()
        session.run(tf.global_variables_initializer())
        for batch in batches:
            session.run(net.fetches, net.feeds(batch))
    return len(batches)

def run(batches):
    refuse_interpreter(pytest.MonkeyPatch())
    print(json.dumps({name: train(name, batches) for name in NETS}))
"""
)

FAULTY = (
    PRELUDE
    + """
from tfgraph.runtime import cpu

def run():
    '''One element too many: this must not get through.'''
    load = cpu.load
    cpu.load = lambda source: load(source.replace("tg_least((chunk + 1) * 16384, 3 * N)", "3 * N + 1"))
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [None, 3])
        session.run(tf.exp(x) + 1.0, {x: np.ones((40, 3), np.float32)})
    print(json.dumps([]))
"""
)


def sanitizers() -> list[str]:
    """The libraries that must be loaded before Python's own allocations."""
    compiler = shutil.which("gcc")
    if compiler is None:
        return []
    found = [
        subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    return found if all(os.path.isabs(path) and os.path.exists(path) for path in found) else []


LIBRARIES = sanitizers()
pytestmark = pytest.mark.skipif(not LIBRARIES, reason="needs gcc with its libasan and libubsan")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("modules")


def sanitized(script: str, call: str, cache: Path) -> Any:
    """What a process under the sanitizers prints. Loading them and all modules takes it 2 s of processor time."""
    return run_script(
        f"{script}\n{call}",
        cache,
        CC=shutil.which("gcc") or "gcc",
        TFGRAPH_BACKEND="compiled",
        TFGRAPH_NUM_THREADS="2",
        TFGRAPH_CFLAGS=FLAGS,
        LD_PRELOAD=" ".join(LIBRARIES),
        ASAN_OPTIONS="detect_leaks=0:abort_on_error=0:verify_asan_link_order=0",
        UBSAN_OPTIONS="print_stacktrace=1",
    )


@pytest.fixture(scope="module")
def ops(cache: Path) -> Any:
    """What is wrong in each area. A process that ends with an error has named the area last."""
    return sanitized(OPS, f"run({SIZES}, {DTYPES}, {EVERYTHING})", cache)


@pytest.fixture(scope="module")
def steps(cache: Path) -> Any:
    """How many batches each net has trained on."""
    return sanitized(STEPS, f"run({BATCHES})", cache)


@pytest.mark.xdist_group("sanitized ops")
@pytest.mark.parametrize("area", AREAS)
def test_ops(area: str, ops: Any) -> None:
    assert ops[area] == []


@pytest.mark.xdist_group("sanitized steps")
@pytest.mark.parametrize("name", NETS)
def test_training_steps(name: str, steps: Any) -> None:
    assert steps[name] == len(BATCHES)


def test_a_fault_is_found(cache: Path) -> None:
    with pytest.raises(AssertionError, match="heap-buffer-overflow"):
        sanitized(FAULTY, "run()", cache)
