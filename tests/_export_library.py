"""Exported libraries called through ctypes, with NumPy arrays in and out."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ALIGNMENT = 64


class Library:
    """A shared library and its MODEL.json."""

    def __init__(self, folder: Path) -> None:
        (record,) = folder.glob("*.json")
        self.record = json.loads(record.read_text())
        self.prefix = self.record["prefix"]
        self.path = folder / f"lib{self.prefix}.so"
        self.c = ctypes.CDLL(str(self.path))
        header = (folder / f"{self.prefix}.h").read_text()
        words = [line.split(" = ") for line in header.splitlines() if line.startswith(f"    {self.prefix.upper()}_")]
        self.codes = {
            name.strip().removeprefix(f"{self.prefix.upper()}_"): int(value.split()[0].strip(",")) for name, value in words
        }
        for name in ("isa", "error_string", "failed_check"):
            self.function(name).restype = ctypes.c_char_p
        for name in ("instance_bytes", "arena_bytes"):
            self.function(name).restype = ctypes.c_int64
        self.function("create").restype = ctypes.c_void_p

    def function(self, name: str) -> Any:
        return getattr(self.c, f"{self.prefix}_{name}")

    def status(self, code: int) -> str:
        """The name of a status code."""
        return next(name for name, number in self.codes.items() if number == code)

    def create(self) -> Instance:
        return Instance(self, ctypes.c_void_p(self.function("create")()))

    def create_in(self, memory: int | None, size: int, batch: int) -> tuple[str, Instance]:
        """The status of making an instance at an address, and the instance."""
        model = ctypes.c_void_p()
        where = ctypes.c_void_p(memory)
        code = self.function("create_in")(ctypes.byref(model), where, ctypes.c_int64(size), ctypes.c_int64(batch))
        return self.status(code), Instance(self, model)

    def arena_bytes(self, batch: int) -> int:
        return int(self.function("arena_bytes")(ctypes.c_int64(batch)))


class Instance:
    """An instance of a model; every method returns the name of the status."""

    def __init__(self, library: Library, model: ctypes.c_void_p) -> None:
        self.library, self.model = library, model

    def initialize(self, seed: int = 0) -> str:
        return self._told("initialize", ctypes.c_uint64(seed))

    def set_threads(self, threads: int) -> str:
        return self._told("set_threads", ctypes.c_int32(threads))

    def save(self, path: Path) -> str:
        return self._told("save", str(path).encode())

    def load(self, path: Path) -> str:
        return self._told("load", str(path).encode())

    def load_weights(self, path: Path) -> str:
        return self._told("load_weights", str(path).encode())

    def destroy(self) -> None:
        self.library.function("destroy")(self.model)

    def failed_check(self) -> str:
        return str(self.library.function("failed_check")(self.model).decode())

    def call(self, name: str, batch: int, *values: Any) -> tuple[str, list[np.ndarray]]:
        """The status and the outputs of a function of the model."""
        described = self.library.record["functions"][name]
        outputs = [np.zeros(_shape(o["shape"], max(batch, 0)), o["dtype"]) for o in described["outputs"]]
        arguments = [argument(described, value) for described, value in zip(described["arguments"], values, strict=True)]
        code = self._call(name, ctypes.c_int64(batch), *arguments, *(pointer(o) for o in outputs))
        return self.library.status(code), outputs

    def results(self, name: str, batch: int, *values: Any) -> list[np.ndarray]:
        """The outputs of a call that must succeed."""
        status, outputs = self.call(name, batch, *values)
        assert status == "OK"
        return outputs

    def _told(self, name: str, *arguments: Any) -> str:
        return self.library.status(self._call(name, *arguments))

    def _call(self, name: str, *arguments: Any) -> int:
        return int(self.library.function(name)(self.model, *arguments))


def aligned(size: int) -> tuple[np.ndarray, int]:
    """Memory of `size` bytes that is full of ones, and its address, a multiple of 64."""
    memory = np.full(size + ALIGNMENT, 0xFF, np.uint8)
    return memory, memory.ctypes.data + -memory.ctypes.data % ALIGNMENT


def _shape(shape: Sequence[Any], batch: int) -> tuple[int, ...]:
    return tuple(batch if size == "batch" else size for size in shape)


def argument(described: Any, value: Any) -> Any:
    """A value as the C type of an argument that MODEL.json describes."""
    array = np.ascontiguousarray(value, described["dtype"])
    if described["by_value"]:
        kind: Any = np.ctypeslib.as_ctypes_type(array.dtype)
        return kind(array.reshape(-1)[0].item())
    return pointer(array)


def pointer(array: np.ndarray) -> Any:
    """The address of an array, which it keeps alive."""
    pointer = ctypes.c_void_p(array.ctypes.data)
    pointer._kept = array  # type: ignore[attr-defined]  # as long as the call lasts
    return pointer
