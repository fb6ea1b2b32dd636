"""A step on a GPU: compiled once per signature, bound to device memory, captured as one graph per batch size."""

from __future__ import annotations

import os
import struct
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...codegen.cuda.program import CudaProgram
from ...codegen.problems import NotCompilable
from ...device import is_gpu
from ...errors import InternalError, InvalidArgumentError
from ...run_errors import at_node
from ...tensor import Operation, Tensor
from ..devices import LOCAL, log_placement
from ..machine import Machine, scalars_unpacked
from ..memory import State
from ..programs import Binding, CompiledStep
from .choice import find_driver
from .gpu import Block, Gpu, Staged
from .variables import DeviceVariables

if TYPE_CHECKING:
    from .launch_times import LaunchWatch

MOST_GRAPHS = 16  # captured steps of a program that are kept; the one that was not used for the longest time goes
NO_FAILURE = 0x7FFFFFFFFFFFFFFF  # TG_NONE of templates/cuda/prelude.cuh.j2
_WORDS_PER_RANDOM = 3
_MASK_64 = 2**64 - 1


class CudaLoadedProgram:
    """A program whose kernels are loaded, with its constants, feeds and fetches on the device."""

    on_device = True

    def __init__(self, program: CudaProgram, gpu: Gpu, fed: Sequence[str], fetched: Sequence[str]) -> None:
        self.program = program
        self.gpu = gpu
        self.kernel_count = program.kernel_count
        driver = gpu.driver
        self.module = driver.load(driver.image(program.source, gpu.info.arch))
        self.functions = [self.module.function(launch.function) for launch in program.launches]
        self.watch: LaunchWatch | None = None  # counts or times the runs
        self.feeds = [Staged(gpu, f"the feed of {name}") for name in fed]
        self.fetches = [Staged(gpu, f"the fetched {name}") for name in fetched]
        self.constants = [Block(gpu, "the constants of a step") for _ in program.constants]
        for block, array in zip(self.constants, program.constants, strict=True):
            block.grow(array.nbytes)
            if array.nbytes:
                driver.copy_in(block.address, np.ascontiguousarray(array), gpu.stream)
        # the number of the failed check, then the seeds and counters: what changes from run to run
        self.control = Staged(gpu, "the counters of random operations")
        self.control.grow(8 * (1 + _WORDS_PER_RANDOM * len(program.randoms)))
        self.table = Block(gpu, "the addresses of variables")
        self.version = 0  # changes when something that a captured graph knows is elsewhere
        self.variable_addresses: list[int] = []
        self.graphs: OrderedDict[tuple[int, int, int], Any] = OrderedDict()
        driver.synchronise(gpu.stream)

    def point_to_variables(self, state: State) -> Mapping[str, np.ndarray] | None:
        """Find the variables on the device; None if the program would read one that has no value."""
        variables = state.elsewhere
        assert isinstance(variables, DeviceVariables)
        addresses = variables.addresses(self.program.variables)
        if addresses is None:
            return None
        if addresses != self.variable_addresses:
            self.variable_addresses = addresses
            self.version += 1
        return {}

    def new_watch(self, timed: bool) -> LaunchWatch:
        """A stopwatch for this program."""
        from .launch_times import LaunchWatch

        with self.gpu.driver.use(self.gpu.number):
            return LaunchWatch(self.gpu, timed)

    def parameters(self, n: int) -> bytes:
        """The `tg_step` that every kernel takes."""
        tables = (
            [staged.block.address for staged in self.feeds],
            [staged.block.address for staged in self.fetches],
            self.variable_addresses,
            [block.address for block in self.constants],
        )
        if self.program.in_memory:
            flat = np.array([a for table in tables for a in table] or [0], np.uint64)
            self.table.grow(flat.nbytes)
            self.gpu.driver.copy_in(self.table.address, flat, self.gpu.stream)
            places, at = [], self.table.address
            for table in tables:
                places.append(at)
                at += 8 * len(table)
        else:
            places = [address for table in tables for address in (table or [0])]
        control = self.control.block.address
        head = (n, self.gpu.batch_arena.address, self.gpu.fixed_arena.address, control + 8, control)
        return struct.pack(f"<q{len(head) - 1 + len(places)}Q", *head, *places)


