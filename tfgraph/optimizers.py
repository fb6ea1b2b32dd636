"""The optimizers of `tf.train`. What a step computes is in ops/train.py; here are settings, slots and scalars.

Every rate may be a number, a tensor or a function without arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from .control_flow import control_dependencies, group
from .convert import constant
from .dtypes import int64
from .initializers import constant_initializer, ones_initializer
from .ops import train as steps
from .ops.identity import identity
from .optimizer import Optimizer
from .tensor import Operation, Tensor
from .variables import Variable

__all__ = [
    "AdadeltaOptimizer",
    "AdagradDAOptimizer",
    "AdagradOptimizer",
    "AdamOptimizer",
    "FtrlOptimizer",
    "GradientDescentOptimizer",
    "MomentumOptimizer",
    "ProximalAdagradOptimizer",
    "ProximalGradientDescentOptimizer",
    "RMSPropOptimizer",
]


class _ScalarOptimizer(Optimizer):
    """An optimizer whose step takes scalars that are made once per step, named as the settings."""

    _SETTINGS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, use_locking: bool, name: str, **settings: Any) -> None:
        super().__init__(use_locking, name)
        self._settings = settings
        self._scalars: dict[str, Tensor] = {}

    def _prepare(self) -> None:
        self._scalars = {name: self._scalar(self._settings[name], name) for name in self._SETTINGS}

    def _scalars_for(self, var: Variable, *names: str) -> list[Tensor]:
        return [self._like(self._scalars[name], var) for name in names or self._SETTINGS]

    def _slots_for(self, var: Variable, *names: str) -> list[Variable]:
        slots = [self.get_slot(var, name) for name in names]
        assert all(s is not None for s in slots), names
        return slots  # type: ignore[return-value]


class GradientDescentOptimizer(_ScalarOptimizer):
    """var -= learning_rate * gradient."""

    _SETTINGS = ("learning_rate",)

    def __init__(self, learning_rate: Any, use_locking: bool = False, name: str = "GradientDescent") -> None:
        super().__init__(use_locking, name, learning_rate=learning_rate)

    def _apply_dense(self, grad: Tensor, var: Variable) -> Operation:
        return steps.apply_gradient_descent(var, *self._scalars_for(var), grad, use_locking=self._use_locking).op


class MomentumOptimizer(_ScalarOptimizer):
    """accum = momentum * accum + gradient; var -= learning_rate * accum. Slot: momentum."""

    _SETTINGS = ("learning_rate", "momentum")

    def __init__(
        self,
        learning_rate: Any,
        momentum: Any,
        use_locking: bool = False,
        name: str = "Momentum",
        use_nesterov: bool = False,
    ) -> None:
        super().__init__(use_locking, name, learning_rate=learning_rate, momentum=momentum)
        self._use_nesterov = use_nesterov

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        for var in var_list:
            self._zeros_slot(var, "momentum", self._name)

    def _apply_dense(self, grad: Tensor, var: Variable) -> Operation:
        rate, momentum = self._scalars_for(var)
        options = {"use_locking": self._use_locking, "use_nesterov": self._use_nesterov}
        return steps.apply_momentum(var, *self._slots_for(var, "momentum"), rate, grad, momentum, **options).op


class AdamOptimizer(_ScalarOptimizer):
    """Adam. Slots: m, v; shared: beta1_power, beta2_power, multiplied after each step."""

    _SETTINGS = ("learning_rate", "beta1", "beta2", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta1: Any = 0.9,
        beta2: Any = 0.999,
        epsilon: Any = 1e-8,
        use_locking: bool = False,
        name: str = "Adam",
    ) -> None:
        super().__init__(use_locking, name, learning_rate=learning_rate, beta1=beta1, beta2=beta2, epsilon=epsilon)

    def _get_beta_accumulators(self) -> tuple[Variable | None, Variable | None]:
        return self._get_non_slot_variable("beta1_power"), self._get_non_slot_variable("beta2_power")

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        first = min(var_list, key=lambda v: v.name)
        for name in ("beta1", "beta2"):
            initial = self._call_if_callable(self._settings[name])
            self._create_non_slot_variable(initial, name + "_power", colocate_with=first)
        for var in var_list:
            self._zeros_slot(var, "m", self._name)
            self._zeros_slot(var, "v", self._name)

    def _apply_dense(self, grad: Tensor, var: Variable) -> Operation:
        powers = [self._like(power, var) for power in self._get_beta_accumulators()]
        slots, scalars = self._slots_for(var, "m", "v"), self._scalars_for(var)
        return steps.apply_adam(var, *slots, *powers, *scalars, grad, use_locking=self._use_locking).op

    def _finish(self, update_ops: Sequence[Operation], name_scope: str) -> Operation:
        powers = []
        with control_dependencies(update_ops):
            for power, name in zip(self._get_beta_accumulators(), ("beta1", "beta2"), strict=True):
                assert power is not None
                with power.graph.colocate_with(power):
                    powers.append(power.assign(power * self._scalars[name], use_locking=self._use_locking))
        return group(*update_ops, *powers, name=name_scope)


class AdagradOptimizer(_ScalarOptimizer):
    """accum += gradient^2; var -= learning_rate * gradient / sqrt(accum). Slot: accumulator."""

    _SETTINGS = ("learning_rate",)

    def __init__(
        self,
        learning_rate: Any,
        initial_accumulator_value: float = 0.1,
        use_locking: bool = False,
        name: str = "Adagrad",
    ) -> None:
        if initial_accumulator_value <= 0.0:
            raise ValueError(f"initial_accumulator_value must be positive: {initial_accumulator_value}")
        super().__init__(use_locking, name, learning_rate=learning_rate)
        self._initial_accumulator_value = initial_accumulator_value

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        for var in var_list:
            dtype = var.dtype.base_dtype
            initial = constant_initializer(self._initial_accumulator_value, dtype=dtype)
            self._get_or_make_slot_with_initializer(var, initial, var.get_shape(), dtype, "accumulator", self._name)

    def _apply_dense(self, grad: Tensor, var: Variable) -> Operation:
        (accumulator,) = self._slots_for(var, "accumulator")
        return steps.apply_adagrad(var, accumulator, *self._scalars_for(var), grad, use_locking=self._use_locking).op


class RMSPropOptimizer(_ScalarOptimizer):
    """RMSProp with momentum. Slots: rms (starts at ones), momentum, and mg if `centered`."""

    _SETTINGS = ("learning_rate", "decay", "momentum", "epsilon")

    def __init__(
        self,
        learning_rate: Any,
        decay: Any = 0.9,
        momentum: Any = 0.0,
        epsilon: Any = 1e-10,
        use_locking: bool = False,
        centered: bool = False,
        name: str = "RMSProp",
    ) -> None:
        super().__init__(use_locking, name, learning_rate=learning_rate, decay=decay, momentum=momentum, epsilon=epsilon)
        self._centered = centered

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        for var in var_list:
            dtype = var.dtype.base_dtype
            ones = ones_initializer(dtype=dtype)
            self._get_or_make_slot_with_initializer(var, ones, var.get_shape(), dtype, "rms", self._name)
            if self._centered:
                self._zeros_slot(var, "mg", self._name)
            self._zeros_slot(var, "momentum", self._name)

    def _apply_dense(self, grad: Tensor, var: Variable) -> Operation:
        names = ("mg", "rms", "momentum") if self._centered else ("rms", "momentum")
        step = steps.apply_centered_rms_prop if self._centered else steps.apply_rms_prop
        slots, scalars = self._slots_for(var, *names), self._scalars_for(var)
        return step(var, *slots, *scalars, grad, use_locking=self._use_locking).op


class AdadeltaOptimizer(_ScalarOptimizer):
    """Adadelta. Slots: accum, accum_update."""

    _SETTINGS = ("lr", "rho", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: Any = 0.95,
        epsilon: Any = 1e-8,
        use_locking: bool = False,
        name: str = "Adadelta",
    ) -> None:
        super().__init__(use_locking, name, lr=learning_rate, rho=rho, epsilon=epsilon)

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        for var in var_list:
            self._zeros_slot(var, "accum", self._name)
            self._zeros_slot(var, "accum_update", self._name)

    def _apply_dense(self, grad: Tensor, var: Variable) -> Operation:
        slots = self._slots_for(var, "accum", "accum_update")
        return steps.apply_adadelta(var, *slots, *self._scalars_for(var), grad, use_locking=self._use_locking).op


class FtrlOptimizer(_ScalarOptimizer):
    """FTRL-proximal. Slots: accum, linear. ValueError for settings of the wrong sign."""

    _SETTINGS = (
        "learning_rate",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "learning_rate_power",
    )

    def __init__(
        self,
        learning_rate: Any,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        use_locking: bool = False,
        name: str = "Ftrl",
        accum_name: str | None = None,
        linear_name: str | None = None,
        l2_shrinkage_regularization_strength: float = 0.0,
    ) -> None:
        not_negative = {
            "initial_accumulator_value": initial_accumulator_value,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": l2_shrinkage_regularization_strength,
        }
        for setting, value in not_negative.items():
            if value < 0.0:
                raise ValueError(f"{setting} {value} needs to be positive or zero")
        if learning_rate_power > 0.0:
            raise ValueError(f"learning_rate_power {learning_rate_power} needs to be negative or zero")
        super().__init__(
            use_locking, name, learning_rate=learning_rate, learning_rate_power=learning_rate_power, **not_negative
        )
        self._slot_names = (accum_name or name, linear_name or name)

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        for var in var_list:
            dtype = var.dtype.base_dtype
            initial = constant_initializer(self._settings["initial_accumulator_value"], dtype=dtype)
            accum_name, linear_name = self._slot_names
            self._get_or_make_slot_with_initializer(var, initial, var.get_shape(), dtype, "accum", accum_name)
            self._zeros_slot(var, "linear", linear_name)

    def _apply_dense(self, grad: Tensor, var: Variable) -> Operation:
        slots = self._slots_for(var, "accum", "linear")
        names, step = list(self._SETTINGS), steps.apply_ftrl_v2
        if self._settings["l2_shrinkage_regularization_strength"] <= 0.0:
            names.remove("l2_shrinkage_regularization_strength")
            step = steps.apply_ftrl
        return step(var, *slots, grad, *self._scalars_for(var, *names), use_locking=self._use_locking).op


class ProximalGradientDescentOptimizer(_ScalarOptimizer):
    """Gradient descent with L1 and L2 penalties taken as a proximal step."""

    _SETTINGS = ("learning_rate", "l1_regularization_strength", "l2_regularization_strength")

    def __init__(
        self,
        learning_rate: Any,
        l1_regularization_strength: Any = 0.0,
        l2_regularization_strength: Any = 0.0,
        use_locking: bool = False,
        name: str = "ProximalGradientDescent",
    ) -> None:
        super().__init__(
            use_locking,
            name,
            learning_rate=learning_rate,
            l1_regularization_strength=l1_regularization_strength,
            l2_regularization_strength=l2_regularization_strength,
        )

    def _apply_dense(self, grad: Tensor, var: Variable) -> Operation:
        step = steps.apply_proximal_gradient_descent
        return step(var, *self._scalars_for(var), grad, use_locking=self._use_locking).op


class ProximalAdagradOptimizer(_ScalarOptimizer):
    """Adagrad with L1 and L2 penalties taken as a proximal step. Slot: accumulator."""

    _SETTINGS = ("learning_rate", "l1_regularization_strength", "l2_regularization_strength")

    def __init__(
        self,
        learning_rate: Any,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: Any = 0.0,
        l2_regularization_strength: Any = 0.0,
        use_locking: bool = False,
        name: str = "ProximalAdagrad",
    ) -> None:
        if initial_accumulator_value <= 0.0:
            raise ValueError(f"initial_accumulator_value must be positive: {initial_accumulator_value}")
        super().__init__(
            use_locking,
            name,
            learning_rate=learning_rate,
            l1_regularization_strength=l1_regularization_strength,
            l2_regularization_strength=l2_regularization_strength,
        )
        self._initial_accumulator_value = initial_accumulator_value

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        for var in var_list:
            initial = constant(self._initial_accumulator_value, dtype=var.dtype.base_dtype, shape=var.get_shape())
            self._get_or_make_slot(var, initial, "accumulator", self._name)

    def _apply_dense(self, grad: Tensor, var: Variable) -> Operation:
        (accumulator,) = self._slots_for(var, "accumulator")
        step = steps.apply_proximal_adagrad
        return step(var, accumulator, *self._scalars_for(var), grad, use_locking=self._use_locking).op


class AdagradDAOptimizer(_ScalarOptimizer):
    """Adagrad with dual averaging. Slots: gradient_accumulator, gradient_squared_accumulator."""

    _SETTINGS = ("learning_rate",)

    def __init__(
        self,
        learning_rate: Any,
        global_step: Any,
        initial_gradient_squared_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        use_locking: bool = False,
        name: str = "AdagradDA",
    ) -> None:
        if initial_gradient_squared_accumulator_value <= 0.0:
            raise ValueError(
                f"initial_gradient_squared_accumulator_value must be positive: {initial_gradient_squared_accumulator_value}"
            )
        super().__init__(use_locking, name, learning_rate=learning_rate)
        self._initial = initial_gradient_squared_accumulator_value
        self._penalties = (l1_regularization_strength, l2_regularization_strength)
        self._global_step = global_step
        self._steps: Tensor | None = None

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        for var in var_list:
            options: dict[str, Any] = {"dtype": var.dtype.base_dtype, "shape": var.get_shape()}
            zeros, squares = constant(0.0, **options), constant(self._initial, **options)
            self._get_or_make_slot(var, zeros, "gradient_accumulator", self._name)
            self._get_or_make_slot(var, squares, "gradient_squared_accumulator", self._name)

    def _prepare(self) -> None:
        super()._prepare()
        # the step being made counts too
        self._steps = identity(self._global_step) + constant(1, dtype=int64)

    def _apply_dense(self, grad: Tensor, var: Variable) -> Operation:
        slots = self._slots_for(var, "gradient_accumulator", "gradient_squared_accumulator")
        penalties = [self._like(penalty, var) for penalty in self._penalties]
        return steps.apply_adagrad_da(
            var, *slots, grad, *self._scalars_for(var), *penalties, self._steps, use_locking=self._use_locking
        ).op
