"""What layers have in common: a variable scope of its own, made by its first call and entered again by later ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..control_flow import name_scope
from ..convert import convert_to_tensor
from ..dtypes import as_dtype
from ..graph import get_default_graph
from ..keys import GraphKeys
from ..shapes import TensorShape
from ..tensor import Tensor
from ..variable_scope import VariableScope, get_variable, variable_scope


class Layer:
    """A function of a tensor with variables, made for the first tensor that it is called with.

    Layers without a `name` are numbered in their scope: `dense`, `dense_1`. `_reuse` takes variables that exist already,
    `_scope` is the name or VariableScope to make them in.
    """

    base_name = ""  # the name of a layer that is given none

    def __init__(self, trainable: bool = True, name: str | None = None, dtype: Any = None, **options: Any) -> None:
        self._reuse = options.pop("_reuse", None)
        self._given_scope = options.pop("_scope", name)
        if options:
            raise TypeError(f"Keyword argument not understood: {next(iter(options))}")
        self.trainable = trainable
        self.dtype = None if dtype is None else as_dtype(dtype).name
        self.built = False
        self.variables: list[Any] = []
        self.updates: list[Any] = []
        self.losses: list[Any] = []
        self.name = name or self.base_name
        self._scope: VariableScope | None = None
        self._activity_regularizer: Callable[[Any], Any] | None = None

    # --- what a subclass says ---------------------------------------------------------------------------------------

    def build(self, input_shape: TensorShape) -> None:
        """Make the variables, for inputs of this shape."""

    def call(self, inputs: Tensor, *state: Any, **options: Any) -> Any:
        """The layer's function; cells of recurrent nets get their state, too."""
        raise NotImplementedError

    # --- for subclasses ---------------------------------------------------------------------------------------------

    def add_variable(
        self,
        name: str,
        shape: Any,
        initializer: Any = None,
        regularizer: Any = None,
        trainable: bool = True,
        constraint: Any = None,
    ) -> Any:
        """A variable of this layer, `<scope>/<name>`."""
        before = len(get_default_graph().get_collection(GraphKeys.REGULARIZATION_LOSSES))
        variable = get_variable(
            name,
            shape,
            dtype=self.dtype,
            initializer=initializer,
            regularizer=regularizer,
            trainable=trainable and self.trainable,
            constraint=constraint,
        )
        self.losses += get_default_graph().get_collection(GraphKeys.REGULARIZATION_LOSSES)[before:]
        self.variables.append(variable)
        return variable

    def last_size(self, input_shape: TensorShape, axis: int, what: str) -> int:
        """The known size of an axis; ValueError if it is not known."""
        size = input_shape[axis].value
        if size is None:
            raise ValueError(f"The {what} of the inputs to {self.name!r} should be defined. Found `None`.")
        return size

    # --- calls --------------------------------------------------------------------------------------------------------

    def __call__(self, inputs: Any, *state: Any, scope: Any = None, **options: Any) -> Any:
        inputs = convert_to_tensor(inputs)
        if self.dtype is None:
            self.dtype = inputs.dtype.base_dtype.name
        if self._scope is None:
            # a default name is made unique, a given one is taken as it is
            given = self._given_scope if scope is None else scope
            default = self.base_name if given is None else None
            with variable_scope(given, default_name=default, values=[inputs], reuse=self._reuse) as opened:
                self._scope = opened
                self.name = opened.name.split("/")[-1]
                return self._computed(inputs, state, options)
        with (
            variable_scope(self._scope, reuse=True, auxiliary_name_scope=False),
            name_scope(self._scope.original_name_scope, values=[inputs]),
        ):
            return self._computed(inputs, state, options)

    apply = __call__

    def _computed(self, inputs: Tensor, state: tuple[Any, ...], options: dict[str, Any]) -> Any:
        self.check_input(inputs)
        if not self.built:
            self.build(inputs.shape)
            self.built = True
        outputs = self.call(inputs, *state, **options)
        if self._activity_regularizer is not None:
            self.add_loss(self._activity_regularizer(outputs))
        return outputs

    # how many dimensions the inputs must have: exactly, and at least
    rank: int | None = None
    least_rank: int | None = None

    def check_input(self, inputs: Tensor) -> None:
        """ValueError for inputs of another rank."""
        ndims = inputs.shape.ndims
        if self.rank is not None and ndims != self.rank and ndims is not None:
            raise ValueError(
                f"Input 0 of layer {self.name} is incompatible with the layer: expected ndim={self.rank}, "
                f"found ndim={ndims}. Full shape received: {inputs.shape}"
            )
        if self.least_rank is not None and (ndims is None or ndims < self.least_rank):
            found = "its rank is undefined, but the layer requires a defined rank." if ndims is None else (
                f": expected min_ndim={self.least_rank}, found ndim={ndims}. Full shape received: {inputs.shape}"
            )  # fmt: skip
            raise ValueError(f"Input 0 of layer {self.name} is incompatible with the layer: {found}")

    # --- what users ask -----------------------------------------------------------------------------------------------

    @property
    def trainable_variables(self) -> list[Any]:
        return [v for v in self.variables if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self) -> list[Any]:
        trainable = self.trainable_variables
        return [v for v in self.variables if not any(v is t for t in trainable)]

    weights = property(lambda self: self.variables, doc="All variables of the layer.")
    trainable_weights = property(lambda self: self.trainable_variables)
    non_trainable_weights = property(lambda self: self.non_trainable_variables)

    @property
    def scope_name(self) -> str:
        """The name of the variable scope; ValueError before the first call."""
        if self._scope is None:
            raise ValueError(f"No name available for layer scope because the layer {self.name!r} has not been used yet.")
        return self._scope.name

    @property
    def graph(self) -> Any:
        return get_default_graph()

    def add_loss(self, losses: Any) -> None:
        """Collect losses in the layer and under GraphKeys.REGULARIZATION_LOSSES."""
        for loss in losses if isinstance(losses, (list, tuple)) else [losses]:
            if loss is not None:
                self.losses.append(loss)
                get_default_graph().add_to_collection(GraphKeys.REGULARIZATION_LOSSES, loss)

    def add_update(self, updates: Any) -> None:
        """Collect updates in the layer and under GraphKeys.UPDATE_OPS."""
        for update in updates if isinstance(updates, (list, tuple)) else [updates]:
            self.updates.append(update)
            get_default_graph().add_to_collection(GraphKeys.UPDATE_OPS, update)


def sizes(values: Any, count: int, what: str) -> tuple[int, ...]:
    """One int for all axes, or one per axis; ValueError for anything else."""
    if isinstance(values, int):
        return (values,) * count
    found = tuple(values) if isinstance(values, (list, tuple)) else ()
    if len(found) != count or not all(isinstance(v, int) for v in found):
        raise ValueError(f"The `{what}` argument must be a tuple of {count} integers. Received: {values}")
    return found


def layout_of(data_format: str) -> str:
    """ "NHWC" or "NCHW"; ValueError for anything but "channels_last" and "channels_first"."""
    found = {"channels_last": "NHWC", "channels_first": "NCHW"}.get(str(data_format).lower())
    if found is None:
        raise ValueError(
            f'The `data_format` argument must be one of "channels_first", "channels_last". Received: {data_format}'
        )
    return found


def padding_of(padding: str) -> str:
    """ "VALID" or "SAME"; ValueError for anything else."""
    if str(padding).lower() not in ("valid", "same"):
        raise ValueError(f'The `padding` argument must be one of "valid", "same". Received: {padding}')
    return padding.upper()


def activated(outputs: Tensor, activation: Callable[[Any], Any] | None) -> Any:
    return outputs if activation is None else activation(outputs)

