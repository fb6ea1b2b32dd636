"""`tf.layers`: dense, dropout and flatten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import array, math, nn
from ..control_flow import cond
from ..initializers import zeros_initializer
from ..ops.identity import identity
from ..shapes import TensorShape
from ..tensor import Tensor
from .base import Layer, activated, layout_of


class Dense(Layer):
    """activation(inputs . kernel + bias) along the last axis."""

    base_name = "dense"
    least_rank = 2

    def __init__(
        self,
        units: int,
        activation: Callable[[Any], Any] | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = None,
        bias_initializer: Any = zeros_initializer(),  # noqa: B008 (it keeps no state)
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        trainable: bool = True,
        name: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(trainable, name, **options)
        self.units, self.activation, self.use_bias = int(units), activation, use_bias
        self._kernel = (kernel_initializer, kernel_regularizer, True, kernel_constraint)
        self._bias = (bias_initializer, bias_regularizer, True, bias_constraint)
        self._activity_regularizer = activity_regularizer
        self.kernel: Any = None
        self.bias: Any = None

    def build(self, input_shape: TensorShape) -> None:
        size = self.last_size(input_shape, -1, "last dimension")
        self.kernel = self.add_variable("kernel", [size, self.units], *self._kernel)
        if self.use_bias:
            self.bias = self.add_variable("bias", [self.units], *self._bias)

    def call(self, inputs: Tensor, **options: Any) -> Any:
        sizes = inputs.shape.as_list()
        if len(sizes) == 2:
            outputs = math.matmul(inputs, self.kernel)
        else:
            outputs = math.tensordot(inputs, self.kernel, [[len(sizes) - 1], [0]])
            outputs.set_shape([*sizes[:-1], self.units])
        if self.bias is not None:
            outputs = nn.bias_add(outputs, self.bias)
        return activated(outputs, self.activation)


def dense(
    inputs: Any,
    units: int,
    activation: Callable[[Any], Any] | None = None,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = zeros_initializer(),  # noqa: B008
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    kernel_constraint: Any = None,
    bias_constraint: Any = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
) -> Any:
    """activation(inputs . kernel + bias): [..., size] -> [..., units], with the variables `<name>/kernel` [size, units] and
    `<name>/bias` [units].

    The kernel's default initializer is the variable scope's, else Glorot's uniform one. With `reuse` the variables of an
    earlier layer of this name are taken. ValueError if the rank is below 2 or the last size unknown.
    """
    layer = Dense(
        units,
        activation=activation,
        use_bias=use_bias,
        kernel_initializer=kernel_initializer,
        bias_initializer=bias_initializer,
        kernel_regularizer=kernel_regularizer,
        bias_regularizer=bias_regularizer,
        activity_regularizer=activity_regularizer,
        kernel_constraint=kernel_constraint,
        bias_constraint=bias_constraint,
        trainable=trainable,
        name=name,
        _scope=name,
        _reuse=reuse,
    )
    return layer(inputs)


class Dropout(Layer):
    """Zeros with probability `rate` while training, the inputs otherwise."""

    base_name = "dropout"

    def __init__(
        self, rate: Any = 0.5, noise_shape: Any = None, seed: int | None = None, name: str | None = None, **options: Any
    ) -> None:
        super().__init__(name=name, **options)
        self.rate, self.noise_shape, self.seed = rate, noise_shape, seed

    def call(self, inputs: Tensor, training: Any = False, **options: Any) -> Any:
        def dropped() -> Any:
            return nn.dropout(inputs, noise_shape=self.noise_shape, seed=self.seed, rate=self.rate)

        return chosen(training, dropped, lambda: identity(inputs))


def dropout(
    inputs: Any,
    rate: Any = 0.5,
    noise_shape: Any = None,
    seed: int | None = None,
    training: Any = False,
    name: str | None = None,
) -> Any:
    """`inputs` with a share `rate` of the elements set to 0 and the others divided by 1 - rate where `training` (a bool or a
    scalar bool tensor) is true; as they are where it is false."""
    return Dropout(rate, noise_shape, seed, name)(inputs, training=training)


def chosen(training: Any, if_true: Callable[[], Any], if_false: Callable[[], Any]) -> Any:
    """The branch for a known `training`, a `tf.cond` for one that only a run knows."""
    known = static_truth(training)
    if known is None:
        return cond(training, if_true, if_false)
    return if_true() if known else if_false()


def static_truth(training: Any) -> bool | None:
    """Whether `training` is true; None if only a run knows."""
    if isinstance(training, Tensor):
        value = training.known()
        return None if value is None else bool(value)
    return bool(training)


class Flatten(Layer):
    """All axes but the first as one."""

    base_name = "flatten"
    least_rank = 2

    def __init__(self, data_format: str = "channels_last", name: str | None = None, **options: Any) -> None:
        super().__init__(name=name, **options)
        self._layout = layout_of(data_format)

    def call(self, inputs: Tensor, **options: Any) -> Any:
        rank = inputs.shape.ndims
        if self._layout == "NCHW" and rank is not None and rank > 1:
            inputs = array.transpose(inputs, [0, *range(2, rank), 1])
        sizes = inputs.shape.as_list()
        outputs = array.reshape(inputs, [sizes[0] if sizes[0] is not None else array.shape(inputs)[0], -1])
        count = 1
        for size in sizes[1:]:
            count = None if size is None or count is None else count * size  # type: ignore[assignment]
        outputs.set_shape([sizes[0], count])
        return outputs


def flatten(inputs: Any, name: str | None = None, data_format: str = "channels_last") -> Any:
    """[batch, ...] as [batch, the product of the other sizes]; channels last in the order of the elements."""
    return Flatten(data_format, name)(inputs)
