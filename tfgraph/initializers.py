"""Initial values for variables: objects called with a shape and a dtype, named and seeded as TensorFlow's are.

This module is also `tf.initializers`, where the same classes have their short names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .convert import constant as _constant
from .dtypes import DType, as_dtype, float32
from .tensor import Tensor

__all__ = [
    "constant_initializer",
    "glorot_normal_initializer",
    "glorot_uniform_initializer",
    "ones_initializer",
    "random_normal_initializer",
    "random_uniform_initializer",
    "truncated_normal_initializer",
    "uniform_unit_scaling_initializer",
    "variance_scaling_initializer",
    "zeros_initializer",
]

# the standard deviation of a standard normal variable cut off at two standard deviations
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer:
    """Base class: `initializer(shape, dtype=None)` gives a tensor of initial values."""

    def __init__(self, dtype: Any = float32) -> None:
        self.dtype = as_dtype(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        return self.values(list(shape), self.dtype if dtype is None else as_dtype(dtype).base_dtype)

    def values(self, shape: list[Any], dtype: DType) -> Tensor:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {k: v.name if isinstance(v, DType) else v for k, v in vars(self).items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        return cls(**config)


class zeros_initializer(Initializer):
    """All zeros."""

    def values(self, shape: list[Any], dtype: DType) -> Tensor:
        from .array import zeros

        return zeros(shape, dtype)


class ones_initializer(Initializer):
    """All ones."""

    def values(self, shape: list[Any], dtype: DType) -> Tensor:
        from .array import ones

        return ones(shape, dtype)


class constant_initializer(Initializer):
    """A scalar everywhere, or a list or array whose last element is repeated if it is too short.

    TypeError if `verify_shape` and the value has another shape. ValueError for a value with too many elements.
    """

    def __init__(self, value: Any = 0, dtype: Any = float32, verify_shape: bool = False) -> None:
        super().__init__(dtype)
        if not (np.isscalar(value) or isinstance(value, (list, tuple, np.ndarray))):
            raise TypeError(
                f"Invalid type for initial value: {type(value)} (expected Python scalar, list or numpy.ndarray)."
            )
        self.value = value
        self._verify_shape = verify_shape

    def __call__(
        self, shape: Any, dtype: Any = None, partition_info: Any = None, verify_shape: bool | None = None
    ) -> Tensor:
        verify = self._verify_shape if verify_shape is None else verify_shape
        return _constant(self.value, dtype=dtype or self.dtype, shape=shape, verify_shape=verify)

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value, "dtype": self.dtype.name}


class random_uniform_initializer(Initializer):
    """Uniform in [minval, maxval); `maxval` None means 1."""

    def __init__(self, minval: Any = 0, maxval: Any = None, seed: int | None = None, dtype: Any = float32) -> None:
        super().__init__(dtype)
        self.minval, self.maxval, self.seed = minval, maxval, seed

    def values(self, shape: list[Any], dtype: DType) -> Tensor:
        from .random import random_uniform

        return random_uniform(shape, self.minval, self.maxval, dtype, seed=self.seed)


class random_normal_initializer(Initializer):
    """Normal."""

    def __init__(self, mean: Any = 0.0, stddev: Any = 1.0, seed: int | None = None, dtype: Any = float32) -> None:
        super().__init__(dtype)
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def values(self, shape: list[Any], dtype: DType) -> Tensor:
        from .random import random_normal

        return random_normal(shape, self.mean, self.stddev, dtype, seed=self.seed)


class truncated_normal_initializer(random_normal_initializer):
    """Normal, values beyond two standard deviations drawn again."""

    def values(self, shape: list[Any], dtype: DType) -> Tensor:
        from .random import truncated_normal

        return truncated_normal(shape, self.mean, self.stddev, dtype, seed=self.seed)


class uniform_unit_scaling_initializer(Initializer):
    """Uniform in [-x, x] with x = factor * sqrt(3 / rows): keeps the scale of the input of a product."""

    def __init__(self, factor: float = 1.0, seed: int | None = None, dtype: Any = float32) -> None:
        super().__init__(dtype)
        self.factor, self.seed = factor, seed

    def values(self, shape: list[Any], dtype: DType) -> Tensor:
        from .random import random_uniform

        limit = math.sqrt(3 / max(1.0, float(math.prod(shape[:-1])))) * self.factor
        return random_uniform(shape, -limit, limit, dtype, seed=self.seed)


_FANS = {"fan_in": lambda i, o: i, "fan_out": lambda i, o: o, "fan_avg": lambda i, o: (i + o) / 2}
_DISTRIBUTIONS = ("normal", "uniform", "truncated_normal", "untruncated_normal")


class variance_scaling_initializer(Initializer):
    """Variance scale / n, n the number of inputs (`fan_in`), of outputs (`fan_out`) or their mean (`fan_avg`).

    ValueError for a scale that is not positive or an unknown mode or distribution.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        dtype: Any = float32,
    ) -> None:
        super().__init__(dtype)
        if scale <= 0.0:
            raise ValueError("`scale` must be positive float.")
        if mode not in _FANS:
            raise ValueError(f"Invalid `mode` argument: {mode}")
        if distribution.lower() not in _DISTRIBUTIONS:
            raise ValueError(f"Invalid `distribution` argument: {distribution.lower()}")
        self.scale, self.mode, self.distribution, self.seed = scale, mode, distribution.lower(), seed

    def values(self, shape: list[Any], dtype: DType) -> Tensor:
        from .random import random_normal, random_uniform, truncated_normal

        variance = self.scale / max(1.0, _FANS[self.mode](*fans(shape)))
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random_uniform(shape, -limit, limit, dtype, seed=self.seed)
        if self.distribution == "untruncated_normal":
            return random_normal(shape, 0.0, math.sqrt(variance), dtype, seed=self.seed)
        return truncated_normal(shape, 0.0, math.sqrt(variance) / _TRUNCATED_STDDEV, dtype, seed=self.seed)


