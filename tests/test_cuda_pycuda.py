"""PyCUDA's part of the GPU runtime, on a driver of the tests' own: contexts, threads, captures, faults, nothing left behind.

`make test-pycuda` runs these and, through the same driver, the tests that `make test-gpu` runs on a GPU.
"""

from __future__ import annotations

import ctypes
import gc
import struct
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfgraph as tf
from tests._cuda import trained
from tests._fake_cuda import (
    IS_LOADED,
    OUT_OF_MEMORY,
    UNKNOWN,
    count,
    fail,
    library,
    needs_fake_cuda,
    things,
)
from tests._nets import NETS
from tfgraph.errors import InternalError, ResourceExhaustedError
from tfgraph.runtime.cuda.choice import find_driver

if IS_LOADED or TYPE_CHECKING:
    from tfgraph.runtime.cuda.pycuda_driver import PycudaDriver

pytestmark = needs_fake_cuda

ADD = 'extern "C" __global__ void add(float *x, float by)\n{\n    x[threadIdx.x] += by;\n}\n'
SHARED = """
extern "C" __global__ void turn(float *x)
{
    float *kept = (float *)tg_dynamic_shared();
    kept[20000 + threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = kept[20000 + (threadIdx.x + 1) % blockDim.x];
}
"""


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[PycudaDriver]:
    """The driver, which has as much after the test as before it."""
    monkeypatch.setenv("TFGRAPH_CUDA", "")
    found: Any = find_driver()
    before = things()
    yield found
    with found.use(0), found.use(1):
        pass
    assert things() == before


def numbers(driver: PycudaDriver, memory: Any) -> list[float]:
    """Eight numbers of the device."""
    found = np.empty(8, np.float32)
    driver.copy_out(found, memory.address)
    return found.tolist()


def eight(driver: PycudaDriver) -> Any:
    """Memory with eight zeros."""
    memory = driver.allocate(32)
    driver.copy_in(memory.address, np.zeros(8, np.float32))
    return memory


def adder(driver: PycudaDriver) -> Any:
    """A kernel that adds a number."""
    return driver.load(driver.image(ADD, "sm_80")).function("add")


def in_thread(work: Callable[[], None]) -> None:
    """Do it in another thread, to its end. What it raises is raised here."""
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def doubled(device: str = "/gpu:0") -> tuple[Any, Any]:
    with tf.device(device):
        x = tf.placeholder(tf.float32, [None])
        return x, x * 2.0 + 1.0


# --- contexts ---------------------------------------------------------------------------------------------------------


def test_a_thread_uses_a_device_within_a_block_alone(driver: PycudaDriver) -> None:
    with pytest.raises(InternalError, match=r"uses no device|invalid device context"):
        driver.allocate(4)
    with driver.use(0):
        assert count("stack") == 1
        with driver.use(0), driver.use(1):
            assert count("stack") == 1, "PyCUDA pops what it pushes another one onto"
        driver.allocate(4).free()
    assert count("stack") == 0
    with pytest.raises(ZeroDivisionError), driver.use(0):
        _ = 1 // 0
    assert count("stack") == 0
    fail("cuCtxPushCurrent_v2", UNKNOWN)
    with pytest.raises(InternalError, match="unknown error"), driver.use(0):
        pass
    assert count("stack") == 0


def test_the_users_own_context_is_current_again(driver: PycudaDriver) -> None:
    context, device = ctypes.c_void_p(), ctypes.c_int(-1)
    library().cuDevicePrimaryCtxRetain(ctypes.byref(context), 1)
    library().cuCtxPushCurrent_v2(context)
    x, y = doubled()
    with tf.Session() as session:
        session.run(y, {x: [1.0]})
    assert (library().cuCtxGetDevice(ctypes.byref(device)), device.value) == (0, 1)
    assert library().cuCtxPopCurrent_v2(None) == 0
    assert library().cuDevicePrimaryCtxRelease_v2(1) == 0


def test_what_another_thread_lets_go_of(driver: PycudaDriver) -> None:
    """Neither the thread that made it nor the one that lets go of it need have the context."""
    made: list[Any] = []

    def make() -> None:
        with driver.use(0):
            made.extend((driver.allocate(4), driver.pinned(4), driver.stream(), driver.event(), adder(driver)))

    before = things()
    in_thread(make)
    assert things() != before
    in_thread(made.clear)
    gc.collect()
    assert things() == before


def test_several_devices(driver: PycudaDriver) -> None:
    with driver.use(1):
        there = eight(driver)
    with driver.use(0):
        with pytest.raises(InternalError, match="invalid argument"):
            numbers(driver, there)
        with driver.use(1):
            assert numbers(driver, there) == [0.0] * 8
    del there
    x, y = doubled("/gpu:1")
    with tf.Session() as session:
        assert session.run(y, {x: [1.0]}) == [3.0]


# --- memory and launches ----------------------------------------------------------------------------------------------


