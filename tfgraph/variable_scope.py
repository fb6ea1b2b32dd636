"""`tf.variable_scope` and `tf.get_variable`: variables shared by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from .control_flow import graph_of, name_scope
from .convert import as_array, dtype_of
from .dtypes import as_dtype, float32
from .graph import Graph, get_default_graph
from .keys import GraphKeys
from .variable_store import VariableStore, store_of
from .variables import Variable

__all__ = [
    "AUTO_REUSE",
    "VariableScope",
    "get_local_variable",
    "get_variable",
    "get_variable_scope",
    "no_regularizer",
    "variable_op_scope",
    "variable_scope",
]

_KEY = ("__varscope",)


class _AutoReuse:
    """Reuse a variable that exists, make one that does not."""

    def __repr__(self) -> str:
        return "<_ReuseMode.AUTO_REUSE: 1>"


AUTO_REUSE = _AutoReuse()

# what a scope hands on to its variables and to scopes inside it
_INHERITED = ("initializer", "regularizer", "caching_device", "partitioner", "custom_getter", "dtype", "constraint")


def no_regularizer(_: Any) -> None:
    """A regularizer that adds nothing; stops inheritance from an outer scope."""


class VariableScope:
    """A prefix for variable names, with defaults for the variables made under it.

    `partitioner`, `use_resource` and `caching_device` are kept and handed on; partitioning itself is not done.
    """

    def __init__(
        self,
        reuse: Any,
        name: str = "",
        initializer: Any = None,
        regularizer: Any = None,
        caching_device: Any = None,
        partitioner: Any = None,
        custom_getter: Any = None,
        name_scope: str = "",
        dtype: Any = float32,
        use_resource: bool | None = None,
        constraint: Any = None,
    ) -> None:
        self._name, self._reuse, self._name_scope = name, reuse, name_scope
        self._initializer, self._regularizer, self._constraint = initializer, regularizer, constraint
        self._caching_device, self._partitioner = caching_device, partitioner
        self._custom_getter, self._dtype, self._use_resource = custom_getter, dtype, use_resource

    name = property(lambda self: self._name, doc="The prefix, without a final slash.")
    original_name_scope = property(lambda self: self._name_scope, doc="The name scope that this scope first opened.")
    reuse = property(lambda self: self._reuse, doc="True, AUTO_REUSE or false.")
    initializer = property(lambda self: self._initializer)
    regularizer = property(lambda self: self._regularizer)
    constraint = property(lambda self: self._constraint)
    caching_device = property(lambda self: self._caching_device)
    partitioner = property(lambda self: self._partitioner)
    custom_getter = property(lambda self: self._custom_getter)
    dtype = property(lambda self: self._dtype)
    use_resource = property(lambda self: self._use_resource)

    def reuse_variables(self) -> None:
        """From now on variables must exist already."""
        self._reuse = True

    def set_initializer(self, initializer: Any) -> None:
        self._initializer = initializer

    def set_regularizer(self, regularizer: Any) -> None:
        self._regularizer = regularizer

    def set_caching_device(self, caching_device: Any) -> None:
        self._caching_device = caching_device

    def set_partitioner(self, partitioner: Any) -> None:
        self._partitioner = partitioner

    def set_custom_getter(self, custom_getter: Any) -> None:
        self._custom_getter = custom_getter

    def set_dtype(self, dtype: Any) -> None:
        self._dtype = dtype

    def set_use_resource(self, use_resource: bool | None) -> None:
        self._use_resource = use_resource

    def get_collection(self, name: Any) -> list[Any]:
        """The items of a collection whose names lie under this scope."""
        return get_default_graph().get_collection(name, self._name + "/" if self._name else "")

    def trainable_variables(self) -> list[Variable]:
        return self.get_collection(GraphKeys.TRAINABLE_VARIABLES)

    def global_variables(self) -> list[Variable]:
        return self.get_collection(GraphKeys.GLOBAL_VARIABLES)

    def local_variables(self) -> list[Variable]:
        return self.get_collection(GraphKeys.LOCAL_VARIABLES)

    def get_variable(
        self,
        var_store: VariableStore,
        name: str,
        shape: Any = None,
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        reuse: Any = None,
        trainable: bool | None = None,
        collections: Any = None,
        caching_device: Any = None,
        partitioner: Any = None,
        validate_shape: bool = True,
        use_resource: bool | None = None,
        custom_getter: Any = None,
        constraint: Any = None,
        synchronization: Any = None,
        aggregation: Any = None,
    ) -> Any:
        """The variable `<scope>/<name>`; what is not given comes from the scope."""
        if dtype is not None and initializer is not None and not callable(initializer):
            _check_same_dtype(initializer, as_dtype(dtype))
        # variable names follow variable scopes only, not name scopes
        with name_scope(None):
            return var_store.get_variable(
                f"{self._name}/{name}" if self._name else name,
                custom_getter=custom_getter or self._custom_getter,
                shape=shape,
                dtype=dtype or self._dtype,
                initializer=self._initializer if initializer is None else initializer,
                regularizer=self._regularizer if regularizer is None else regularizer,
                reuse=self._reuse if reuse is None else reuse,
                trainable=trainable,
                collections=collections,
                caching_device=caching_device or self._caching_device,
                partitioner=partitioner or self._partitioner,
                validate_shape=validate_shape,
                use_resource=use_resource,
                constraint=constraint or self._constraint,
            )


def _check_same_dtype(value: Any, dtype: Any) -> None:
    found = value.dtype.base_dtype if hasattr(value, "dims") else dtype_of(as_array(value), None)
    if found != dtype.base_dtype:
        raise ValueError(f"Initializer type '{found}' and explicit dtype '{dtype}' don't match.")


class _Scopes:
    """The current variable scope of a graph, and how often each scope name was opened."""

    def __init__(self) -> None:
        self.current = VariableScope(False)
        self.counts: dict[str, int] = {}

    def open(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def close_inner(self, name: str) -> None:
        """Forget what was opened inside `name`, so that default names start again."""
        for key in self.counts:
            if not name or key.startswith(name + "/"):
                self.counts[key] = 0

    def unique(self, prefix: str) -> str:
        """`prefix`, or `prefix_1`, `prefix_2`, ...: one that is not open yet in the current scope."""
        base = f"{self.current.name}/{prefix}" if self.current.name else prefix
        if not self.counts.get(base):
            return prefix
        number = 1
        while self.counts.get(f"{base}_{number}"):
            number += 1
        return f"{prefix}_{number}"


def _scopes_of(graph: Graph) -> _Scopes:
    items = graph.get_collection_ref(_KEY)
    if not items:
        items.append(_Scopes())
    return items[0]


def get_variable_scope() -> VariableScope:
    """The current variable scope of the default graph."""
    return _scopes_of(get_default_graph()).current


@contextmanager
def _pure_variable_scope(
    name_or_scope: str | VariableScope, reuse: Any, old_name_scope: str | None, given: dict[str, Any]
) -> Iterator[VariableScope]:
    """Make a variable scope current without opening a name scope."""
    scopes = _scopes_of(get_default_graph())
    outer = scopes.current
    again = isinstance(name_or_scope, VariableScope)
    base: VariableScope = name_or_scope if isinstance(name_or_scope, VariableScope) else outer
    inner = VariableScope(reuse or base.reuse, use_resource=base.use_resource)
    for option in _INHERITED:
        own = given.get(option)
        setattr(inner, f"_{option}", getattr(base, option) if own is None else own)
    if given.get("custom_getter") is not None and base.custom_getter is not None:
        inner._custom_getter = _chained(given["custom_getter"], base.custom_getter)
    inner._constraint = given.get("constraint")
    if isinstance(name_or_scope, VariableScope):
        inner._name = base.name
        inner._name_scope = base.original_name_scope if old_name_scope is None else old_name_scope
    else:
        inner._name = f"{outer.name}/{name_or_scope}" if outer.name else name_or_scope
        inner._name_scope = name_or_scope if old_name_scope is None else old_name_scope
    scopes.open(inner.name)
    counts = dict(scopes.counts)
    scopes.current = inner
    try:
        yield inner
    finally:
        if again:
            scopes.counts = counts
        else:
            scopes.close_inner(inner.name)
        scopes.current = outer


def _chained(custom_getter: Callable[..., Any], outer: Callable[..., Any]) -> Callable[..., Any]:
    def chained(getter: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return custom_getter(partial(outer, getter), *args, **kwargs)

    return chained


class variable_scope:
    """A context manager: variables made by `get_variable` inside are named under the scope, and so are operations.

    `name_or_scope` is a name below the current scope or a VariableScope to re-enter; with None, `default_name` is used,
    made unique. `reuse` is True, AUTO_REUSE or None (inherited). Entering gives the VariableScope. TypeError if neither
    name is given; ValueError for `reuse` without a name.
    """

    def __init__(
        self,
        name_or_scope: str | VariableScope | None,
        default_name: str | None = None,
        values: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        caching_device: Any = None,
        partitioner: Any = None,
        custom_getter: Any = None,
        reuse: Any = None,
        dtype: Any = None,
        use_resource: bool | None = None,
        constraint: Any = None,
        auxiliary_name_scope: bool = True,
    ) -> None:
        if default_name is None and name_or_scope is None:
            raise TypeError("If default_name is None then name_or_scope is required")
        if reuse is not None and not isinstance(reuse, (bool, _AutoReuse)):
            raise ValueError("The reuse parameter must be True or False or None.")
        if name_or_scope is not None and not isinstance(name_or_scope, (str, VariableScope)):
            raise TypeError("VariableScope: name_or_scope must be a string or VariableScope.")
        if name_or_scope is None and reuse:
            raise ValueError("reuse=True cannot be used without a name_or_scope")
        self._name_or_scope = name_or_scope
        self._default_name = default_name
        self._values = values
        self._reuse = reuse or None  # False would not be inherited either: scopes inside a reusing scope reuse
        self._auxiliary_name_scope = auxiliary_name_scope
        self._given = {
            "initializer": initializer,
            "regularizer": regularizer,
            "caching_device": caching_device,
            "partitioner": partitioner,
            "custom_getter": custom_getter,
            "dtype": dtype,
            "constraint": constraint,
        }
        self._entered: list[ExitStack] = []

    def __enter__(self) -> VariableScope:
        graph = graph_of(self._values or [])
        with ExitStack() as stack:
            stack.enter_context(graph.as_default())
            scope = stack.enter_context(self._opened(graph, stack))
            self._entered.append(stack.pop_all())
        return scope

    def _opened(self, graph: Graph, stack: ExitStack) -> Any:
        given = self._name_or_scope
        name = self._default_name if given is None else given
        short = name.name.split("/")[-1] if isinstance(name, VariableScope) else name
        assert short is not None
        name_scope: str | None = None
        if short and self._auxiliary_name_scope:
            name_scope = stack.enter_context(graph.name_scope(short))
        if isinstance(given, VariableScope):
            return _pure_variable_scope(given, self._reuse, given.original_name_scope, self._given)
        if given is None:
            short = _scopes_of(graph).unique(short)
        return _pure_variable_scope(short, self._reuse, name_scope, self._given)

    def __exit__(self, *error: Any) -> None:
        self._entered.pop().__exit__(*error)


@contextmanager
def variable_op_scope(
    values: Any, name_or_scope: Any, default_name: str | None = None, **options: Any
) -> Iterator[VariableScope]:
    """`variable_scope` with the arguments in the order of TensorFlow's first releases."""
    with variable_scope(name_or_scope, default_name, values, **options) as scope:
        yield scope


