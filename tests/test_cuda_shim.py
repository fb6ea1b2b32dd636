"""The host shim: kernels of a few lines do what CUDA says, and those that are wrong are caught."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import pytest

from tests._cuda_kernels import needs_cxx
from tfgraph.errors import InternalError, InvalidArgumentError
from tfgraph.runtime.cuda.shim_build import kernel_names
from tfgraph.runtime.cuda.shim_driver import ShimDriver, wanted_order

pytestmark = needs_cxx

STEP = "struct step { float *x; float *y; long long n; };\n"
ORDERS = ("forward", "backward", "0", "12345")


def kernel(body: str) -> str:
    return f'{STEP}extern "C" __global__ void k(const step s)\n{{\n    const int i = threadIdx.x;\n    {body}\n}}\n'


def run(source: str, x: Sequence[float], block: int | tuple = 64, grid: int | tuple = 1, shared: int = 0) -> np.ndarray:
    """What the kernel `k` makes of y, which is zeros, as many as x has."""
    driver = ShimDriver()
    module = driver.load(driver.image(source, "sm_80"))
    given, made = np.asarray(x, np.float32), np.zeros(len(x), np.float32)
    memory = [driver.allocate(given.nbytes) for _ in range(2)]
    for place, array in zip(memory, (given, made), strict=True):
        driver.copy_in(place.address, array)
    try:
        driver.launch(module.function("k"), grid, block, shared, struct.pack("QQq", *(m.address for m in memory), len(x)))
        driver.copy_out(made, memory[1].address)
    finally:
        for place in memory:
            place.free()
    return made


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_SHIM_CHECK", "1")


NUMBERS = np.arange(64, dtype=np.float32)

RIGHT = {
    "each its own": ("s.y[i] = 2 * s.x[i];", 2 * NUMBERS),
    "reversed through shared memory": (
        "__shared__ float t[64]; t[i] = s.x[i]; __syncthreads(); s.y[i] = t[63 - i];", NUMBERS[::-1]
    ),
    "neighbours in a warp": (
        "__shared__ float t[64]; t[i] = s.x[i]; __syncwarp(); s.y[i] = t[i ^ 1];", NUMBERS.reshape(-1, 2)[:, ::-1]
    ),
    "dynamic shared memory": (
        "float *t = (float *)tg_dynamic_shared(); t[i] = s.x[i]; __syncthreads(); s.y[i] = t[i ^ 32];", np.roll(NUMBERS, 32)
    ),
    "some threads end first": ("if (i < 3) return; __syncthreads(); s.y[i] = 7;", np.where(NUMBERS < 3, 0, 7)),
    "barriers in a loop": (
        """__shared__ float t[64];
        t[i] = s.x[i];
        __syncthreads();
        for (int half = 32; half > 0; half /= 2) {
            if (i < half)
                t[i] += t[i + half];
            __syncthreads();
        }
        s.y[i] = t[0];""",
        np.full(64, NUMBERS.sum()),
    ),
    "sum by shuffles": (
        "float v = s.x[i]; for (int d = 16; d > 0; d /= 2) v += __shfl_xor_sync(0xffffffffu, v, d); s.y[i] = v;",
        np.repeat(NUMBERS.reshape(2, 32).sum(1), 32),
    ),
    "shuffle down": (
        "s.y[i] = __shfl_down_sync(0xffffffffu, s.x[i], 4);", np.where(NUMBERS % 32 < 28, NUMBERS + 4, NUMBERS)
    ),
    "shuffle up in halves": (
        "s.y[i] = __shfl_up_sync(0xffffffffu, s.x[i], 1, 16);", np.where(NUMBERS % 16 > 0, NUMBERS - 1, NUMBERS)
    ),
    "half warps apart": (
        "s.y[i] = __shfl_sync(i & 16 ? 0xffff0000u : 0xffffu, s.x[i], 3, 16);", NUMBERS // 16 * 16 + 3
    ),
    "ballot": ("s.y[i] = __popc(__ballot_sync(0xffffffffu, i % 5 == 0));", np.repeat([7.0, 6.0], 32)),
    "atomic count": (
        "__shared__ int t; if (i == 0) t = 0; __syncthreads(); atomicAdd(&t, i % 2); __syncthreads(); s.y[i] = t;",
        np.full(64, 32),
    ),
    "greatest by atomics": (
        """__shared__ unsigned long long t;
        if (i == 0)
            t = 0;
        __syncthreads();
        atomicMax(&t, 3 * i);
        __syncthreads();
        s.y[i] = t;""",
        np.full(64, 189),
    ),
    "four floats at a time": ("if (i < 16) *(float4 *)(s.y + 4 * i) = *(const float4 *)(s.x + 4 * i);", NUMBERS),
    "intrinsics": (
        "s.y[i] = __umulhi(0x80000000u, 2 * i) + __clz(1) + __float_as_int(0.0f) + fmaf(0, 0, min(i, 3));",
        NUMBERS + 31 + np.minimum(NUMBERS, 3),
    ),
    "bytes of one word": ("if (i < 4) ((unsigned char *)s.y)[i] = 0; s.x[i] = 1; if (i > 0) s.y[i] = i;", NUMBERS),
}  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", RIGHT)
def test_right_in_every_order(name: str, order: str, checks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_SHIM_ORDER", order)
    body, expected = RIGHT[name]
    assert np.array_equal(run(kernel(body), NUMBERS, shared=256), np.ravel(expected))


@pytest.mark.parametrize("name", ["reversed through shared memory", "sum by shuffles", "atomic count", "barriers in a loop"])
def test_right_without_checks(name: str) -> None:
    body, expected = RIGHT[name]
    assert np.array_equal(run(kernel(body), NUMBERS, shared=256), np.ravel(expected))


WRONG = {
    "all write one number": ("s.y[0] = i;", "race"),
    "no barrier": ("__shared__ float t[64]; t[i] = s.x[i]; s.y[i] = t[63 - i];", "race"),
    "no barrier before the next round": (
        """__shared__ float t[64];
        for (int round = 0; round < 2; ++round) {
            t[i] = s.x[i] + round;
            __syncthreads();
            s.y[i] += t[63 - i];
        }""",
        "race",
    ),
    "a warp's barrier between warps": ("__shared__ float t[64]; t[i] = s.x[i]; __syncwarp(); s.y[i] = t[i ^ 32];", "race"),
    "no warp barrier": ("__shared__ float t[64]; t[i] = s.x[i]; s.y[i] = t[i ^ 1];", "race"),
    "atomic and plain": ("__shared__ int t; if (i == 0) t = 0; atomicAdd(&t, 1); __syncthreads(); s.y[i] = t;", "race"),
    "read behind the end": ("s.y[i] = s.x[i + 1];", "256 bytes from the beginning of 256 bytes"),
    "write before the beginning": ("s.y[i - 1] = 1;", "-4 bytes from the beginning"),
    "write far away": ("s.y[i + 100000] = 1;", "device memory"),
    "null": ("float *p = (float *)(s.n - 64); if (i == 3) s.y[0] = p[1];", "no memory of the device"),
    "crooked vector": ("if (i == 0) *(float4 *)s.y = *(const float4 *)(s.x + 1);", "no multiple of the size"),
    "dynamic shared memory behind its end": ("((float *)tg_dynamic_shared())[64 + i] = 1;", "dynamic shared memory"),
    "a barrier that half of a warp misses": ("if (i < 16) __syncwarp(); s.y[i] = i;", "waits for threads"),
    "different barriers": (
        "if (i < 32)\n        __syncthreads();\n    else\n        __syncthreads();\n", "waits at the barrier of line"
    ),
    "shuffle with lanes that have ended": ("if (i < 8) s.y[i] = __shfl_sync(0xffffffffu, s.x[i], 9);", "waits for threads"),
    "shuffle from outside of the mask": ("if (i < 8) s.y[i] = __shfl_sync(0xffu, s.x[i], 9);", "not in mask"),
    "trap": ("if (i == 5) __trap();", "thread (5, 0, 0): __trap()"),
}  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", WRONG)
def test_wrong_is_caught_in_every_order(name: str, order: str, checks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_SHIM_ORDER", order)
    body, said = WRONG[name]
    with pytest.raises(InternalError) as error:
        run(kernel(body), NUMBERS, shared=256)
    assert said in str(error.value)
    assert np.array_equal(run(kernel(RIGHT["each its own"][0]), NUMBERS), 2 * NUMBERS), "and the next launch runs"


def test_blocks_must_not_write_the_same(checks: None) -> None:
    with pytest.raises(InternalError, match="race"):
        run(kernel("s.y[i] = s.x[i];"), NUMBERS, grid=2)
    with pytest.raises(InternalError, match="race"):
        run(kernel("s.x[blockIdx.x] = 1; s.y[blockIdx.x] = s.x[1 - blockIdx.x];"), NUMBERS, block=1, grid=2)


def test_shared_memory_is_new_in_each_block(checks: None) -> None:
    body = "__shared__ float t; const bool fresh = isnan(t); __syncthreads(); t = 1; s.y[blockIdx.x] = fresh;"
    assert np.array_equal(run(kernel(body), np.zeros(9), block=1, grid=9), np.ones(9))


@pytest.mark.parametrize("order", ORDERS)
def test_every_block_and_thread_runs_once(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_SHIM_ORDER", order)
    body = """
    const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    atomicAdd(&s.y[block * 24 + thread], 1.0f + threadIdx.z);
    """
    found = run(kernel(body), np.zeros(30 * 24), block=(4, 3, 2), grid=(5, 3, 2)).reshape(30, 2, 12)
    assert (found[:, 0] == 1).all()
    assert (found[:, 1] == 2).all()


def test_order_shows_in_what_depends_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The permutations are permutations indeed: the last to write wins."""
    winners = set()
    for order in ("forward", "backward", "3", "4"):
        monkeypatch.setenv("TFGRAPH_SHIM_ORDER", order)
        winners.add(float(run(kernel("s.y[0] = 64 * blockIdx.x + i;"), NUMBERS, grid=50)[0]))
    assert len(winners) == 4