def test_addresses_of_the_wrong_side(driver: PycudaDriver) -> None:
    here = np.zeros(8, np.float32)
    with driver.use(0):
        memory = eight(driver)
        for address in (here.ctypes.data, memory.address + 4, 0):
            with pytest.raises(InternalError, match="invalid argument"):
                driver.copy_in(address, here)
        memory.free()
        with pytest.raises(InternalError, match="invalid argument"):
            driver.copy_out(here, memory.address)


def test_copies_and_launches(driver: PycudaDriver) -> None:
    with driver.use(0):
        memory, function, stream = eight(driver), adder(driver), driver.stream()
        parameters = struct.pack("Qf", memory.address, 1.5)
        for where in (None, stream):
            driver.launch(function, 1, 8, 0, parameters, where)
        driver.copy(memory.address, memory.address + 16, 16, stream)
        driver.synchronise(stream)
        assert numbers(driver, memory) == [3.0] * 8
        with pytest.raises(InternalError, match="not found"):
            driver.load(driver.image(ADD, "sm_80")).function("other")
        with pytest.raises(InternalError, match="invalid argument"):
            driver.launch(function, 1, 2000, 0, parameters, stream)


def test_much_dynamic_shared_memory(driver: PycudaDriver) -> None:
    """More than 48 KiB is asked for first."""
    with driver.use(0):
        memory = eight(driver)
        driver.copy_in(memory.address, np.arange(8, dtype=np.float32))
        function = driver.load(driver.image(SHARED, "sm_80")).function("turn")
        driver.launch(function, 1, 8, 100_000, struct.pack("Q", memory.address), driver.stream())
        driver.synchronise()
        assert numbers(driver, memory) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 0.0]


def test_the_default_stream_comes_after_all_others(driver: PycudaDriver) -> None:
    with driver.use(0):
        memory, function, stream = eight(driver), adder(driver), driver.stream()
        driver.launch(function, 1, 8, 0, struct.pack("Qf", memory.address, 1.0), stream)
        assert numbers(driver, memory) == [1.0] * 8


def test_streams_wait_for_events(driver: PycudaDriver) -> None:
    with driver.use(0):
        memory, pinned, found = driver.allocate(32), driver.pinned(32), driver.pinned(32)
        copies, work, begin, copied = driver.stream(), driver.stream(), driver.event(), driver.event()
        begin.record(copies)
        pinned.array[:] = 7
        driver.copy_in(memory.address, pinned.array, copies)
        copied.record(copies)
        work.wait(copied)
        driver.copy_out(found.array, memory.address, work)
        driver.synchronise(work)
        assert found.array.tolist() == [7] * 32
        copied.synchronise()
        assert copied.milliseconds_since(begin) >= 0
        with pytest.raises(InternalError, match=r"not ready|handle"):
            driver.event().milliseconds_since(begin)


def test_out_of_memory(driver: PycudaDriver) -> None:
    with driver.use(0):
        with pytest.raises(ResourceExhaustedError, match=r"The GPU is out of memory.*Feed smaller batches"):
            driver.allocate(1 << 40)
        fail("cuMemHostAlloc", OUT_OF_MEMORY)
        with pytest.raises(ResourceExhaustedError):
            driver.pinned(4)
        assert numbers(driver, eight(driver)) == [0.0] * 8


# --- captures ---------------------------------------------------------------------------------------------------------


def test_captured_work_is_done_when_the_graph_is_launched(driver: PycudaDriver) -> None:
    with driver.use(0):
        memory, function, stream = eight(driver), adder(driver), driver.stream()
        parameters = struct.pack("Qf", memory.address, 1.0)
        with driver.capture(stream) as graph:
            driver.launch(function, 1, 8, 0, parameters, stream)
            driver.launch(function, 1, 8, 0, parameters, stream)
        assert numbers(driver, memory) == [0.0] * 8
        for _ in range(3):
            graph.launch(stream)
        assert numbers(driver, memory) == [6.0] * 8


def test_what_goes_while_a_stream_is_captured_waits(driver: PycudaDriver) -> None:
    """To free memory would spoil the capture, and the garbage collector may come at any time."""
    with driver.use(0):
        memory, other, function, stream = eight(driver), driver.allocate(4), adder(driver), driver.stream()
        held = count("memory")
        with driver.capture(stream) as graph:
            del other
            driver.launch(function, 1, 8, 0, struct.pack("Qf", memory.address, 1.0), stream)
            assert count("memory") == held
        graph.launch(stream)
        assert numbers(driver, memory) == [1.0] * 8
    assert count("memory") == held - 1


def test_other_threads_go_on_while_a_stream_is_captured(driver: PycudaDriver) -> None:
    def work() -> None:
        with driver.use(0):
            own, pinned, there = driver.stream(), driver.pinned(32), driver.allocate(32)
            driver.copy_out(pinned.array, there.address, own)
            driver.synchronise(own)
            found = np.empty(8, np.float32)  # as other libraries copy, in the default stream
            assert library().cuMemcpyDtoH_v2(ctypes.c_void_p(found.ctypes.data), ctypes.c_ulonglong(memory.address), 32) == 0

    with driver.use(0):
        memory, function, stream = eight(driver), adder(driver), driver.stream()
        with driver.capture(stream) as graph:
            in_thread(work)
            driver.launch(function, 1, 8, 0, struct.pack("Qf", memory.address, 1.0), stream)
        graph.launch(stream)
        assert numbers(driver, memory) == [1.0] * 8


