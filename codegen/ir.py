"""The compiler's data: nodes and values of a program under construction, then groups, kernels, buffers, the program.

Everything that crosses a stage boundary is frozen. A `Node` is one op call with concrete shapes; order in `Roots.nodes`
is execution order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..dtypes import DType
from ..opdef import OpDef
from ..operators import Operators
from ..shapes import Dims
from ..values import known
from .emitted import Joined, Launch, Shared

_UNKNOWN: Any = object()


class Value(Operators):
    """One output of a Node. Its dimensions are ints and `Batch` multiples, never unknown."""

    __slots__ = ("_known", "dims", "dtype", "op", "value_index")

    def __init__(self, node: Node, index: int, dtype: DType, dims: Dims) -> None:
        self.op = node
        self.value_index = index
        self.dtype = dtype
        self.dims = dims
        self._known: Any = _UNKNOWN

    @property
    def node(self) -> Node:
        return self.op

    @property
    def builder(self) -> Any:
        from .rewrite import active_builder

        return active_builder()

    def known(self) -> np.ndarray | None:
        """The value if it is a constant or follows from shapes (elements may be Batch)."""
        if self._known is _UNKNOWN:
            self._known = known(self)
        return self._known

    def __repr__(self) -> str:
        return f"%{self.op.id}.{self.value_index}:{self.dtype.name}{list(self.dims)}"


class Node:
    """One op call: definition, inputs, attributes; `label` is the user's node name, `origin` the user's op."""

    __slots__ = ("attrs", "id", "inputs", "label", "opdef", "origin", "outputs")

    def __init__(
        self, number: int, opdef: OpDef, inputs: tuple[Value, ...], attrs: Mapping[str, Any], label: str, origin: Any
    ) -> None:
        self.id = number
        self.opdef = opdef
        self.inputs = inputs
        self.attrs = attrs
        self.label = label
        self.origin = origin
        self.outputs: tuple[Value, ...] = ()

    @property
    def type(self) -> str:
        return self.opdef.type

    @property
    def kind(self) -> Any:
        return self.opdef.kind

    @property
    def is_setting(self) -> bool:
        """True for a constant whose value must not show in the code (tfgraph.convert.setting)."""
        return "setting" in self.attrs

    def attr(self, name: str) -> Any:
        return self.attrs[name]

    def argument(self, name: str) -> Value:
        """The input bound to a (non-list) argument."""
        position = 0
        for arg in self.opdef.inputs:
            if arg.name == name:
                return self.inputs[position]
            position += 1 if arg.count_attr is None else self.attrs[arg.count_attr]
        raise KeyError(name)

    def static_int(self, name: str) -> int:
        """The value of a static argument that is one number, such as an axis."""
        value = self.argument(name).known()
        assert value is not None, "settle_static has made it a constant"
        return int(value)

    def data_inputs(self) -> tuple[Value, ...]:
        """The inputs without the static ones, whose values are already part of the code."""
        if not self.opdef.static:
            return self.inputs
        flat: list[Value] = []
        position = 0
        for arg in self.opdef.inputs:
            count = 1 if arg.count_attr is None else self.attrs[arg.count_attr]
            if arg.name not in self.opdef.static:
                flat += self.inputs[position : position + count]
            position += count
        return tuple(flat)

    def __repr__(self) -> str:
        outs = ", ".join(repr(o) for o in self.outputs)
        ins = ", ".join(f"%{i.op.id}.{i.value_index}" for i in self.inputs)
        return f"{outs} = {self.type}({ins})  # {self.label}"


@dataclass(frozen=True)
class Roots:
    """A program as a graph: everything `fetches` and `effects` need, in execution order."""

    nodes: tuple[Node, ...]
    fetches: tuple[Value, ...]
    effects: tuple[Node, ...]  # writes and checks, in order


@dataclass(frozen=True)
class Size:
    """A number of bytes or elements: `per_batch` * N + `fixed`."""

    per_batch: int = 0
    fixed: int = 0


@dataclass(frozen=True)
class Refusal:
    """Why the kernel of `producer` does not run the node `consumer` too."""

    producer: Node
    consumer: Node
    reason: str

    def __str__(self) -> str:
        return f"{self.producer.label} -> {self.consumer.label}: {self.reason}"


@dataclass(frozen=True, eq=False)
class Group:
    """Nodes that become one kernel. `kind` names the file of codegen/kinds that writes it."""

    kind: str
    nodes: tuple[Node, ...]
    domain: Dims  # the iteration space of element-level nodes
    anchor: Node | None = None  # the reduction or primitive that the others are fused to
    axes: tuple[int, ...] = ()  # reduced axes of the domain
    refusals: tuple[Refusal, ...] = ()  # why the kernels that these nodes read from are not this one
    hoisted: tuple[Node, ...] = ()  # of `nodes`: single numbers, computed before the loops by each kernel that needs them
    drawn: tuple[Node, ...] = ()  # of `nodes`: random numbers, made by each kernel that needs them
    beside: tuple[Node, ...] = ()  # of `nodes`: the sums of the columns of what the anchor loads, and what follows


@dataclass(frozen=True)
class Buffer:
    """Where a value lives while a step runs."""

    storage: str  # batch | fixed | feed | fetch | variable | constant
    index: int  # offset (per sample, or bytes) for arenas, position in its table otherwise
    ctype: str
    rest: int = 0  # batch arena: bytes on top of the offset

    def address(self) -> str:
        """The C expression of the first element's address."""
        return {
            "batch": f"s->batch + {self.index} * N" + (f" + {self.rest}" if self.rest else ""),
            "fixed": f"s->fixed + {self.index}",
            "feed": f"s->feeds[{self.index}]",
            "fetch": f"s->fetches[{self.index}]",
            "variable": f"s->variables[{self.index}]",
            "constant": f"s->constants[{self.index}]",
        }[self.storage]


