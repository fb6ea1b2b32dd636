"""From the attributes of a NodeDef to those of an op here: read, checked against the op's definition, completed.

Files come from strangers: what an attribute says is checked before anything is made from it. What is wrong is a ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .dtypes import DType, as_dtype, string
from .opdef import REQUIRED, OneOf, OpDef
from .shapes import TensorShape

MOST_DIMENSIONS = 32  # of a NumPy array
LARGEST_TENSOR = 1 << 31  # bytes
MOST_REPEATED = 1 << 28  # bytes that a few values in a file may be repeated to

# attributes that ops here do not have, and the one value with which they change nothing
_WITHOUT_EFFECT: dict[str, Any] = {
    "Truncate": False,
    "explicit_paddings": [],
    "exponential_avg_factor": 1.0,
    "bad_indices_policy": "",
    "index_type": as_dtype("int32"),
    "incompatible_shape_error": True,
    "multiply_linear_by_lr": False,
    "Tk": as_dtype("int32"),
    "Tlen": as_dtype("int32"),
    "shape_type": as_dtype("int32"),
    "debug_name": "",
    "allowed_devices": [],
}

# what an attribute without a default must be; a list is one of integers
_NEEDED: dict[str, type] = {
    "value": np.ndarray, "shape": TensorShape, "ksize": list, "strides": list, "block_size": int, "k": int
}  # fmt: skip

# notes on where an op came from
_NOTES = frozenset(("grad_a", "grad_b", "grad_x", "grad_y"))

# (op, attribute): the types of a mixed list, whose number this package keeps as N
_TYPE_LISTS = frozenset((("Assert", "T"), ("Print", "U"), ("SaveV2", "dtypes"), ("RestoreV2", "dtypes")))


def attributes_of(op: OpDef, message: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The attributes of a call of `op`; `where` names the node in errors."""
    arguments = (*op.inputs, *op.outputs)
    types = {arg.type_attr for arg in arguments if arg.type_attr}
    counts = {arg.count_attr for arg in arguments if arg.count_attr}
    found: dict[str, Any] = {}
    for name in sorted(message):
        if name.startswith("_") or (name in _NOTES and name not in op.attrs):
            continue
        value = _value(message[name], f"attribute {name!r} of {where}")
        if (op.type, name) in _TYPE_LISTS:
            if not isinstance(value, list):
                raise ValueError(f"{where}: {name} is {value!r}, where a list of types is needed")
            found["N"] = len(value)
            types_listed = [_dtype(one, name, where) for one in value]
            if name in op.attrs:
                found[name] = types_listed
        elif name in op.attrs:
            found[name] = _checked(op, name, value, where)
        elif name in types:
            found[name] = _dtype(value, name, where)
        elif name in counts:
            found[name] = _count(value, name, where)
        elif name not in _WITHOUT_EFFECT or value != _WITHOUT_EFFECT[name]:
            raise ValueError(f"{where}: {op.type} with {name}={value!r} is not implemented here")
    for name, spec in op.attrs.items():
        if name not in found:
            found[name] = _default(spec, name, where)
    missing = sorted((types | counts) - set(found))
    if missing:
        raise ValueError(f"{where}: {op.type} needs the attribute {missing[0]!r}")
    return found


def _default(spec: Any, name: str, where: str) -> Any:
    value = spec.default if isinstance(spec, OneOf) else spec
    if value is REQUIRED or (isinstance(value, tuple) and value and isinstance(value[0], DType)):
        raise ValueError(f"{where}: needs the attribute {name!r}")
    return value


def _checked(op: OpDef, name: str, value: Any, where: str) -> Any:
    """`value` if it is one that the definition of the attribute allows."""
    spec = op.attrs[name]
    if isinstance(spec, OneOf):
        if value not in spec.allowed:
            raise ValueError(f"{where}: {name} is {value!r}, not one of {', '.join(spec.allowed)}")
        return value
    if isinstance(spec, tuple) and spec and isinstance(spec[0], DType):
        dtype = _dtype(value, name, where)
        if dtype not in spec:
            allowed = ", ".join(one.name for one in spec)
            raise ValueError(f"{where}: {op.type} has no form with {name}={dtype.name}; it takes {allowed}")
        return dtype
    wanted = _NEEDED.get(name, object) if spec is REQUIRED else list if isinstance(spec, tuple) else type(spec)
    if isinstance(value, list) and not all(isinstance(item, int) for item in value):
        raise ValueError(f"{where}: {name} is {value!r}, where {op.type} takes integers")
    if isinstance(value, wanted) or (wanted is float and isinstance(value, int)):
        return value
    raise ValueError(f"{where}: {name} is {value!r}, a {type(value).__name__}, where {op.type} takes {wanted.__name__}")