def test_who_waits_for_all_streams_waits_for_a_capture(driver: PycudaDriver) -> None:
    """CUDA refuses to wait for a device one of whose streams is captured."""
    found: list[float] = []

    def work() -> None:
        with driver.use(0):
            found.extend(numbers(driver, eight(driver)))

    thread = threading.Thread(target=work)
    with driver.use(0):
        memory, function, stream = eight(driver), adder(driver), driver.stream()
        with driver.capture(stream) as graph:
            thread.start()
            thread.join(0.1)
            assert not found
            driver.launch(function, 1, 8, 0, struct.pack("Qf", memory.address, 1.0), stream)
        graph.launch(stream)
        thread.join()
        assert (found, numbers(driver, memory)) == ([0.0] * 8, [1.0] * 8)


@pytest.mark.parametrize("how", ["error", "wait", "no memory", "begin"])
def test_a_capture_that_fails(driver: PycudaDriver, how: str) -> None:
    """The error is the one that came first, and the stream can be used and captured again."""
    with driver.use(0):
        memory, function, stream = eight(driver), adder(driver), driver.stream()
        parameters = struct.pack("Qf", memory.address, 1.0)
        kind, said = (InternalError, "capturing")
        if how == "error":
            kind, said = (KeyError, "mine")
        elif how == "no memory":
            fail("cuGraphInstantiateWithFlags", OUT_OF_MEMORY)
            kind, said = (ResourceExhaustedError, "out of memory")
        elif how == "begin":
            fail("cuStreamBeginCapture_v2", UNKNOWN)
            said = "unknown error"
        with pytest.raises(kind, match=said), driver.capture(stream):  # noqa: PT012 -- the block is what is tested
            driver.launch(function, 1, 8, 0, parameters, stream)
            if how == "error":
                raise KeyError("mine")
            if how == "wait":
                driver.synchronise(stream)
        with driver.capture(stream) as graph:
            driver.launch(function, 1, 8, 0, parameters, stream)
        graph.launch(stream)
        assert numbers(driver, memory) == [1.0] * 8


def test_no_memory_for_a_captured_step(driver: PycudaDriver) -> None:
    x, y = doubled()
    with tf.Session() as session:
        session.run(y, {x: [1.0]})
        fail("cuGraphInstantiateWithFlags", OUT_OF_MEMORY)
        with pytest.raises(tf.errors.ResourceExhaustedError, match="out of memory"):
            session.run(y, {x: [1.0]})
        assert session.run(y, {x: [1.0]}) == [3.0]


# --- sessions ---------------------------------------------------------------------------------------------------------


def train(steps: int = 4) -> list[np.ndarray]:
    return trained(NETS["mlp"], cuda=True, steps=steps)


@pytest.mark.parametrize("late", [True, False])
def test_nothing_is_left_of_a_closed_session(driver: PycudaDriver, late: bool) -> None:
    before = things()
    library().fake_cuda_late(int(late))
    try:
        train()
    finally:
        library().fake_cuda_late(1)
    assert things() == before


def use_and_drop() -> None:
    """A session that two threads run and nobody closes."""
    with tf.Graph().as_default():
        x, y = doubled()
        session = tf.Session()
        session.run(y, {x: [1.0]})
        in_thread(lambda: session.run(y, {x: [1.0, 2.0]}))


def test_nothing_is_left_of_a_session_that_was_dropped(driver: PycudaDriver) -> None:
    """The memory of a dropped session may wait for the next one."""
    before = things()
    use_and_drop()
    gc.collect()
    train(steps=1)
    assert things() == before


def test_the_feeds_of_a_step_are_pinned(driver: PycudaDriver) -> None:
    x, y = doubled()
    with tf.Session() as session:
        for _ in range(3):
            session.run(y, {x: np.ones(5)})
        before, launches, graphs = count("pageable copies"), count("launches"), count("graph launches")
        for _ in range(5):
            session.run(y, {x: np.ones(5)})
        assert count("pageable copies") == before
        assert count("launches") == launches
        assert count("graph launches") == graphs + 5


def test_sessions_in_threads(driver: PycudaDriver) -> None:
    """Several train at the same time, and come to what one comes to alone."""
    wanted = train()
    found: list[list[np.ndarray]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFGRAPH_BACKEND", "compiled")

        def work() -> None:
            with tf.Graph().as_default():
                tf.set_random_seed(5)
                net = NETS["mlp"]()
                values: list[np.ndarray] = []
                with tf.Session() as session:
                    session.run(tf.global_variables_initializer())
                    for step in range(4):
                        results = session.run(net.fetches, net.feeds(6 if step % 3 == 2 else 9, step))
                        values += [np.asarray(value) for value in results if value is not None]
                    found.append(values + session.run(tf.global_variables()))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 3
    for values in found:
        assert all(a.tobytes() == b.tobytes() for a, b in zip(values, wanted, strict=True))