class CudaStep(CompiledStep):
    """A step whose programs run on a GPU; one that has no CUDA form runs on the CPU if it may."""

    on_device = True

    def __init__(
        self,
        machine: Machine,
        order: Sequence[Operation],
        fetches: Sequence[Tensor],
        feeds: Sequence[Tensor],
        device: int,
    ) -> None:
        super().__init__(machine, order, fetches, feeds)
        self.device_name = f"{LOCAL}/device:GPU:{device}"
        self._gpu, self._variables_there = session_gpu(machine, device)
        self._fetched = fetches
        self._on_cpu: CompiledStep | None = None

    def run(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        with self._machine.lock:
            if self._on_cpu is None:
                with self._gpu.driver.use(self._gpu.number):
                    binding = self._binding(arrays) if self._compilable else None
                    if binding is not None and not binding.readable:
                        return self._interpreted.run(arrays)
                    if binding is not None:
                        return scalars_unpacked(self._call(binding, arrays))
                self._on_cpu = CompiledStep(self._machine, self._order, self._fetched, self.feeds)
            return self._on_cpu.run(arrays)

    # --- what differs from a step on the CPU --------------------------------------------------------------------------

    def _version(self) -> Any:
        return self._variables_there.version, self._machine.state.array_version

    def _load(self, program: Any) -> Any:
        fed, fetched = ([tensor.name for tensor in tensors] for tensors in (self.feeds, self._fetched))
        return CudaLoadedProgram(program, self._gpu, fed, fetched)

    def _target(self) -> str:
        precision = os.environ.get("TFGRAPH_CUDA_PRECISION", "").strip() or "float32"
        return f"cuda {precision} {os.environ.get('TFGRAPH_CONV', '')}"

    def _compile(self, dims: list[Any], values: dict[int, np.ndarray], variable_dims: dict[str, Any]) -> Any:
        return compile_cuda_program(self._prepared, dims, values, variable_dims)

    def _bind(self, loaded: Any, n: int) -> Binding:
        state, program = self._machine.state, loaded.program
        readable = loaded.point_to_variables(state) is not None
        draws = []
        for slot in program.randoms:
            at = state.random(slot.op_name, slot.seed, slot.seed2)
            draws.append((at, slot.reserved.per_batch * n + slot.reserved.fixed))
        outputs = [(_at(slot.dims, n), slot.dtype.base_dtype.as_numpy_dtype) for slot in program.fetches]
        return Binding(loaded, n, outputs, draws, self._version(), {}, readable)

    def _give_up(self, reason: NotCompilable) -> None:
        self._compilable = False
        self._reason = str(reason)
        placed = next((op for op in self._order if op.device and is_gpu(op.device)), None)
        if placed is not None and not getattr(self._machine.config, "allow_soft_placement", False):
            raise at_node(
                InvalidArgumentError,
                placed,
                f"Cannot assign a device for operation {placed.name}: Could not satisfy explicit device specification "
                f"'{placed.device}' because no supported kernel for GPU devices is available: {reason}. Place it on /cpu:0 "
                "or set allow_soft_placement=True in tf.ConfigProto, with which the step runs on the CPU.",
            )
        self._machine.tell_once(f"a run goes to the CPU: {reason}")
        log_placement(self._order, self._machine.config, moved=True)

    def record(self, dims: list[Any], values: dict[int, np.ndarray], variable_dims: dict[str, Any]) -> Any:
        from ...codegen.explain import recorded

        return recorded(self._prepared, dims, values, variable_dims, compile_cuda_program)

    # --- the call -----------------------------------------------------------------------------------------------------

    def _call(self, binding: Binding, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        gpu = self._gpu
        loaded: Any = binding.loaded  # a CudaLoadedProgram
        program: CudaProgram = loaded.program
        arena = gpu.reserve(program.batch_arena_bytes(binding.n), program.fixed_bytes, binding.n)
        self._variables_there.upload(program.variables)
        self._take_feeds(loaded, arrays)
        for staged, (shape, dtype) in zip(loaded.fetches, binding.outputs, strict=True):
            loaded.version += staged.grow(_bytes(shape, dtype))
        self._set_control(loaded, binding)
        self._launch(loaded, binding.n, arena)
        outputs = self._results(loaded, binding)
        if loaded.watch is not None:
            loaded.watch.read()
        failed = self._failure(loaded) if program.checks else NO_FAILURE
        if failed != NO_FAILURE:
            self._explain_failure(program.checks[failed - 1], arrays)
        for at, count in binding.draws:
            at.counter += count
        self._variables_there.written(program.variables)
        return outputs

    def _take_feeds(self, loaded: CudaLoadedProgram, arrays: Sequence[np.ndarray]) -> None:
        """Copy the feeds to the device, each through pinned memory, in a stream of their own."""
        gpu, driver = self._gpu, self._gpu.driver
        for staged, array in zip(loaded.feeds, arrays, strict=True):
            loaded.version += staged.grow(array.nbytes)
            if array.nbytes:
                pinned = staged.view(array.shape, array.dtype)
                pinned[...] = array
                driver.copy_in(staged.block.address, pinned, gpu.copies)
        arrived = driver.event()
        arrived.record(gpu.copies)
        gpu.stream.wait(arrived)

    def _set_control(self, loaded: CudaLoadedProgram, binding: Binding) -> None:
        words = [NO_FAILURE]
        for at, _ in binding.draws:
            words += [at.seeds.seed & _MASK_64, at.seeds.seed2 & _MASK_64, at.counter & _MASK_64]
        pinned = loaded.control.view((len(words),), np.uint64)
        pinned[...] = words
        self._gpu.driver.copy_in(loaded.control.block.address, pinned, self._gpu.stream)

    def _launch(self, loaded: CudaLoadedProgram, n: int, arena: int) -> None:
        """All launches: by themselves the first time, then as one captured graph; by themselves if they are timed."""
        gpu, driver = self._gpu, self._gpu.driver
        if loaded.watch is not None and loaded.watch.takes(n):
            loaded.watch.launch(loaded.functions, loaded.program.launches, n, loaded.parameters(n))
            return
        key = (n, arena, loaded.version)
        if key not in loaded.graphs:
            parameters = loaded.parameters(n)
            for stale in [k for k in loaded.graphs if k[1:] != key[1:]]:
                del loaded.graphs[stale]
            loaded.graphs[key] = None
            while len(loaded.graphs) > MOST_GRAPHS:
                loaded.graphs.popitem(last=False)
            self._launch_all(loaded, n, parameters)
            return
        loaded.graphs.move_to_end(key)
        graph = loaded.graphs[key]
        if graph is None:
            parameters = loaded.parameters(n)
            with driver.capture(gpu.stream) as graph:
                self._launch_all(loaded, n, parameters)
            loaded.graphs[key] = graph
        graph.launch(gpu.stream)

    def _launch_all(self, loaded: CudaLoadedProgram, n: int, parameters: bytes) -> None:
        driver, stream = self._gpu.driver, self._gpu.stream
        for function, launch in zip(loaded.functions, loaded.program.launches, strict=True):
            driver.launch(function, launch.blocks(n), (launch.threads, 1, 1), launch.shared, parameters, stream)

    def _results(self, loaded: CudaLoadedProgram, binding: Binding) -> list[np.ndarray]:
        driver, stream = self._gpu.driver, self._gpu.stream
        views = []
        for staged, (shape, dtype) in zip(loaded.fetches, binding.outputs, strict=True):
            view = staged.view(shape, dtype)
            if view.nbytes:
                driver.copy_out(view, staged.block.address, stream)
            views.append(view)
        if loaded.program.checks:
            driver.copy_out(loaded.control.view((1,), np.uint64), loaded.control.block.address, stream)
        driver.synchronise(stream)
        return [view.copy() for view in views]

    def _failure(self, loaded: CudaLoadedProgram) -> int:
        return int(loaded.control.view((1,), np.uint64)[0])


def compile_cuda_program(*arguments: Any, **named: Any) -> CudaProgram:
    """See `codegen.cuda.compile`; imported at the first call, so that a step found on the disk never pays for it."""
    from ...codegen.cuda.compile import compile_cuda_program

    return compile_cuda_program(*arguments, **named)


def session_gpu(machine: Machine, device: int) -> tuple[Gpu, DeviceVariables]:
    """The device of a session and the variables on it; one session uses one device.

    InternalError: the session uses another one already.
    """
    if machine.gpu is None:
        from .choice import devices

        driver = find_driver()
        assert driver is not None, "placement has found the device"
        number, info = devices(machine.config)[device]
        machine.gpu = (device, Gpu(driver, number, info, machine.config))
        machine.state.elsewhere = DeviceVariables(machine.gpu[1], machine.state)
    used, gpu = machine.gpu
    if used != device:
        raise InternalError(None, None, f"This session uses /gpu:{used}; another session can use /gpu:{device}.")
    assert isinstance(machine.state.elsewhere, DeviceVariables)
    return gpu, machine.state.elsewhere


def _at(dims: Any, n: int) -> tuple[int, ...]:
    from ...shapes import at_batch

    return at_batch(dims, n)


def _bytes(shape: tuple[int, ...], dtype: Any) -> int:
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
