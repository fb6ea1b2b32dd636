"""From what a caller passed to an op to flat inputs and complete attributes, with TensorFlow's type errors.

Both builders, the user's graph and the compiler's, go through `bind`; they differ in how a Python value becomes a
constant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

from .dtypes import DType, as_dtype, int32
from .opdef import REQUIRED, Arg, OneOf, OpDef

# convert(value, dtype or None, argument name, as_ref) -> tensor
Converter = Callable[[Any, DType | None, str, bool], Any]


def bind(op: OpDef, inputs: Sequence[Any], attrs: Mapping[str, Any], convert: Converter) -> tuple[list[Any], dict[str, Any]]:
    """The flat tensor inputs and the full attribute dictionary of a call; TypeError or ValueError as TensorFlow's."""
    if len(inputs) != len(op.inputs):
        raise TypeError(f"{op.type} takes {len(op.inputs)} inputs, got {len(inputs)}")
    bound = _attributes(op, attrs)
    flat: list[Any] = []
    # the argument that settled each type attribute, for the error texts
    settled: dict[str, str] = {name: "" for name in bound if isinstance(bound[name], DType)}
    for arg, value in zip(op.inputs, inputs, strict=True):
        if arg.count_attr is not None:
            flat += _bind_list(op, arg, value, bound, settled, convert)
        else:
            if arg.type_attr is not None and arg.type_attr not in bound and not hasattr(value, "dims"):
                # `2 * x`: a Python value takes the type of the first tensor beside it
                _settle_from_tensors(op, arg.type_attr, inputs, bound, settled)
            flat.append(_bind_one(op, arg, value, bound, settled, convert))
    for name, spec in op.attrs.items():
        if name not in bound:
            if spec is REQUIRED or isinstance(spec, OneOf) or _is_types(spec):
                raise TypeError(f"{op.type} needs the attribute {name!r}")
            bound[name] = spec
    return flat, bound


def _settle_from_tensors(
    op: OpDef, attr: str, inputs: Sequence[Any], bound: dict[str, Any], settled: dict[str, str]
) -> None:
    for arg, value in zip(op.inputs, inputs, strict=True):
        if arg.type_attr == attr and arg.count_attr is None and hasattr(value, "dims"):
            _check_allowed(op, attr, value.dtype.base_dtype, arg.name)
            bound[attr], settled[attr] = value.dtype.base_dtype, arg.name
            return


def _is_types(spec: Any) -> TypeGuard[tuple[DType, ...]]:
    return isinstance(spec, tuple) and bool(spec) and isinstance(spec[0], DType)


