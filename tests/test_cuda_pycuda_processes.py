"""Processes that use a GPU through PyCUDA, on a driver of the tests' own: how they end, fork, and fail."""

from __future__ import annotations

import pytest

from tests._fake_cuda import ILLEGAL_ADDRESS, needs_fake_cuda, run_script

pytestmark = needs_fake_cuda

TRAP = 'extern "C" __global__ void trap(float *x)\n{\n    __trap();\n}\n'

SESSION = """
import numpy as np, os, sys, threading
import tfgraph as tf
with tf.device("/gpu:0"):
    x = tf.placeholder(tf.float32, [None])
    y = x * 2.0 + 1.0
session = tf.Session()
def run():
    return float(session.run(y, {x: np.ones(4)})[0])
"""


def test_a_process_that_ends_with_an_open_session() -> None:
    """Threads that have ended, and atexit, which still may run steps: no warning of PyCUDA's, no abort."""
    script = """
import atexit
atexit.register(lambda: print("last", run()))
thread = threading.Thread(target=run)
thread.start()
thread.join()
print(run())
"""
    assert run_script(SESSION + script) == "3.0\nlast 3.0\n"


def test_a_process_that_ends_in_a_thread_that_made_the_context() -> None:
    script = """
thread = threading.Thread(target=lambda: print(run()))
thread.start()
thread.join()
"""
    assert run_script(SESSION + script) == "3.0\n"


def test_a_driver_that_goes() -> None:
    """PyCUDA would end a primary context as if it were another, and say so."""
    script = """
from tfgraph.runtime.cuda.pycuda_driver import PycudaDriver
driver = PycudaDriver()
with driver.use(0):
    memory = driver.allocate(4)
del memory, driver
print("gone")
"""
    assert run_script(script) == "gone\n"


@pytest.mark.parametrize("first", ["run()", "session.list_devices()"])
def test_a_forked_process(first: str) -> None:
    script = f"""
{first}
sys.stdout.flush()
child = os.fork()
if child == 0:
    try:
        run()
    except tf.errors.InternalError as error:
        print("spawn" in error.message)
        del session, run
        sys.exit(0)
    sys.exit(1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), run())
"""
    assert run_script(SESSION + script) == "True\n0 3.0\n"


def test_a_fault_stays() -> None:
    """Whatever is run after it says what to do; a call that merely fails leaves the device usable."""
    script = f"""
import ctypes
fake = ctypes.CDLL("libcuda.so.1")
run()
for function, status in (("cuMemcpyHtoDAsync_v2", 1), ("cuGraphLaunch", {ILLEGAL_ADDRESS})):
    fake.fake_cuda_fail(function.encode(), 0, status)
    try:
        run(); run()
    except tf.errors.InternalError as error:
        print(error.message)
    try:
        print(run())
    except tf.errors.InternalError as error:
        print(error.message)
with tf.Session() as other:
    try:
        other.run(y, {{x: [1.0]}})
    except tf.errors.InternalError as error:
        print(error.message)
session.close()
"""
    lines = run_script(SESSION + script).splitlines()
    assert lines[0] == "CUDA failed: cuMemcpyHtoDAsync failed: invalid argument"
    assert lines[1] == "3.0"
    assert len(lines) == 5
    for line in lines[2:]:
        assert "illegal memory access" in line
        assert "TFGRAPH_SHIM_CHECK=1" in line


def test_a_kernel_that_traps() -> None:
    script = f"""
import struct
import tfgraph as tf
from tfgraph.runtime.cuda.choice import find_driver
driver = find_driver()
with driver.use(0):
    memory = driver.allocate(4)
    stream = driver.stream()
    function = driver.load(driver.image({TRAP!r}, "sm_80")).function("trap")
    driver.launch(function, 1, 1, 0, struct.pack("Q", memory.address), stream)
    try:
        driver.synchronise(stream)
    except tf.errors.InternalError as error:
        print(error.message)
"""
    assert "has faulted" in run_script(script, FAKE_CUDA_QUIET="1")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [("FAKE_CUDA_DEVICES", "0", "no CUDA-capable device"), ("LD_LIBRARY_PATH", "", "libcuda.so.1")],
)
def test_no_device(variable: str, value: str, said: str) -> None:
    """PyCUDA is there, but no GPU, or no driver at all."""
    script = """
from tfgraph.runtime.cuda.choice import why_none
try:
    run()
except tf.errors.InvalidArgumentError:
    print(why_none())
session = tf.Session(config=tf.ConfigProto(allow_soft_placement=True))
print(run())
"""
    found = run_script(SESSION + script, **{variable: value})
    assert said in found
    assert found.endswith("\n3.0\n")
