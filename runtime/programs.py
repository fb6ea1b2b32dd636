"""Compiled programs of one step: made when a new signature of feeds comes, bound to memory, called.

A program is compiled for a *signature*: the feeds' dimensions as multiples of N, the values of feeds that decide shapes
or branches, and the shapes of variables that differ from the graph's. A *binding* is a program with the memory of one
tuple of concrete shapes; finding it is all that an ordinary run has to do before the call.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .. import codegen
from ..codegen.problems import NeedsConstants, NeedsValues, NotCompilable
from ..codegen.target import host_target
from ..errors import InternalError, InvalidArgumentError
from ..run_errors import at_node
from ..shapes import at_batch
from ..tensor import Operation, Tensor
from . import cpu, stored
from .machine import InterpretedStep, Machine, scalars_unpacked
from .memory import RandomState, State, aligned_empty
from .replay import Memory, run_checked

_MASK_64 = 2**64 - 1
_WORDS_PER_RANDOM = 3  # seed, seed2, counter

_address = cpu.ffi.from_buffer

# called with the step, the signature (dims, values, variable_dims) and the program whenever one has been loaded
watchers: list[Callable[[Any, tuple[Any, Any, Any], Any], None]] = []


def tracing() -> bool:
    """True if somebody wants to see how programs are compiled."""
    return bool(os.environ.get("TFGRAPH_SHOW") or os.environ.get("TFGRAPH_DUMP"))


class LoadedProgram:
    """A program whose module is loaded, with the tables of addresses that its `tg_step` points to."""

    on_device = False

    def __init__(self, program: Any, threads: int) -> None:
        self.program = program
        self.threads = threads
        self.module = cpu.load(program.source)
        new = cpu.ffi.new
        self.step = new("tg_step *")
        self.feeds = new("const void *[]", max(1, len(program.feeds)))
        self.fetches = new("void *[]", max(1, len(program.fetches)))
        self.variables = new("void *[]", max(1, len(program.variables)))
        self.constants = new("const void *[]", max(1, len(program.constants)))
        self.random = new("uint64_t[]", max(1, _WORDS_PER_RANDOM * len(program.randoms)))
        self._constant_arrays = [_aligned(array) for array in program.constants]
        for i, array in enumerate(self._constant_arrays):
            self.constants[i] = _address(array)
        for table in ("feeds", "fetches", "variables", "constants", "random"):
            setattr(self.step, table, getattr(self, table))
        self.step.pool = cpu.pool(threads)
        self.run = self.module.tg_run
        self.kernel_count = program.kernel_count
        self.arena_version = -1  # of the arenas that the step points to
        self._variable_arrays: list[np.ndarray] = []

    def memory(
        self, machine: Machine, feeds: Sequence[np.ndarray], fetches: Sequence[np.ndarray], binding: Binding
    ) -> Memory:
        """The arrays of a run, for the replay against the reference."""
        slots = zip(self.program.randoms, binding.draws, strict=True)
        seeds = {slot.op_name: (at.seeds, at.counter) for slot, (at, _) in slots}
        return Memory(
            n=binding.n,
            batch=machine.batch_arena,
            fixed=machine.fixed_arena,
            feeds=feeds,
            fetches=fetches,
            variables=self._variable_arrays,
            constants=self._constant_arrays,
            seeds=seeds,
        )

    def point_to_variables(self, state: State) -> dict[str, np.ndarray] | None:
        """Fill the table of variables. Returns the arrays that the program will be the first to write; None if it
        would read a variable that has no value."""
        arrays, fresh = [], {}
        for slot in self.program.variables:
            array = state.variables.get(slot.op_name)
            if array is None and slot.read_by is not None:
                return None
            if array is None or array.shape != slot.dims:
                array = fresh[slot.op_name] = aligned_empty(slot.dims, slot.dtype.as_numpy_dtype)
            arrays.append(array)
        for i, array in enumerate(arrays):
            self.variables[i] = _address(array)
        self._variable_arrays = arrays  # the table does not keep them alive
        return fresh


def _aligned(array: np.ndarray) -> np.ndarray:
    copy = aligned_empty(array.shape, array.dtype)
    copy[...] = array
    return copy


@dataclass
class Binding:
    """A program ready to be called with feeds of certain shapes."""

    loaded: LoadedProgram
    n: int
    outputs: list[tuple[tuple[int, ...], Any]]  # shape and dtype of each fetch
    draws: list[tuple[RandomState, int]]  # random operations and how far a run moves their counters on
    version: int  # of the state whose arrays the table of variables holds
    fresh: Mapping[str, np.ndarray]  # variables that get their first value from this program
    readable: bool  # False: some variable has no value yet


class CompiledStep:
    """A step that compiled programs execute, one per signature."""

    on_device = False  # True: on a GPU
    device_name = ""  # the GPU's

    def __init__(
        self, machine: Machine, order: Sequence[Operation], fetches: Sequence[Tensor], feeds: Sequence[Tensor]
    ) -> None:
        self.feeds = feeds
        self._machine = machine
        self._order = order
        self._interpreted = InterpretedStep(machine, order, fetches, feeds)
        self._variables = [op for op in order if op.type == "VariableV2"]
        self._bindings: dict[Any, Binding] = {}
        self._programs: dict[Any, LoadedProgram] = {}
        self._deciding: tuple[int, ...] = ()  # the feeds whose values are part of the signature
        self._exact: set[tuple[Any, ...]] = set()  # dimensions in N whose programs must be for the sizes of a run
        self._compilable = True
        self._reason = ""  # why it is not compilable
        self._checked = os.environ.get("TFGRAPH_CHECK") == "1"
        self._prepared: Any = None
        try:
            self._prepared = codegen.prepare(order, fetches, feeds)
        except NotCompilable as reason:
            self._give_up(reason)

    def run(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        with self._machine.lock:
            binding = self._binding(arrays) if self._compilable else None
            if binding is None or not binding.readable:
                return self._interpreted.run(arrays)
            outputs = self._call(binding, arrays)
        return scalars_unpacked(outputs)

    # --- from feeds to a binding ----------------------------------------------------------------------------

    def _binding(self, arrays: Sequence[np.ndarray]) -> Binding | None:
        """The binding for these feeds; None if the step has no compiled form."""
        key = (*[array.shape for array in arrays], *[arrays[i].tobytes() for i in self._deciding])
        binding = self._bindings.get(key)
        if binding is not None and binding.version == self._version():
            return binding
        try:
            loaded, n = self._program(arrays)
        except NotCompilable as reason:
            self._give_up(reason)
            return None
        except InvalidArgumentError:
            self._interpreted.run(arrays, commit=False)  # says the same with this run's numbers in place of N
            raise
        binding = self._bind(loaded, n)
        # compiling may have found that the values of some feeds decide
        key = (*[array.shape for array in arrays], *[arrays[i].tobytes() for i in self._deciding])
        self._bindings[key] = binding
        return binding

    def _version(self) -> int:
        """Changes when the variables are elsewhere in memory than before."""
        return self._machine.state.version

    def _bind(self, loaded: LoadedProgram, n: int) -> Binding:
        state, program = self._machine.state, loaded.program
        fresh = loaded.point_to_variables(state)
        draws = []
        for i, slot in enumerate(program.randoms):
            at = state.random(slot.op_name, slot.seed, slot.seed2)
            loaded.random[_WORDS_PER_RANDOM * i] = at.seeds.seed
            loaded.random[_WORDS_PER_RANDOM * i + 1] = at.seeds.seed2
            draws.append((at, slot.reserved.per_batch * n + slot.reserved.fixed))
        return Binding(
            loaded=loaded,
            n=n,
            outputs=[(at_batch(slot.dims, n), slot.dtype.base_dtype.as_numpy_dtype) for slot in program.fetches],
            draws=draws,
            version=self._version(),
            fresh=fresh or {},
            readable=fresh is not None,
        )

    def _program(self, arrays: Sequence[np.ndarray]) -> tuple[LoadedProgram, int]:
        """The program for these feeds and its N, compiled now if it is new. NotCompilable if there cannot be one."""
        return self._specialised(arrays, self._loaded)

    def _specialised(self, arrays: Sequence[np.ndarray], find: Callable[[Any, Any, Any], Any]) -> tuple[Any, int]:
        """What `find(dims, values, variable_dims)` gives for the signature of these feeds, and its N. It is asked again,
        with a narrower signature, as long as it raises that it needs one."""
        shapes = [array.shape for array in arrays]
        variable_dims = self._variable_dims()
        while True:
            n, dims = codegen.symbolic(self._prepared, shapes)
            is_exact = tuple(dims) in self._exact
            if is_exact:
                n, dims = 1, shapes
            values = {i: arrays[i] for i in self._deciding}
            try:
                return find(list(dims), values, variable_dims), n
            except NeedsConstants as need:
                if is_exact or dims == shapes:
                    raise NotCompilable(str(need)) from need
                self._exact.add(tuple(dims))
            except NeedsValues as need:
                deciding = tuple(sorted({*self._deciding, *need.feeds}))
                if deciding == self._deciding:
                    raise NotCompilable(str(need)) from need
                self._deciding = deciding

    def _loaded(self, dims: list[Any], values: dict[int, np.ndarray], variable_dims: dict[str, Any]) -> LoadedProgram:
        """The loaded program of a signature."""
        key = (tuple(dims), tuple(v.tobytes() for v in values.values()), tuple(variable_dims.items()))
        loaded = self._programs.get(key)
        if loaded is None:
            program = self._answer(dims, values, variable_dims)
            loaded = self._programs[key] = self._load(program)
            self._machine.sources.append(program.source)
            for watcher in watchers:
                watcher(self, (dims, values, variable_dims), loaded)
        return loaded

    def _load(self, program: Any) -> Any:
        return LoadedProgram(program, cpu.thread_count(self._machine.config))

    def _answer(self, dims: list[Any], values: dict[int, np.ndarray], variable_dims: dict[str, Any]) -> Any:
        """The program, from the disk if it has been compiled before; raises what the compiler raises."""
        if self._checked or tracing():
            return self._compile(dims, values, variable_dims)
        key = stored.fingerprint(self._prepared, dims, values, variable_dims, self._target())
        answer = stored.find(key)
        if answer is None:
            try:
                answer = self._compile(dims, values, variable_dims)
            except (NeedsConstants, NeedsValues) as need:
                stored.keep(key, need)
                raise
            stored.keep(key, answer)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _target(self) -> str:
        """What the program is made for: programs for others are other ones."""
        return f"{host_target().name} {os.environ.get('TFGRAPH_CONV', '')}"

    def _compile(self, dims: list[Any], values: dict[int, np.ndarray], variable_dims: dict[str, Any]) -> Any:
        """The program, compiled now."""
        cpu.start_pool()
        return codegen.compile_program(self._prepared, dims, values, variable_dims)

    def _variable_dims(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the variables whose arrays are not of the shape that the graph says."""
        held = self._machine.state.variables
        return {
            op.name: held[op.name].shape
            for op in self._variables
            if op.name in held and held[op.name].shape != op.outputs[0].dims
        }

    def _give_up(self, reason: NotCompilable) -> None:
        self._compilable = False
        self._reason = str(reason)
        self._machine.tell_once(f"a run goes through the interpreter: {reason}")

    # --- for explanations and traces ------------------------------------------------------------------------

    @property
    def loaded_programs(self) -> list[LoadedProgram]:
        """The programs of all signatures so far."""
        return list(self._programs.values())

    @property
    def prepared(self) -> Any:
        """What is compiled: the pruned operations, fetches and feeds."""
        return self._prepared

    def recorded(self, arrays: Sequence[np.ndarray]) -> tuple[Any, int]:
        """A `codegen.explain.Record` of compiling the program for these feeds once more, and its N."""
        if not self._compilable:
            raise NotCompilable(self._reason)
        return self._specialised(arrays, self.record)

    def record(self, dims: list[Any], values: dict[int, np.ndarray], variable_dims: dict[str, Any]) -> Any:
        """A `codegen.explain.Record` of compiling the program of a signature once more."""
        from ..codegen.explain import recorded

        return recorded(self._prepared, dims, values, variable_dims)

    def loaded(self, arrays: Sequence[np.ndarray]) -> LoadedProgram:
        """The program that a run with these feeds calls."""
        binding = self._binding(arrays)
        assert binding is not None, "a run has just been compiled"
        return binding.loaded

    # --- the call -------------------------------------------------------------------------------------------

    def _call(self, binding: Binding, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        machine, loaded, n = self._machine, binding.loaded, binding.n
        program, step = loaded.program, loaded.step
        version = machine.reserve(program.batch_arena_bytes(n), program.fixed_bytes)
        if loaded.arena_version != version:
            loaded.arena_version = version
            step.batch, step.fixed = _address(machine.batch_arena), _address(machine.fixed_arena)
        step.N = n
        for i, array in enumerate(arrays):
            loaded.feeds[i] = _address(array)
        outputs = [np.empty(shape, dtype) for shape, dtype in binding.outputs]
        for i, array in enumerate(outputs):
            loaded.fetches[i] = _address(array)
        for i, (at, _) in enumerate(binding.draws):
            loaded.random[_WORDS_PER_RANDOM * i + 2] = at.counter & _MASK_64
        if self._checked:
            memory = loaded.memory(machine, arrays, outputs, binding)
            failed = run_checked(program, memory, partial(loaded.run, step))
        else:
            failed = loaded.run(step, 0, loaded.kernel_count)
        if failed:
            self._explain_failure(program.checks[failed - 1], arrays)
        for at, count in binding.draws:
            at.counter += count
        for name, array in binding.fresh.items():
            machine.state.adopt(name, array)
        return outputs

    def _explain_failure(self, op_name: str, arrays: Sequence[np.ndarray]) -> None:
        """Raise what the interpreter says about a run in which the check of `op_name` failed."""
        self._interpreted.run(arrays, commit=False)
        op = next((op for op in self._order if op.name == op_name), self._order[-1])
        raise at_node(InternalError, op, f"The compiled check of {op_name} failed where its reference passes")