def test_unknown_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_SHIM_ORDER", "sideways")
    with pytest.raises(InvalidArgumentError, match="sideways"):
        wanted_order()


@pytest.mark.parametrize(
    ("block", "grid", "shared", "said"),
    [(0, 1, 0, "1 to 1024"), (1025, 1, 0, "1 to 1024"), (1, (1, 70000, 1), 0, "65535"), (1, 1, 1 << 20, "227 KiB")],
)
def test_impossible_launches(block: int, grid: int, shared: int, said: str) -> None:
    with pytest.raises(InternalError, match=said):
        run(kernel("s.y[i] = 1;"), NUMBERS, block, grid, shared)


def test_parameters_are_packed_as_cuda_packs_them() -> None:
    head = 'extern "C" __global__ void k(const char a, float *y, const short b, const double c)'
    source = head + "\n{\n    y[0] = a + b + c;\n}\n"
    driver = ShimDriver()
    function = driver.load(driver.image(source, "sm_80")).function("k")
    y = driver.allocate(4)
    driver.launch(function, 1, 1, 0, struct.pack("b7xQh6xd", 1, y.address, 20, 300.0))
    made = np.empty(1, np.float32)
    driver.copy_out(made, y.address)
    assert made[0] == 321
    with pytest.raises(InternalError, match="no kernel other"):
        driver.load(driver.image(source, "sm_80")).function("other")