@dataclass(frozen=True, eq=False)
class Kernel:
    """A group with its place in the order, its text and the values it reads and writes."""

    index: int
    name: str
    group: Group
    reads: tuple[Value, ...]
    writes: tuple[Value, ...]


@dataclass(frozen=True)
class Plan:
    """Where every materialised value lives, and how much memory that takes."""

    buffers: Mapping[Value, Buffer]
    batch_bytes: int  # per sample
    fixed_bytes: int
    scratch: Mapping[int, Buffer]  # kernel index -> scratch
    batch_rest: int = 0  # bytes of the batch arena on top of those per sample


@dataclass(frozen=True)
class VariableSlot:
    """One variable of a program: whose, and whether it must hold a value before the step."""

    op_name: str
    dtype: DType
    dims: tuple[int, ...]
    read_by: str | None  # name of the op that reads it before any write of this program
    written: bool


@dataclass(frozen=True)
class RandomSlot:
    """One random op of a program: its seeds' owner and how many counters a run reserves (per sample, fixed)."""

    op_name: str
    seed: int
    seed2: int
    reserved: Size


@dataclass(frozen=True)
class FetchSlot:
    """One fetched value."""

    dtype: DType
    dims: Dims


@dataclass(frozen=True)
class Parts:
    """The texts that a program's source is assembled from, for callers that put several programs into one file."""

    kernels: tuple[str, ...]
    launches: tuple[tuple[int, Launch], ...]  # each with the number of its kernel
    shared: tuple[Shared, ...]
    random: frozenset[str]
    joined: tuple[Joined, ...] = ()  # kernels that a whole step runs together

    def whole_step(self) -> tuple[Launch, ...]:
        """The launches of a step that runs all kernels."""
        together = {i: joined for joined in self.joined for i in range(joined.first, joined.last + 1)}
        found: list[Launch] = []
        for kernel, launch in self.launches:
            joined = together.get(kernel)
            if joined is None:
                found.append(launch)
            elif joined.launches[0] not in found:
                found += joined.launches
        return tuple(found)


@dataclass(frozen=True)
class Program:
    """Compiled text and everything a runtime needs to call it."""

    source: str
    feeds: tuple[FetchSlot, ...]
    fetches: tuple[FetchSlot, ...]
    variables: tuple[VariableSlot, ...]
    constants: tuple[np.ndarray, ...]
    randoms: tuple[RandomSlot, ...]
    batch_bytes: int
    fixed_bytes: int
    kernels: tuple[Kernel, ...] = field(repr=False)
    plan: Plan = field(repr=False)
    kernel_count: int = 0
    checks: tuple[str, ...] = ()  # op names by the index that tg_fail reports
    math: frozenset[str] = frozenset()
    parts: Parts | None = field(default=None, repr=False)  # None for a program that was found on the disk
    batch_rest: int = 0

    def batch_arena_bytes(self, n: int) -> int:
        """How large the batch arena is at batch size `n`."""
        return self.batch_bytes * n + self.batch_rest