def fans(shape: Sequence[int]) -> tuple[float, float]:
    """The number of inputs and outputs of one unit of a layer whose weights have this shape."""
    if len(shape) < 1:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    field = math.prod(shape[:-2])  # of a convolution; 1 for a matrix
    return shape[-2] * field, shape[-1] * field


class glorot_uniform_initializer(variance_scaling_initializer):
    """Uniform in [-x, x] with x = sqrt(6 / (inputs + outputs)) (Glorot & Bengio 2010); the default of get_variable."""

    def __init__(self, seed: int | None = None, dtype: Any = float32) -> None:
        super().__init__(1.0, "fan_avg", "uniform", seed, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed, "dtype": self.dtype.name}


class glorot_normal_initializer(variance_scaling_initializer):
    """Truncated normal with variance 2 / (inputs + outputs) (Glorot & Bengio 2010)."""

    def __init__(self, seed: int | None = None, dtype: Any = float32) -> None:
        super().__init__(1.0, "fan_avg", "truncated_normal", seed, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed, "dtype": self.dtype.name}


def he_normal(seed: int | None = None) -> Initializer:
    """Truncated normal with variance 2 / inputs (He et al. 2015)."""
    return variance_scaling_initializer(2.0, "fan_in", "truncated_normal", seed)


def he_uniform(seed: int | None = None) -> Initializer:
    """Uniform with variance 2 / inputs (He et al. 2015)."""
    return variance_scaling_initializer(2.0, "fan_in", "uniform", seed)


def lecun_normal(seed: int | None = None) -> Initializer:
    """Truncated normal with variance 1 / inputs (LeCun et al. 1998)."""
    return variance_scaling_initializer(1.0, "fan_in", "truncated_normal", seed)


def lecun_uniform(seed: int | None = None) -> Initializer:
    """Uniform with variance 1 / inputs (LeCun et al. 1998)."""
    return variance_scaling_initializer(1.0, "fan_in", "uniform", seed)


zeros, ones, constant = zeros_initializer, ones_initializer, constant_initializer
random_uniform, random_normal = random_uniform_initializer, random_normal_initializer
truncated_normal, variance_scaling = truncated_normal_initializer, variance_scaling_initializer
uniform_unit_scaling = uniform_unit_scaling_initializer
glorot_uniform, glorot_normal = glorot_uniform_initializer, glorot_normal_initializer


def default_initializer(name: str, dtype: DType) -> Initializer:
    """What get_variable uses when no initializer is given. ValueError for types without a default."""
    if dtype.is_floating:
        return glorot_uniform_initializer()
    if dtype.is_integer or dtype.is_bool:
        return zeros_initializer()
    raise ValueError(f"An initializer for variable {name} of {dtype.base_dtype} is required")