def test_text_that_does_not_compile() -> None:
    with pytest.raises(InternalError, match="not_declared"):
        ShimDriver().image(kernel("s.y[i] = not_declared;"), "sm_80")


def test_names_of_kernels() -> None:
    kernels = 'extern "C" __global__ void __launch_bounds__(128, 1) a(int x) {}\n__global__ void b() {}\n'
    assert kernel_names(kernels + "static __device__ void c() {}") == ("a", "b")


# --- memory, streams, graphs --------------------------------------------------------------------------------------


def test_copies_stay_in_their_memory() -> None:
    driver = ShimDriver()
    memory = driver.allocate(16)
    found = np.empty(16, np.uint8)
    driver.copy_out(found, memory.address)
    assert (found == 255).all(), "new memory is not zeros"
    for address, count in ((memory.address + 4, 16), (memory.address - 1, 4), (found.ctypes.data, 4)):
        with pytest.raises(InternalError, match="leaves the device memory"):
            driver.copy_in(address, np.zeros(count, np.uint8))
    memory.free()
    with pytest.raises(InternalError, match="leaves the device memory"):
        driver.copy_out(found, memory.address or 4096)


def test_memory_that_was_given_back_is_not_there(checks: None) -> None:
    driver = ShimDriver()
    module = driver.load(driver.image(kernel("s.y[i] = s.x[i];"), "sm_80"))
    memory = [driver.allocate(256) for _ in range(2)]
    parameters = struct.pack("QQq", *(m.address for m in memory), 64)
    memory[0].free()
    with pytest.raises(InternalError, match="device memory"):
        driver.launch(module.function("k"), 1, 64, 0, parameters)


def test_late_streams_show_a_missing_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_SHIM_STREAMS", "late")
    driver = ShimDriver()
    memory, pinned = driver.allocate(4), driver.pinned(4)
    copies, work = driver.stream(), driver.stream()
    found = np.zeros(4, np.uint8)
    copied = driver.event()
    pinned.array[:] = 1
    driver.copy_in(memory.address, pinned.array, copies)
    copied.record(copies)
    driver.copy_out(found, memory.address, work)
    driver.synchronise(work)
    assert (found == 255).all(), "nobody has waited for the copy"
    work.wait(copied)
    driver.copy_out(found, memory.address, work)
    pinned.array[:] = 2  # too early: the copy has not been made
    driver.synchronise(work)
    assert (found == 2).all()


def test_graphs_repeat_what_was_captured() -> None:
    driver = ShimDriver()
    memory, stream = driver.allocate(8), driver.stream()
    driver.copy_in(memory.address, np.array([1, 0], np.float32))
    source = 'extern "C" __global__ void k(float *x)\n{\n    x[0] *= 2;\n}\n'
    function = driver.load(driver.image(source, "sm_80")).function("k")
    with driver.capture(stream) as graph:
        driver.launch(function, 1, 1, 0, struct.pack("Q", memory.address), stream)
        driver.copy(memory.address + 4, memory.address, 4, stream)
    found = np.empty(2, np.float32)
    driver.copy_out(found, memory.address)
    assert found.tolist() == [1, 0], "captured work is not done"
    for _ in range(3):
        graph.launch(stream)
    driver.copy_out(found, memory.address)
    assert found.tolist() == [8, 8]
