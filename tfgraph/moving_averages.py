"""Exponential moving averages of variables and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .control_flow import colocate_with, control_dependencies, group, name_scope
from .convert import to_tensor
from .dtypes import FLOATS, float32
from .graph import get_default_graph
from .initializers import zeros_initializer
from .keys import GraphKeys
from .slots import create_slot, create_zeros_slot
from .state import assign, assign_add, assign_sub, global_variables, trainable_variables
from .tensor import Operation, Tensor
from .variable_scope import get_variable, variable_scope
from .variables import Variable

__all__ = ["ExponentialMovingAverage", "assign_moving_average", "weighted_moving_average"]


def assign_moving_average(
    variable: Variable, value: Any, decay: Any, zero_debias: bool = True, name: str | None = None
) -> Tensor:
    """variable = variable * decay + value * (1 - decay); the tensor of the variable after that.

    With `zero_debias` the average is corrected for starting at 0 (as Adam's moments are), which takes two variables more.
    """
    dtype = variable.dtype.base_dtype
    with name_scope(name, "AssignMovingAvg", [variable, value, decay]) as scope, colocate_with(variable):
        rate = _rate(decay, dtype)
        if zero_debias:
            return assign(variable, _debiased(variable, value, rate), name=scope)
        return assign_sub(variable, (variable - value) * rate, name=scope)


def _rate(decay: Any, dtype: Any) -> Tensor:
    """1 - decay in the given dtype."""
    from .math import cast

    rate = to_tensor(1.0 - decay, name="decay")
    return rate if rate.dtype.base_dtype == dtype else cast(rate, dtype)


def _debiased(variable: Variable, value: Any, rate: Tensor) -> Tensor:
    """The average kept beside `variable` from zero on, divided by the weight that it has collected so far."""
    from .math import pow

    zeros = zeros_initializer()
    with variable_scope(variable.op.name, values=[variable, value, rate]):
        biased = get_variable("biased", variable.get_shape(), variable.dtype.base_dtype, zeros, trainable=False)
        steps = get_variable("local_step", [], variable.dtype.base_dtype, zeros, trainable=False)
    average = assign_sub(biased, (biased - value) * rate)
    taken = assign_add(steps, 1)
    return average / (1 - pow(1.0 - rate, taken))


def weighted_moving_average(
    value: Any,
    decay: Any,
    weight: Any,
    truediv: bool = True,
    collections: Any = None,
    name: str | None = None,
) -> Tensor:
    """The moving average of value * weight over that of weight: values count by their weights."""
    from .math import div
    from .math import truediv as exact

    with variable_scope(name, "WeightedMovingAvg", [value, weight, decay]) as scope:
        shape = value.get_shape()
        options = {"initializer": zeros_initializer(), "trainable": False, "collections": collections}
        weighted = get_variable("value", shape, value.dtype.base_dtype, **options)
        weights = get_variable("weight", weight.get_shape(), weight.dtype.base_dtype, **options)
        numerator = assign_moving_average(weighted, value * weight, decay, zero_debias=False)
        denominator = assign_moving_average(weights, weight, decay, zero_debias=False)
        return (exact if truediv else div)(numerator, denominator, name=scope.name)


class ExponentialMovingAverage:
    """Shadow variables `<variable>/<name>` that follow variables: shadow -= (1 - decay) * (shadow - variable).

    With `num_updates` (a step counter) the decay is min(decay, (1 + n) / (10 + n)), so that early averages move faster.
    """

    def __init__(
        self,
        decay: Any,
        num_updates: Any = None,
        zero_debias: bool = False,
        name: str = "ExponentialMovingAverage",
    ) -> None:
        self._decay = decay
        self._num_updates = num_updates
        self._zero_debias = zero_debias
        self._name = name
        self._averages: dict[Any, Variable] = {}

    @property
    def name(self) -> str:
        return self._name

    def apply(self, var_list: Sequence[Any] | None = None) -> Operation:
        """An operation that updates the averages of `var_list` (default: all trainable variables).

        Variables start at their initial value, tensors at 0 (corrected for that with `zero_debias`). TypeError for what
        is not floating.
        """
        watched = trainable_variables() if var_list is None else list(var_list)
        for var in watched:
            if var.dtype.base_dtype not in FLOATS:
                raise TypeError(f"The variables must be half, float, or double: {var.name}")
            if var not in self._averages:
                self._averages[var] = self._shadow(var)
        with name_scope(self._name) as scope:
            decay = self._current_decay()
            updates = []
            for var in watched:
                debias = self._zero_debias and not isinstance(var, Variable)
                updates.append(assign_moving_average(self._averages[var], var, decay, debias))
            return group(*updates, name=scope)

    def _shadow(self, var: Any) -> Variable:
        with control_dependencies(None):
            if not isinstance(var, Variable):
                return create_zeros_slot(var, self._name)
            shadow = create_slot(var, var.initialized_value(), self._name)
        get_default_graph().add_to_collection(GraphKeys.MOVING_AVERAGE_VARIABLES, var)
        return shadow

    def _current_decay(self) -> Tensor:
        from .math import cast, minimum

        decay = to_tensor(self._decay, float32, name="decay")
        if self._num_updates is None:
            return decay
        updates = cast(self._num_updates, float32, name="num_updates")
        return minimum(decay, (1.0 + updates) / (10.0 + updates))

    def average(self, var: Any) -> Variable | None:
        """The variable that holds the average of `var`, or None."""
        return self._averages.get(var)

    def average_name(self, var: Any) -> str:
        """The name of the variable that holds or would hold the average of `var`."""
        if var in self._averages:
            return self._averages[var].op.name
        return get_default_graph().unique_name(f"{var.op.name}/{self._name}", mark_as_used=False)

    def variables_to_restore(self, moving_avg_variables: Sequence[Any] | None = None) -> dict[str, Any]:
        """Names in a checkpoint to variables: the average's name for averaged variables, their own for the others."""
        if moving_avg_variables is None:
            graph = get_default_graph()
            moving_avg_variables = [*trainable_variables(), *graph.get_collection(GraphKeys.MOVING_AVERAGE_VARIABLES)]
        averaged = list(dict.fromkeys(moving_avg_variables))
        names = {self.average_name(v): v for v in averaged}
        by_name = {v.op.name for v in averaged}
        for v in dict.fromkeys(global_variables()):
            if v.op.name not in by_name and v.op.name not in names:
                names[v.op.name] = v
        return names