def get_variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool | None = None,
    collections: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    validate_shape: bool = True,
    use_resource: bool | None = None,
    custom_getter: Any = None,
    constraint: Any = None,
    synchronization: Any = None,
    aggregation: Any = None,
) -> Any:
    """The variable `name` of the current variable scope, made now or, where the scope reuses, found again.

    `initializer` is called with the shape and dtype (default: Glorot's uniform for floats, zeros for integers), or is the
    initial value itself, then without `shape`. ValueError where the scope's `reuse` forbids making or finding it, and
    where the shape is unknown or differs from the variable found.
    """
    options = {"partitioner": partitioner, "validate_shape": validate_shape, "custom_getter": custom_getter}
    return get_variable_scope().get_variable(
        store_of(get_default_graph()),
        name,
        shape=shape,
        dtype=dtype,
        initializer=initializer,
        regularizer=regularizer,
        trainable=trainable,
        collections=collections,
        caching_device=caching_device,
        constraint=constraint,
        **options,
    )


def get_local_variable(name: str, *args: Any, **kwargs: Any) -> Any:
    """`get_variable` for a variable that is not trained, not saved and kept in the collection of local variables."""
    collections = [*(kwargs.pop("collections", None) or ()), GraphKeys.LOCAL_VARIABLES]
    return get_variable(name, *args, **{**kwargs, "trainable": False, "collections": collections})
