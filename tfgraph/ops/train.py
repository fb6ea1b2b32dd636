"""The training steps of the optimizers, one variable at a time, as TensorFlow's Apply* ops.

Each is a scalar expression per element whose results go into the reference arguments in order. Rates, decays and the
like are scalar tensors, so changing one compiles nothing. Sources: the papers named at each op; where TensorFlow's form
differs from a paper's (where epsilon stands, which old value is used) it is TensorFlow's that is meant.
"""

from __future__ import annotations

from typing import Any

from ..dtypes import FLOATS
from ..opdef import Call, update
from ..shapes import Dims, with_rank
from .state import merge_shapes

# of every op here: arguments that are not scalars
_FULL_SIZE = frozenset(("grad", "delta"))


def _step_shape(call: Call) -> list[Dims | None]:
    """The variable's shape, which its slots and gradient share; all other arguments are scalars."""
    result = call.shape("var")
    for arg in call.op.inputs:
        dims = call.shape(arg.name)
        if arg.is_ref or arg.name in _FULL_SIZE:
            run = f"var and {arg.name} do not have the same shape"
            result = merge_shapes(result, dims, run)
        else:
            with_rank(dims, 0, f"{arg.name} is not a scalar: {dims}")
    return [result]


def _step(type_name: str, inputs: str, **attrs: Any) -> Any:
    """Decorator for an update of `var` and its slots."""
    signature = f"{inputs} -> out: Ref(T)"
    return update(type_name, signature, _step_shape, effect="write", T=FLOATS, use_locking=False, **attrs)


@_step("ApplyGradientDescent", "var: Ref(T), alpha: T, delta: T")
def apply_gradient_descent(m: Any, var: Any, alpha: Any, delta: Any) -> Any:
    """var - alpha * delta"""
    return var - alpha * delta


@_step("ApplyMomentum", "var: Ref(T), accum: Ref(T), lr: T, grad: T, momentum: T", use_nesterov=False)
def apply_momentum(m: Any, var: Any, accum: Any, lr: Any, grad: Any, momentum: Any, *, use_nesterov: bool) -> Any:
    """Momentum (Sutskever et al. 2013): the rate multiplies the accumulated gradient."""
    accum = accum * momentum + grad
    step = grad * lr + accum * momentum * lr if use_nesterov else accum * lr
    return var - step, accum


@_step(
    "ApplyAdam",
    "var: Ref(T), m: Ref(T), v: Ref(T), beta1_power: T, beta2_power: T, lr: T, beta1: T, beta2: T, epsilon: T, grad: T",
    use_nesterov=False,
)
def apply_adam(
    m: Any,
    var: Any,
    mean: Any,
    square: Any,
    beta1_power: Any,
    beta2_power: Any,
    lr: Any,
    beta1: Any,
    beta2: Any,
    epsilon: Any,
    grad: Any,
    *,
    use_nesterov: bool,
) -> Any:
    """Adam (Kingma & Ba 2015), in the form whose epsilon stands outside the bias correction."""
    alpha = lr * m.sqrt(1 - beta2_power) / (1 - beta1_power)
    mean = mean + (grad - mean) * (1 - beta1)
    square = square + (grad * grad - square) * (1 - beta2)
    direction = grad * (1 - beta1) + mean * beta1 if use_nesterov else mean
    return var - direction * alpha / (m.sqrt(square) + epsilon), mean, square


@_step("ApplyAdagrad", "var: Ref(T), accum: Ref(T), lr: T, grad: T", update_slots=True)
def apply_adagrad(m: Any, var: Any, accum: Any, lr: Any, grad: Any, *, update_slots: bool) -> Any:
    """Adagrad (Duchi et al. 2011)."""
    if update_slots:
        accum = accum + grad * grad
    return var - grad * lr * m.rsqrt(accum), accum


@_step("ApplyAdadelta", "var: Ref(T), accum: Ref(T), accum_update: Ref(T), lr: T, rho: T, epsilon: T, grad: T")
def apply_adadelta(m: Any, var: Any, accum: Any, accum_update: Any, lr: Any, rho: Any, epsilon: Any, grad: Any) -> Any:
    """Adadelta (Zeiler 2012); the step is scaled by the steps before it."""
    accum = accum * rho + grad * grad * (1 - rho)
    step = m.sqrt(accum_update + epsilon) * m.rsqrt(accum + epsilon) * grad
    return var - step * lr, accum, accum_update * rho + step * step * (1 - rho)


@_step(
    "ApplyRMSProp",
    "var: Ref(T), ms: Ref(T), mom: Ref(T), lr: T, rho: T, momentum: T, epsilon: T, grad: T",
)
def apply_rms_prop(
    m: Any, var: Any, square: Any, mom: Any, lr: Any, rho: Any, momentum: Any, epsilon: Any, grad: Any
) -> Any:
    """RMSProp (Tieleman & Hinton 2012); epsilon stands under the root."""
    square = square + (grad * grad - square) * (1 - rho)
    mom = mom * momentum + grad * lr / m.sqrt(square + epsilon)
    return var - mom, square, mom