def _attributes(op: OpDef, attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The given attributes, checked against their specifications, with defaults filled in."""
    bound: dict[str, Any] = {}
    for name, spec in op.attrs.items():
        if name not in attrs:
            if isinstance(spec, OneOf) and spec.default is not REQUIRED:
                bound[name] = spec.default
            continue
        value = attrs[name]
        if isinstance(spec, OneOf) and value not in spec.allowed:
            allowed = ", ".join(f'"{a}"' for a in spec.allowed)
            raise ValueError(f"Attr '{name}' of '{op.type}' Op passed string '{value}' not in: {allowed}.")
        if _is_types(spec):
            value = as_dtype(value).base_dtype
            _check_allowed(op, name, value, name)
        bound[name] = value
    extra = set(attrs) - set(op.attrs) - {a.count_attr for a in op.inputs} - {a.count_attr for a in op.outputs}
    extra -= {a.type_attr for a in op.outputs}
    if extra:
        raise TypeError(f"{op.type} has no attribute {sorted(extra)[0]!r}")
    bound.update({k: v for k, v in attrs.items() if k not in bound})
    return bound


def _bind_one(op: OpDef, arg: Arg, value: Any, bound: dict[str, Any], settled: dict[str, str], convert: Converter) -> Any:
    wanted = arg.dtype if arg.type_attr is None else bound.get(arg.type_attr)
    # the shape [] has no element that could tell its type
    natural = _index_type(op, arg) if wanted is None and isinstance(value, (list, tuple)) and not value else wanted
    tensor = convert(value, natural if not hasattr(value, "dims") else None, arg.name, arg.is_ref)
    found = tensor.dtype.base_dtype
    if arg.type_attr is None:
        if found != arg.dtype:
            assert arg.dtype is not None
            raise TypeError(
                f"Input '{arg.name}' of '{op.type}' Op has type {found.name} that does not match expected type of "
                f"{arg.dtype.name}."
            )
    elif wanted is None:
        _check_allowed(op, arg.type_attr, found, arg.name)
        bound[arg.type_attr] = found
        settled[arg.type_attr] = arg.name
    elif found != wanted:
        other = settled.get(arg.type_attr)
        against = f" of argument '{other}'" if other else ""
        raise TypeError(
            f"Input '{arg.name}' of '{op.type}' Op has type {found.name} that does not match type {wanted.name}{against}."
        )
    if arg.is_ref and not tensor.dtype.is_ref:
        raise TypeError(f"Input '{arg.name}' of '{op.type}' Op requires l-value input")
    return tensor


def _index_type(op: OpDef, arg: Arg) -> DType | None:
    """int32 for an argument that takes indices or sizes only, else None."""
    allowed = op.attrs.get(arg.type_attr or "")
    return int32 if _is_types(allowed) and int32 in allowed and all(t.is_integer for t in allowed) else None


def _bind_list(
    op: OpDef, arg: Arg, values: Any, bound: dict[str, Any], settled: dict[str, str], convert: Converter
) -> list[Any]:
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"Expected list for '{arg.name}' argument to '{op.type}' Op, not {values}.")
    assert arg.count_attr is not None
    bound[arg.count_attr] = len(values)
    # a tensor among the values settles the type that Python values are converted to
    if arg.type_attr is not None and arg.type_attr not in bound:
        known = next((v for v in values if hasattr(v, "dims")), None)
        if known is not None:
            bound[arg.type_attr] = known.dtype.base_dtype
            _check_allowed(op, arg.type_attr, bound[arg.type_attr], arg.name)
    tensors = []
    for i, value in enumerate(values):
        wanted = arg.dtype if arg.type_attr is None else bound.get(arg.type_attr)
        tensor = convert(value, wanted if not hasattr(value, "dims") else None, f"{arg.name}_{i}", arg.is_ref)
        found = tensor.dtype.base_dtype
        if wanted is not None and found != wanted:
            types = ", ".join(v.dtype.name if hasattr(v, "dtype") else type(v).__name__ for v in values)
            raise TypeError(
                f"Tensors in list passed to '{arg.name}' of '{op.type}' Op have types [{types}] that don't all match."
            )
        if arg.type_attr is not None and wanted is None:
            bound[arg.type_attr] = found
            settled[arg.type_attr] = arg.name
        tensors.append(tensor)
    return tensors


def _check_allowed(op: OpDef, attr: str, found: DType, parameter: str) -> None:
    allowed = op.attrs.get(attr)
    if _is_types(allowed) and found not in allowed:
        names = ", ".join(a.name for a in allowed)
        raise TypeError(
            f"Value passed to parameter '{parameter}' has DataType {found.name} not in list of allowed values: {names}"
        )


def output_dtypes(op: OpDef, attrs: Mapping[str, Any]) -> list[DType]:
    """The dtype of each output, list outputs expanded."""
    result = []
    for out in op.outputs:
        dtype = out.dtype if out.type_attr is None else as_dtype(attrs[out.type_attr])
        if dtype is None:  # results of several types
            result += attrs["dtypes"]
            continue
        dtype = dtype.as_ref if out.is_ref else dtype.base_dtype
        result += [dtype] * (1 if out.count_attr is None else attrs[out.count_attr])
    return result
