"""How an op is defined, once: TensorFlow's signature, its meaning, its shape rule, its gradient.

A decorator names the kind of meaning that the decorated body has:

    pointwise   body(m, x, y, ...)     one scalar expression; NumPy evaluates it, the printer writes it as C
    reduction   body(call, x, axes)    a fold over axes; `combine` says which
    view        body(call, x)          the same elements at other positions: x.permute, x.slice, x.reshape, ...
    composite   body(call, x, ...)     other ops; replaced by them when a program is compiled
    update      body(m, var, ...)      scalar expression; the results are stored into the reference arguments
    primitive   body(call, x, ...)     NumPy reference of a kernel kind that has templates of its own
    host        body(call, x, ...)     Python; runs beside the compiled step, never in it (strings, files)

The decorated name becomes an `OpDef`. Calling it with tensors adds a node to their graph (or, inside the compiler, to
the program under construction) and returns its output or outputs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import numpy as np

from . import dtypes
from .dtypes import DType
from .shapes import Dims, broadcast_dims


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()


@dataclass(frozen=True)
class OneOf:
    """An attribute that is one of a few strings."""

    allowed: tuple[str, ...]
    default: Any = REQUIRED


def one_of(*allowed: str, default: Any = REQUIRED) -> OneOf:
    return OneOf(allowed, default)


@dataclass(frozen=True)
class Arg:
    """One argument or result: `name: T`, `name: N*T`, `name: Ref(T)`, `name: int32`, `name: N*any` (mixed types)."""

    name: str
    type_attr: str | None
    dtype: DType | None
    count_attr: str | None
    is_ref: bool


_ARG = re.compile(r"^(\w+):\s*(?:(\w+)\s*\*\s*)?(Ref\()?(\w+)\)?$")


def _parse_args(text: str) -> tuple[Arg, ...]:
    args = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        match = _ARG.match(part)
        if match is None:
            raise ValueError(f"bad op signature: {part!r}")
        name, count, ref, kind = match.groups()
        known = dtypes._BY_NAME.get(kind)
        args.append(Arg(name, None if known or kind == "any" else kind, known, count, ref is not None))
    return tuple(args)


# --- kinds of meaning ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pointwise:
    """A scalar expression applied element by element to broadcast operands."""


@dataclass(frozen=True)
class Reduction:
    """A fold over axes; `combine` is one of sum, prod, max, min, all, any."""

    combine: str


@dataclass(frozen=True)
class View:
    """The same elements at other positions."""


@dataclass(frozen=True)
class Composite:
    """Other ops."""


@dataclass(frozen=True)
class Update:
    """A scalar expression whose results go into the reference arguments, in order."""


@dataclass(frozen=True)
class Primitive:
    """A kernel kind of its own, named `kernel` (file codegen/kinds/<kernel>.py)."""

    kernel: str


@dataclass(frozen=True)
class Host:
    """Runs in Python beside the compiled step."""


Kind = Pointwise | Reduction | View | Composite | Update | Primitive | Host


@dataclass(frozen=True, eq=False)
class OpDef:
    """The definition of one op type. See the module's docstring."""

    type: str
    inputs: tuple[Arg, ...]
    outputs: tuple[Arg, ...]
    attrs: Mapping[str, Any]
    kind: Kind
    body: Callable[..., Any]
    shape: Callable[[Call], Sequence[Dims | None]]
    static: frozenset[str] = frozenset()
    effect: str | None = None
    gradients: list[Callable[..., Any]] = field(default_factory=list)

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return self.body.__doc__

    def gradient(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Decorator: `rule(op, *output_gradients)` returns one tensor or None per input.

        `op` is the forward Operation (`.inputs`, `.outputs`, `.attr(name)`); the rule builds ordinary ops.
        """
        self.gradients.append(rule)
        return rule

    @property
    def gradient_rule(self) -> Callable[..., Any] | None:
        return self.gradients[-1] if self.gradients else None

    @property
    def is_pure(self) -> bool:
        """True if equal calls give equal results and nothing else happens: such nodes may be merged and folded."""
        return self.effect is None

    def position(self, name: str, attrs: Mapping[str, Any]) -> int:
        """Where argument `name` stands among the flat inputs of a call with these attributes."""
        before = takewhile(lambda arg: arg.name != name, self.inputs)
        return sum(1 if arg.count_attr is None else attrs[arg.count_attr] for arg in before)

    def __call__(self, *inputs: Any, name: str | None = None, **attrs: Any) -> Any:
        """Add a node; returns its output, its outputs as a tuple, or the Operation if it has none."""
        operation = build(self, inputs, attrs, name)
        if not self.outputs:
            return operation
        if len(self.outputs) == 1 and self.outputs[0].count_attr is None:
            return operation.outputs[0]
        return tuple(operation.outputs)

    def __repr__(self) -> str:
        return f"<op {self.type}>"


REGISTRY: dict[str, OpDef] = {}


def opdef(type_name: str) -> OpDef | None:
    """The definition of an op type, or None."""
    return REGISTRY.get(type_name)


# --- a call, as rules see it --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Array:
    """A NumPy array dressed as an input of a Call (the reference interpreter's)."""

    array: np.ndarray

    @property
    def dims(self) -> Dims:
        return self.array.shape

    @property
    def dtype(self) -> DType:
        return dtypes.as_dtype(self.array.dtype)

    def known(self) -> np.ndarray:
        return self.array


class Call:
    """One call of an op: shapes, dtypes, static values and attributes by name.

    The same rule runs at construction (unknown dimensions are None), in the compiler (`Batch` dimensions) and in the
    reference interpreter (arrays).
    """

    __slots__ = ("attrs", "inputs", "op")

    def __init__(self, op: OpDef, inputs: Sequence[Any], attrs: Mapping[str, Any]) -> None:
        self.op = op
        self.attrs = attrs
        self.inputs: dict[str, Any] = {}
        position = 0
        for arg in op.inputs:
            if arg.count_attr is None:
                self.inputs[arg.name] = inputs[position]
                position += 1
            else:
                count = attrs[arg.count_attr]
                self.inputs[arg.name] = list(inputs[position : position + count])
                position += count

    def attr(self, name: str) -> Any:
        return self.attrs[name]

    def shape(self, name: str) -> Any:
        """The dimensions of an argument (a list of them for a list argument); None if the rank is unknown."""
        value = self.inputs[name]
        return [v.dims for v in value] if isinstance(value, list) else value.dims

    def rank(self, name: str) -> int | None:
        dims = self.inputs[name].dims
        return None if dims is None else len(dims)

    def dtype(self, name: str) -> DType:
        value = self.inputs[name]
        return (value[0] if isinstance(value, list) else value).dtype.base_dtype

    def value(self, name: str) -> np.ndarray | None:
        """The value of an argument if it is known now. Elements may be None or Batch (dtype object)."""
        return self.inputs[name].known()

    def static(self, name: str) -> np.ndarray:
        """The value of a static argument, where it must be known (compiler and interpreter)."""
        value = self.inputs[name].known()
        if value is None:
            raise LookupError(f"argument {name!r} of {self.op.type} has no static value")
        return value

    def ints(self, name: str) -> tuple[Any, ...] | None:
        """A static integer argument as a tuple (elements int, None or Batch), None if unknown."""
        value = self.value(name)
        if value is None:
            return None
        return tuple(int(v) if isinstance(v, (int, np.integer)) else v for v in np.atleast_1d(value).tolist())


# --- building -----------------------------------------------------------------------------------------------------

_default_builder: list[Callable[[], Any]] = []


def set_default_builder(provider: Callable[[], Any]) -> None:
    """Called once by the graph module: who builds when no input says so."""
    _default_builder[:] = [provider]


def builder_of(inputs: Iterable[Any]) -> Any:
    """The graph or program that the tensors among `inputs` belong to, else the default graph."""
    for value in inputs:
        if isinstance(value, (list, tuple)):
            value = next((v for v in value if hasattr(v, "builder")), None)
        if hasattr(value, "builder"):
            return value.builder
    return _default_builder[0]()


def build(op: OpDef, inputs: Sequence[Any], attrs: Mapping[str, Any], name: str | None) -> Any:
    """Add a call of `op` with `inputs` (tensors, arrays or Python values; lists for list arguments)."""
    return builder_of(inputs).build(op, inputs, attrs, name)


# --- decorators ---------------------------------------------------------------------------------------------------

ShapeRule = Callable[[Call], Sequence[Dims | None]]


def same(call: Call) -> list[Dims | None]:
    """Shape rule: every result has the shape of the first argument."""
    first = next(iter(call.inputs.values()))
    return [(first[0] if isinstance(first, list) else first).dims] * max(1, len(call.op.outputs))


def broadcast(call: Call) -> list[Dims | None]:
    """Shape rule: every result has the shape that all arguments broadcast to."""
    dims: Dims | None = ()
    for value in call.inputs.values():
        dims = broadcast_dims(dims, value.dims)
    return [dims] * len(call.op.outputs)


def scalar(call: Call) -> list[Dims | None]:
    """Shape rule: every result is a scalar."""
    return [()] * len(call.op.outputs)


def unknown(call: Call) -> list[Dims | None]:
    """Shape rule: nothing is known before the run."""
    return [None] * len(call.op.outputs)


def define(
    type_name: str,
    signature: str,
    kind: Kind,
    body: Callable[..., Any],
    shape: ShapeRule,
    /,
    static: Iterable[str] = (),
    effect: str | None = None,
    **attrs: Any,
) -> OpDef:
    """Register an op. `signature` is "x: T, y: T -> z: T"; keyword arguments are attributes: a tuple of DTypes (the
    allowed types of a type attribute), `one_of(...)`, REQUIRED or a default value."""
    left, _, right = signature.partition("->")
    op = OpDef(
        type=type_name,
        inputs=_parse_args(left),
        outputs=_parse_args(right),
        attrs=attrs,
        kind=kind,
        body=body,
        shape=shape,
        static=frozenset(static),
        effect=effect,
    )
    if type_name in REGISTRY:
        raise ValueError(f"op {type_name} is defined twice")
    REGISTRY[type_name] = op
    return op


def _rule(by_position: tuple[ShapeRule, ...], options: dict[str, Any], default: ShapeRule | None) -> ShapeRule:
    """The shape rule: the last positional argument (then `shape` may be an attribute of the op), else `shape`."""
    rule = by_position[0] if by_position else options.pop("shape", default)
    if rule is None:
        raise ValueError("an op of this kind needs a shape rule")
    return rule


def _decorator(kind: Kind, default_shape: ShapeRule | None) -> Callable[..., Callable[[Callable[..., Any]], OpDef]]:
    def decorate(type_name: str, signature: str, *rule: ShapeRule, **options: Any) -> Callable[[Callable[..., Any]], OpDef]:
        shape = _rule(rule, options, default_shape)
        return lambda body: define(type_name, signature, kind, body, shape, **options)

    return decorate


pointwise = _decorator(Pointwise(), broadcast)
view = _decorator(View(), None)
composite = _decorator(Composite(), None)
update = _decorator(Update(), same)
host = _decorator(Host(), None)


def reduction(type_name: str, signature: str, combine: str, shape: ShapeRule, **options: Any) -> Any:
    """Decorator: a fold over the axes given by the static second argument."""
    return lambda body: define(type_name, signature, Reduction(combine), body, shape, **options)


def primitive(type_name: str, signature: str, kernel: str, *rule: ShapeRule, **options: Any) -> Any:
    """Decorator: an op with a kernel kind of its own."""
    shape = _rule(rule, options, None)
    return lambda body: define(type_name, signature, Primitive(kernel), body, shape, **options)
