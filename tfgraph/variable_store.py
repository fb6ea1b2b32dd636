"""The variables that `tf.get_variable` made in a graph, by their full names: created once, found again, checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .control_flow import name_scope
from .dtypes import DType, as_dtype
from .graph import Graph
from .initializers import default_initializer
from .keys import GraphKeys
from .shapes import TensorShape, as_shape
from .variables import Variable

_KEY = ("__variable_store",)
_FRAMES_SHOWN = 5


class VariableStore:
    """One per graph; see `store_of`."""

    def __init__(self) -> None:
        self._vars: dict[str, Variable] = {}

    def get_variable(self, name: str, custom_getter: Callable[..., Any] | None = None, **options: Any) -> Any:
        """The variable `name`, made by `custom_getter(getter, name, ...)` if there is one.

        Options are those of `tf.get_variable`, and `reuse`: True (must exist), AUTO_REUSE (may exist) or false (must not).
        """
        if custom_getter is None:
            return self.find_or_create(name, **options)
        if "constraint" not in _accepted(custom_getter):
            options = {k: v for k, v in options.items() if k != "constraint"}
        return custom_getter(getter=self.find_or_create, name=name, **options)

    def find_or_create(
        self,
        name: str,
        shape: Any = None,
        dtype: Any = None,
        initializer: Any = None,
        reuse: Any = None,
        **options: Any,
    ) -> Variable:
        """The variable of that full name. ValueError where `reuse` forbids what would have to happen."""
        dtype = as_dtype("float32" if dtype is None else dtype)
        if initializer is not None and not callable(initializer) and shape is not None:
            raise ValueError("If initializer is a constant, do not specify shape.")
        wanted = None if shape is None else as_shape(shape)
        if name in self._vars:
            if not reuse:
                raise ValueError(_already_exists(self._vars[name]))
            return _checked(self._vars[name], wanted, dtype, name)
        if reuse is True:
            raise ValueError(
                f"Variable {name} does not exist, or was not created with tf.get_variable(). Did you mean to set "
                "reuse=tf.AUTO_REUSE in VarScope?"
            )
        return self._create(name, wanted, dtype, initializer, **options)

    def _create(
        self,
        name: str,
        shape: TensorShape | None,
        dtype: DType,
        initializer: Any,
        regularizer: Any = None,
        trainable: bool | None = None,
        collections: Any = None,
        caching_device: Any = None,
        validate_shape: bool = True,
        constraint: Any = None,
        **_: Any,
    ) -> Variable:
        if initializer is None:
            if shape is None or not shape.is_fully_defined():
                shown = TensorShape(None) if shape is None else shape
                raise ValueError(f"Shape of a new variable ({name}) must be fully defined, but instead was {shown}.")
            initializer = default_initializer(name, dtype)
        initial_value, dtype_given = _initial_value(initializer, shape, dtype, name)
        variable = Variable(
            initial_value,
            trainable=trainable,
            collections=collections,
            caching_device=caching_device,
            name=name,
            dtype=dtype_given,
            validate_shape=validate_shape,
            constraint=constraint,
        )
        self._vars[name] = variable
        if regularizer is not None:
            with variable.graph.colocate_with(variable), name_scope(name + "/Regularizer/"):
                loss = regularizer(variable)
            if loss is not None:
                variable.graph.add_to_collection(GraphKeys.REGULARIZATION_LOSSES, loss)
        return variable


def _initial_value(initializer: Any, shape: TensorShape | None, dtype: DType, name: str) -> tuple[Any, DType | None]:
    """What Variable takes: a value, or a function without arguments; and the dtype to ask for."""
    if not callable(initializer):
        return initializer, None
    if inspect.isclass(initializer):
        initializer = initializer()
    if shape is not None and shape.is_fully_defined():
        sizes = shape.as_list()
        if "partition_info" in _accepted(initializer):
            return lambda: initializer(sizes, dtype=dtype.base_dtype, partition_info=None), dtype.base_dtype
        return lambda: initializer(sizes, dtype=dtype.base_dtype), dtype.base_dtype
    if shape is None and not _required(initializer):
        return initializer, None
    shown = TensorShape(None) if shape is None else shape
    raise ValueError(f"Shape of a new variable ({name}) must be fully defined, but instead was {shown}.")


def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


def _required(function: Any) -> list[str]:
    """The parameters that a call must give."""
    return [
        name
        for name, p in _parameters(function).items()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]


class _Everything:
    def __contains__(self, _: object) -> bool:
        return True


def _accepted(function: Any) -> Any:
    """The keywords that a function takes, a container."""
    parameters = _parameters(function)
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return _Everything()
    return parameters


def _already_exists(variable: Variable) -> str:
    frames = variable.op.source_lines()[::-1][:_FRAMES_SHOWN]
    origin = "".join(f"  {line}\n" for line in frames)
    return (
        f"Variable {variable.op.name} already exists, disallowed. Did you mean to set reuse=True or "
        f"reuse=tf.AUTO_REUSE in VarScope? Originally defined at:\n\n{origin}"
    )


def _checked(found: Variable, shape: TensorShape | None, dtype: DType, name: str) -> Variable:
    if shape is not None and not shape.is_compatible_with(found.get_shape()):
        raise ValueError(
            f"Trying to share variable {name}, but specified shape {shape} and found shape {found.get_shape()}."
        )
    if not dtype.is_compatible_with(found.dtype):
        raise ValueError(
            f"Trying to share variable {name}, but specified dtype {dtype.name} and found dtype {found.dtype.name}."
        )
    return found


def store_of(graph: Graph) -> VariableStore:
    """The variable store of `graph`."""
    items = graph.get_collection_ref(_KEY)
    if not items:
        items.append(VariableStore())
    return items[0]
