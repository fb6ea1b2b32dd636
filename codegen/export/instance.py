"""What an instance of the model holds: its variables and the states of its random operations, as members of one struct."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...dtypes import DType
from ...philox import DEFAULT_GRAPH_SEED
from ..ir import Program, RandomSlot, VariableSlot
from ..scalar import c_type
from .names import Identifiers

SEED_MODULUS = 2**31 - 1
"""TensorFlow's: seeds are taken modulo this, which itself stands for the pair (0, 0)."""

# the members that every instance has
_MEMBERS = (
    "kernels", "allocation", "arena", "arena_allocation", "arena_bytes", "grows", "pool", "threads", "failed_check",
    "initialized", "random",
)  # fmt: skip


@dataclass(frozen=True)
class Variable:
    """A variable as a member of the instance."""

    op_name: str
    dtype: DType
    dims: tuple[int, ...]
    member: str

    @property
    def c_type(self) -> str:
        return c_type(self.dtype)

    @property
    def elements(self) -> int:
        return math.prod(self.dims)

    @property
    def length(self) -> int:
        """Elements of the C array, which may not have none."""
        return max(1, self.elements)

    @property
    def shape(self) -> str:
        return f"[{', '.join(map(str, self.dims))}]"


@dataclass(frozen=True)
class Random:
    """A random operation: its key under the graph's own seed, and what is `seed2` under another one."""

    op_name: str
    seed: int
    seed2: int
    own_seed2: int


@dataclass(frozen=True)
class Fill:
    """A variable that starts as one number everywhere; the library writes it without a kernel."""

    op_name: str
    dtype: DType
    dims: tuple[int, ...]
    value: np.generic

    @property
    def bits(self) -> int:
        """The bytes of an element as a number."""
        return int.from_bytes(self.value.tobytes(), sys.byteorder)


@dataclass(frozen=True)
class Instance:
    """Variables and random operations in the order of their tables."""

    variables: tuple[Variable, ...]
    randoms: tuple[Random, ...]

    def variable(self, op_name: str) -> int:
        """The number of a variable."""
        return next(i for i, v in enumerate(self.variables) if v.op_name == op_name)

    def random(self, op_name: str) -> int:
        """The number of a random operation."""
        return next(i for i, r in enumerate(self.randoms) if r.op_name == op_name)


def instance_of(programs: Iterable[Program], fills: Iterable[Fill], graph: Any) -> Instance:
    """The state that these programs share."""
    slots: dict[str, VariableSlot | Fill] = {}
    randoms: dict[str, RandomSlot] = {}
    for program in programs:
        for slot in program.variables:
            slots.setdefault(slot.op_name, slot)
        for draw in program.randoms:
            randoms.setdefault(draw.op_name, draw)
    for fill in fills:
        slots.setdefault(fill.op_name, fill)
    names = Identifiers(_MEMBERS)
    variables = tuple(Variable(s.op_name, s.dtype, tuple(s.dims), names.unique(s.op_name)) for s in slots.values())
    return Instance(variables, _randoms(tuple(randoms.values()), graph))


def _randoms(slots: Sequence[RandomSlot], graph: Any) -> tuple[Random, ...]:
    """Operations without any seed get the numbers that they have under a graph seed set before they were made."""
    unseeded = [op.name for op in graph.get_operations() if _is_unseeded(op)]
    place = {name: i for i, name in enumerate(unseeded)}
    found = []
    for slot in slots:
        if (slot.seed, slot.seed2) == (0, 0):
            own = place.get(slot.op_name, 0) % SEED_MODULUS
            found.append(Random(slot.op_name, DEFAULT_GRAPH_SEED, own, own))
        else:
            own = 0 if slot.seed2 == SEED_MODULUS else slot.seed2
            found.append(Random(slot.op_name, _unsigned(slot.seed), _unsigned(slot.seed2), _unsigned(own)))
    return tuple(found)


def _is_unseeded(op: Any) -> bool:
    return op.opdef.effect == "random" and (int(op.attrs.get("seed", 0)), int(op.attrs.get("seed2", 0))) == (0, 0)


def _unsigned(seed: int) -> int:
    return seed % 2**64
