"""The variables of a session on its device: copied there when a step first needs them, brought back when somebody looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..memory import State, aligned_empty
from .gpu import Block, Gpu


class DeviceVariables:
    """Copies of a `State`'s arrays in device memory; see `memory.Elsewhere`."""

    def __init__(self, gpu: Gpu, state: State) -> None:
        self._gpu = gpu
        self._state = state
        self._blocks: dict[str, Block] = {}
        self._current: set[str] = set()  # those whose copy is no older than the array
        self._newer: set[str] = set()  # those whose copy is newer than the array
        self._first: dict[str, np.ndarray] = {}  # the arrays of those that a step is about to give their first value
        self.version = 0  # changes when a copy is elsewhere, or an array is a new one

    # --- for the state ------------------------------------------------------------------------------------------------

    def bring_back(self) -> None:
        if self._newer:
            driver, stream = self._gpu.driver, self._gpu.stream
            with driver.use(self._gpu.number):
                names, self._newer = sorted(self._newer), set()
                for name in names:
                    array = self._state.arrays[name]
                    if array.nbytes:
                        driver.copy_out(array, self._blocks[name].address, stream)
                driver.synchronise(stream)

    def forget(self, name: str | None = None) -> None:
        if name is None:
            self._current.clear()
        else:
            self._current.discard(name)
            self._first.pop(name, None)
            self.version += 1

    # --- for steps ----------------------------------------------------------------------------------------------------

    def addresses(self, slots: Sequence[Any]) -> list[int] | None:
        """Where the program's variables are; None if it would read one that has no value."""
        arrays = self._state.arrays
        if any(slot.op_name not in arrays and slot.read_by is not None for slot in slots):
            return None
        return [self._address(slot) for slot in slots]

    def _address(self, slot: Any) -> int:
        name, dims = slot.op_name, tuple(slot.dims)
        block = self._blocks.setdefault(name, Block(self._gpu, f"the variable {name}"))
        array = self._state.arrays.get(name)
        if array is None or array.shape != dims:
            self.bring_back()  # the copy of what it was is about to be overwritten
            self._current.discard(name)
            array = self._first.get(name)
            if array is None or array.shape != dims:
                array = self._first[name] = aligned_empty(dims, slot.dtype.as_numpy_dtype)
        if block.grow(array.nbytes):
            self._current.discard(name)
            self.version += 1
        return block.address

    def upload(self, slots: Sequence[Any]) -> None:
        """Copy to the device what has changed on the host."""
        for slot in slots:
            name = slot.op_name
            if name not in self._current and name not in self._first:
                array = self._state.arrays[name]
                if array.nbytes:
                    self._gpu.driver.copy_in(self._blocks[name].address, np.ascontiguousarray(array), self._gpu.stream)
                self._current.add(name)

    def written(self, slots: Sequence[Any]) -> None:
        """A step has written these variables on the device."""
        names = [slot.op_name for slot in slots if slot.written]
        for name in names:
            if name in self._first:
                self._state.arrays[name] = self._first.pop(name)
                self._state.array_version += 1
        self._current.update(names)
        self._newer.update(names)