def _dtype(value: Any, name: str, where: str) -> DType:
    if not isinstance(value, DType):
        raise ValueError(f"{where}: {name} is {value!r}, where a type is needed")
    return value


def _count(value: Any, name: str, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1 << 20:
        raise ValueError(f"{where}: {name} is {value!r}, where a number of operands is needed")
    return value


# --- values of messages ----------------------------------------------------------------------------------------------------


def _value(message: Any, where: str) -> Any:
    """A Python value for an AttrValue."""
    kind = message.WhichOneof("value")
    if kind is None:
        raise ValueError(f"{where} has no value")
    if kind == "list":
        for field in ("s", "i", "f", "b", "type", "shape", "tensor"):
            values = getattr(message.list, field)
            if values:
                return [_scalar(field, value, where) for value in values]
        return []
    return _scalar(kind, getattr(message, kind), where)


def _scalar(kind: str, value: Any, where: str) -> Any:
    if kind == "s":
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    if kind == "i":
        return int(value)
    if kind == "f":
        return float(value)
    if kind == "b":
        return bool(value)
    if kind == "type":
        return dtype_of(value, where)
    if kind == "shape":
        return shape_of(value, where)
    if kind == "tensor":
        return array_of(value, where)
    raise ValueError(f"{where}: attributes that are functions are not implemented here")


def dtype_of(number: int, where: str) -> DType:
    """The type with this number in TensorFlow's enum DataType."""
    try:
        return as_dtype(number % 100 if number > 100 else number)
    except (TypeError, ValueError):
        raise ValueError(f"{where}: type {number} of TensorFlow's enum DataType is not implemented here") from None


def shape_of(message: Any, where: str) -> TensorShape:
    """The shape that a TensorShapeProto says."""
    if message.unknown_rank:
        return TensorShape(None)
    if len(message.dim) > MOST_DIMENSIONS:
        raise ValueError(f"{where}: a shape of {len(message.dim)} dimensions")
    sizes = [int(dim.size) for dim in message.dim]
    if any(size < -1 for size in sizes):
        raise ValueError(f"{where}: a shape with the sizes {sizes}")
    return TensorShape([None if size == -1 else size for size in sizes])


# the field of a TensorProto that has the values one by one
_FIELDS = {
    "float16": "half_val", "float32": "float_val", "float64": "double_val", "int8": "int_val", "int16": "int_val",
    "int32": "int_val", "int64": "int64_val", "uint8": "int_val", "uint16": "int_val", "uint32": "uint32_val",
    "uint64": "uint64_val", "bool": "bool_val", "string": "string_val",
}  # fmt: skip


def array_of(message: Any, where: str) -> np.ndarray:
    """The array that a TensorProto holds. Its size is checked before memory is taken for it."""
    dtype, shape = dtype_of(message.dtype, where), shape_of(message.tensor_shape, where)
    if not shape.is_fully_defined():
        raise ValueError(f"{where}: a tensor of the shape {shape}, which is not fully known")
    sizes = [int(size) for size in shape.as_list()]  # type: ignore[arg-type]
    kind = np.dtype(dtype.as_numpy_dtype)
    count = math.prod(sizes)
    if count * max(kind.itemsize, 1) > LARGEST_TENSOR:
        raise ValueError(f"{where}: a tensor of {count} elements is too large")
    values = getattr(message, _FIELDS[dtype.name])
    if message.tensor_content and dtype != string:
        if len(message.tensor_content) != count * kind.itemsize:
            raise ValueError(
                f"{where}: {len(message.tensor_content)} bytes for {count} elements of {dtype.name} in the shape {shape}"
            )
        return np.frombuffer(message.tensor_content, kind.newbyteorder("<")).astype(kind).reshape(sizes)
    if len(values) > count:
        raise ValueError(f"{where}: {len(values)} values for a tensor of {count} elements")
    if count * max(kind.itemsize, 1) > max(MOST_REPEATED, 64 * len(values)):
        raise ValueError(f"{where}: {len(values)} values for a tensor of {count} elements, which is too large for that")
    return _filled(values, dtype, kind, count).reshape(sizes)


def _filled(values: Any, dtype: DType, kind: np.dtype, count: int) -> np.ndarray:
    """`count` elements: the values, and then the last one again and again (zeros where there is none)."""
    if dtype == string:
        flat = np.empty(count, object)
        flat[:] = values[-1] if values else b""
    elif dtype.name == "float16":
        bits = np.array([value & 0xFFFF for value in values], np.uint16).view(np.float16)
        flat = np.full(count, bits[-1] if len(bits) else 0, kind)
        flat[: len(bits)] = bits
        return flat
    else:
        flat = np.full(count, kind.type(values[-1]) if values else 0, kind)
    for i, value in enumerate(values):
        flat[i] = value
    return flat
