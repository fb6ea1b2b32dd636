"""`tf.layers`: batch normalisation."""

from __future__ import annotations

from typing import Any

from .. import array, math, nn
from ..control_flow import cond
from ..convert import convert_to_tensor
from ..dtypes import float16, float32
from ..initializers import ones_initializer, zeros_initializer
from ..shapes import TensorShape
from ..state import assign_sub
from ..tensor import Tensor
from .base import Layer
from .core import chosen, static_truth

_ZEROS, _ONES = zeros_initializer(), ones_initializer()


class BatchNormalization(Layer):
    """(inputs - mean) / sqrt(variance + epsilon) * gamma + beta along `axis`.

    While training, mean and variance are those of the batch, and the moving averages' updates are collected under
    GraphKeys.UPDATE_OPS; otherwise they are the moving averages. Images go through `tf.nn.fused_batch_norm` unless `fused`
    is false. `renorm`, `virtual_batch_size` and `adjustment` are not implemented: ValueError.
    """

    base_name = "batch_normalization"
    least_rank = 1

    def __init__(
        self,
        axis: Any = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = _ZEROS,
        gamma_initializer: Any = _ONES,
        moving_mean_initializer: Any = _ZEROS,
        moving_variance_initializer: Any = _ONES,
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        fused: bool | None = None,
        trainable: bool = True,
        virtual_batch_size: Any = None,
        adjustment: Any = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(trainable, name, **options)
        for option, value in (("renorm", renorm), ("virtual_batch_size", virtual_batch_size), ("adjustment", adjustment)):
            if value:
                raise ValueError(f"tf.layers.batch_normalization without `{option}` only; leave it out.")
        axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
        if len(axes) != 1 or not isinstance(axes[0], int):
            raise ValueError(f"tf.layers.batch_normalization takes one axis as an int, got {axis}")
        self.axis, self.momentum, self.epsilon, self.fused = axes[0], momentum, epsilon, fused
        self._gamma = (gamma_initializer, gamma_regularizer, True, gamma_constraint) if scale else None
        self._beta = (beta_initializer, beta_regularizer, True, beta_constraint) if center else None
        self._moving = (moving_mean_initializer, moving_variance_initializer)
        self.gamma: Any = None
        self.beta: Any = None
        self.moving_mean: Any = None
        self.moving_variance: Any = None

    def build(self, input_shape: TensorShape) -> None:
        rank = input_shape.ndims
        assert rank is not None, "check_input has seen to that"
        if not -rank <= self.axis < rank:
            raise ValueError(f"Invalid axis: {self.axis} for inputs of shape {input_shape}")
        self.axis %= rank
        size = self.last_size(input_shape, self.axis, f"axis {self.axis}")
        could_be_fused = rank == 4 and self.axis in (1, 3)
        if self.fused and not could_be_fused:
            raise ValueError(f"A fused batch normalisation needs inputs of rank 4 and axis 1 or 3, got {input_shape}")
        self.fused = could_be_fused if self.fused is None else self.fused
        if self.dtype == float16.name:
            self.dtype = float32.name  # statistics of half precision are kept in single
        if self._gamma is not None:
            self.gamma = self.add_variable("gamma", [size], *self._gamma)
        if self._beta is not None:
            self.beta = self.add_variable("beta", [size], *self._beta)
        self.moving_mean = self.add_variable("moving_mean", [size], self._moving[0], trainable=False)
        self.moving_variance = self.add_variable("moving_variance", [size], self._moving[1], trainable=False)

    def call(self, inputs: Tensor, training: Any = False, **options: Any) -> Any:
        outputs, mean, variance = (self._fused if self.fused else self._plain)(inputs, training)
        known = static_truth(training)
        if known is not False:
            momentum = self.momentum if known else cond(training, self._constant(self.momentum), self._constant(1.0))
            self.add_update(_moved(self.moving_mean, mean, momentum, "AssignMovingAvg"))
            self.add_update(_moved(self.moving_variance, variance, momentum, "AssignMovingAvg_1"))
        outputs.set_shape(inputs.shape)
        return outputs

    def _constant(self, value: float) -> Any:
        return lambda: convert_to_tensor(value)

    def _fused(self, inputs: Tensor, training: Any) -> tuple[Any, Any, Any]:
        """The normalised images, and the statistics that the moving averages are to take in."""
        size = inputs.shape[self.axis].value
        gamma = array.ones([size]) if self.gamma is None else self.gamma
        beta = array.zeros([size]) if self.beta is None else self.beta
        layout = "NHWC" if self.axis == 3 else "NCHW"

        def of_batch() -> Any:
            return nn.fused_batch_norm(inputs, gamma, beta, epsilon=self.epsilon, data_format=layout)

        def of_averages() -> Any:
            return nn.fused_batch_norm(
                inputs, gamma, beta, self.moving_mean, self.moving_variance, self.epsilon, layout, is_training=False
            )

        return chosen(training, of_batch, of_averages)

    def _plain(self, inputs: Tensor, training: Any) -> tuple[Any, Any, Any]:
        rank = inputs.shape.ndims
        assert rank is not None
        axes = [axis for axis in range(rank) if axis != self.axis]

        def spread(parameter: Any) -> Any:
            """The parameter in the shape that broadcasts against the inputs."""
            if parameter is None or self.axis == rank - 1:
                return parameter
            return array.reshape(parameter, [-1 if axis == self.axis else 1 for axis in range(rank)])

        if static_truth(training) is False:
            mean, variance = self.moving_mean, self.moving_variance
        else:
            batch_mean, batch_variance = nn.moments(inputs, axes)
            mean = chosen(training, lambda: batch_mean, lambda: convert_to_tensor(self.moving_mean))
            variance = chosen(training, lambda: batch_variance, lambda: convert_to_tensor(self.moving_variance))
        outputs = nn.batch_normalization(
            inputs, spread(mean), spread(variance), spread(self.beta), spread(self.gamma), self.epsilon
        )
        return outputs, mean, variance


def _moved(average: Any, value: Any, momentum: Any, name: str) -> Any:
    """average -= (average - value) * (1 - momentum)."""
    return assign_sub(average, math.multiply(average - value, 1 - momentum), name=name)


def batch_normalization(
    inputs: Any,
    axis: Any = -1,
    momentum: float = 0.99,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    beta_initializer: Any = _ZEROS,
    gamma_initializer: Any = _ONES,
    moving_mean_initializer: Any = _ZEROS,
    moving_variance_initializer: Any = _ONES,
    beta_regularizer: Any = None,
    gamma_regularizer: Any = None,
    beta_constraint: Any = None,
    gamma_constraint: Any = None,
    training: Any = False,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
    renorm: bool = False,
    renorm_clipping: Any = None,
    renorm_momentum: float = 0.99,
    fused: bool | None = None,
    virtual_batch_size: Any = None,
    adjustment: Any = None,
) -> Any:
    """Batch normalisation along `axis` with the variables gamma, beta, moving_mean and moving_variance under `<name>/`.

    `training` is a bool or a scalar bool tensor. The moving averages move only where the operations of
    `tf.get_collection(tf.GraphKeys.UPDATE_OPS)` are run, say as control dependencies of the training step.
    """
    layer = BatchNormalization(
        axis,
        momentum,
        epsilon,
        center,
        scale,
        beta_initializer,
        gamma_initializer,
        moving_mean_initializer,
        moving_variance_initializer,
        beta_regularizer,
        gamma_regularizer,
        beta_constraint,
        gamma_constraint,
        renorm,
        renorm_clipping,
        renorm_momentum,
        fused,
        trainable,
        virtual_batch_size,
        adjustment,
        name,
        _scope=name,
        _reuse=reuse,
    )
    return layer(inputs, training=training)