@_step(
    "ApplyCenteredRMSProp",
    "var: Ref(T), mg: Ref(T), ms: Ref(T), mom: Ref(T), lr: T, rho: T, momentum: T, epsilon: T, grad: T",
)
def apply_centered_rms_prop(
    m: Any, var: Any, mean: Any, square: Any, mom: Any, lr: Any, rho: Any, momentum: Any, epsilon: Any, grad: Any
) -> Any:
    """RMSProp normalised by the variance instead of the mean square (Graves 2013)."""
    square = square + (grad * grad - square) * (1 - rho)
    mean = mean + (grad - mean) * (1 - rho)
    mom = mom * momentum + grad * lr / m.sqrt(square - mean * mean + epsilon)
    return var - mom, mean, square, mom


def _ftrl(m: Any, var: Any, accum: Any, linear: Any, grad: Any, shrunk: Any, lr: Any, l1: Any, l2: Any, power: Any) -> Any:
    """One step of FTRL-proximal; `grad` feeds the accumulator, `shrunk` (with its L2 shrinkage) the linear term."""

    def raised(x: Any) -> Any:
        # the usual power, -0.5, is a root: exact, and far cheaper than pow
        return m.where(power == -0.5, m.sqrt(x), m.pow(x, -power))

    grown = accum + grad * grad
    linear = linear + shrunk - (raised(grown) - raised(accum)) / lr * var
    quadratic = raised(grown) / lr + 2 * l2
    return m.where(m.abs(linear) > l1, (l1 * m.sign(linear) - linear) / quadratic, 0), grown, linear


@_step("ApplyFtrl", "var: Ref(T), accum: Ref(T), linear: Ref(T), grad: T, lr: T, l1: T, l2: T, lr_power: T")
def apply_ftrl(m: Any, var: Any, accum: Any, linear: Any, grad: Any, lr: Any, l1: Any, l2: Any, lr_power: Any) -> Any:
    """FTRL-proximal (McMahan et al. 2013)."""
    return _ftrl(m, var, accum, linear, grad, grad, lr, l1, l2, lr_power)


@_step(
    "ApplyFtrlV2",
    "var: Ref(T), accum: Ref(T), linear: Ref(T), grad: T, lr: T, l1: T, l2: T, l2_shrinkage: T, lr_power: T",
)
def apply_ftrl_v2(
    m: Any, var: Any, accum: Any, linear: Any, grad: Any, lr: Any, l1: Any, l2: Any, l2_shrinkage: Any, lr_power: Any
) -> Any:
    """FTRL-proximal with a shrinkage penalty that acts on the size of the gradient's step only."""
    return _ftrl(m, var, accum, linear, grad, grad + 2 * l2_shrinkage * var, lr, l1, l2, lr_power)


def _shrink(m: Any, x: Any, threshold: Any) -> Any:
    """x moved towards 0 by `threshold`, stopping there."""
    return m.sign(x) * m.maximum(m.abs(x) - threshold, 0)


@_step("ApplyProximalGradientDescent", "var: Ref(T), alpha: T, l1: T, l2: T, delta: T")
def apply_proximal_gradient_descent(m: Any, var: Any, alpha: Any, l1: Any, l2: Any, delta: Any) -> Any:
    """A gradient step followed by the proximal step of l1 |x| + l2/2 x^2 (Duchi & Singer 2009)."""
    return _shrink(m, var - alpha * delta, alpha * l1) / (1 + alpha * l2)


@_step("ApplyProximalAdagrad", "var: Ref(T), accum: Ref(T), lr: T, l1: T, l2: T, grad: T")
def apply_proximal_adagrad(m: Any, var: Any, accum: Any, lr: Any, l1: Any, l2: Any, grad: Any) -> Any:
    """Adagrad followed by the proximal step of l1 |x| + l2/2 x^2, at the rate of each element."""
    accum = accum + grad * grad
    rate = lr * m.rsqrt(accum)
    return _shrink(m, var - grad * rate, rate * l1) / (1 + rate * l2), accum


@_step(
    "ApplyAdagradDA",
    "var: Ref(T), gradient_accumulator: Ref(T), gradient_squared_accumulator: Ref(T), grad: T, lr: T, l1: T, l2: T, "
    "global_step: int64",
)
def apply_adagrad_da(
    m: Any, var: Any, total: Any, squares: Any, grad: Any, lr: Any, l1: Any, l2: Any, global_step: Any, *, T: Any
) -> Any:
    """Adagrad with dual averaging (Duchi et al. 2011): the variable follows from the sums alone."""
    total = total + grad
    squares = squares + grad * grad
    steps = m.cast(global_step, T)
    return -lr * _shrink(m, total, l1 * steps) / (l2 * steps * lr + m.sqrt(squares)), total, squares
