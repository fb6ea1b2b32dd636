"""Activation functions and their gradient ops. Each gradient op takes the incoming gradient and what TensorFlow saves
for it: the argument (`features`) or the result (`outputs`)."""

from __future__ import annotations

from typing import Any

from ..dtypes import FLOATS, NUMBERS
from ..opdef import pointwise
from .compare import less, select
from .functions import exp
from .sequence import zeros_like

# Klambauer et al., "Self-Normalizing Neural Networks", 2017: the fixed point with mean 0 and variance 1
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


@pointwise("Relu", "features: T -> activations: T", T=NUMBERS)
def relu(m: Any, x: Any) -> Any:
    """max(x, 0)"""
    return m.maximum(x, 0)


@pointwise("ReluGrad", "gradients: T, features: T -> backprops: T", T=NUMBERS)
def relu_grad(m: Any, dy: Any, x: Any) -> Any:
    """dy where x > 0, else 0"""
    return m.where(x > 0, dy, 0)


@pointwise("Relu6", "features: T -> activations: T", T=NUMBERS)
def relu6(m: Any, x: Any) -> Any:
    """min(max(x, 0), 6)"""
    return m.minimum(m.maximum(x, 0), 6)


@pointwise("Relu6Grad", "gradients: T, features: T -> backprops: T", T=NUMBERS)
def relu6_grad(m: Any, dy: Any, x: Any) -> Any:
    """dy where 0 < x < 6, else 0"""
    return m.where((x > 0) & (x < 6), dy, 0)


@pointwise("LeakyRelu", "features: T -> activations: T", T=FLOATS, alpha=0.2)
def leaky_relu(m: Any, x: Any, *, alpha: Any) -> Any:
    """x where x > 0, else alpha * x"""
    return m.where(x > 0, x, x * alpha)


@pointwise("LeakyReluGrad", "gradients: T, features: T -> backprops: T", T=FLOATS, alpha=0.2)
def leaky_relu_grad(m: Any, dy: Any, x: Any, *, alpha: Any) -> Any:
    """dy where x > 0, else alpha * dy"""
    return m.where(x > 0, dy, dy * alpha)


@pointwise("Elu", "features: T -> activations: T", T=FLOATS)
def elu(m: Any, x: Any) -> Any:
    """x where x >= 0, else exp(x) - 1"""
    return m.where(x < 0, m.expm1(x), x)


@pointwise("EluGrad", "gradients: T, outputs: T -> backprops: T", T=FLOATS)
def elu_grad(m: Any, dy: Any, y: Any) -> Any:
    """dy times the slope at the result y"""
    return m.where(y < 0, (y + 1) * dy, dy)


@pointwise("Selu", "features: T -> activations: T", T=FLOATS)
def selu(m: Any, x: Any) -> Any:
    """scale * x where x >= 0, else scale * alpha * (exp(x) - 1)"""
    return m.where(x < 0, m.expm1(x) * (SELU_SCALE * SELU_ALPHA), x * SELU_SCALE)


@pointwise("SeluGrad", "gradients: T, outputs: T -> backprops: T", T=FLOATS)
def selu_grad(m: Any, dy: Any, y: Any) -> Any:
    """dy times the slope at the result y"""
    return m.where(y < 0, dy * (y + SELU_SCALE * SELU_ALPHA), dy * SELU_SCALE)


@pointwise("Softplus", "features: T -> activations: T", T=FLOATS)
def softplus(m: Any, x: Any) -> Any:
    """log(exp(x) + 1)"""
    return m.softplus(x)


@pointwise("SoftplusGrad", "gradients: T, features: T -> backprops: T", T=FLOATS)
def softplus_grad(m: Any, dy: Any, x: Any) -> Any:
    """dy * sigmoid(x)"""
    return dy * m.sigmoid(x)


@pointwise("Softsign", "features: T -> activations: T", T=FLOATS)
def softsign(m: Any, x: Any) -> Any:
    """x / (|x| + 1)"""
    return x / (m.abs(x) + 1)


@pointwise("SoftsignGrad", "gradients: T, features: T -> backprops: T", T=FLOATS)
def softsign_grad(m: Any, dy: Any, x: Any) -> Any:
    """dy / (|x| + 1)^2"""
    return dy / ((m.abs(x) + 1) * (m.abs(x) + 1))


# --- gradients ----------------------------------------------------------------------------------------------------
# Like TensorFlow's, those of piecewise linear functions have a derivative of 0, not none.


@relu.gradient
def _relu_gradient(op: Any, dy: Any) -> Any:
    return [relu_grad(dy, op.outputs[0])]


@relu_grad.gradient
def _relu_grad_gradient(op: Any, d: Any) -> Any:
    return relu_grad(d, op.inputs[1]), zeros_like(op.inputs[1])


@relu6.gradient
def _relu6_gradient(op: Any, dy: Any) -> Any:
    return [relu6_grad(dy, op.outputs[0])]


@relu6_grad.gradient
def _relu6_grad_gradient(op: Any, d: Any) -> Any:
    return relu6_grad(d, op.inputs[1]), zeros_like(op.inputs[1])


@leaky_relu.gradient
def _leaky_relu_gradient(op: Any, dy: Any) -> Any:
    return [leaky_relu_grad(dy, op.inputs[0], alpha=op.get_attr("alpha"))]


@leaky_relu_grad.gradient
def _leaky_relu_grad_gradient(op: Any, d: Any) -> Any:
    return leaky_relu_grad(d, op.inputs[1], alpha=op.get_attr("alpha")), zeros_like(op.inputs[1])


@elu.gradient
def _elu_gradient(op: Any, dy: Any) -> Any:
    return [elu_grad(dy, op.outputs[0])]


@elu_grad.gradient
def _elu_grad_gradient(op: Any, d: Any) -> Any:
    dy, y = op.inputs
    return elu_grad(d, y), _where_negative(y, d * dy)


@selu.gradient
def _selu_gradient(op: Any, dy: Any) -> Any:
    return [selu_grad(dy, op.outputs[0])]


@selu_grad.gradient
def _selu_grad_gradient(op: Any, d: Any) -> Any:
    dy, y = op.inputs
    return selu_grad(d, y), _where_negative(y, d * dy)


def _where_negative(y: Any, value: Any) -> Any:
    zeros = zeros_like(y)
    return select(less(y, zeros), value, zeros)


@softplus.gradient
def _softplus_gradient(op: Any, dy: Any) -> Any:
    return [softplus_grad(dy, op.inputs[0])]


@softplus_grad.gradient
def _softplus_grad_gradient(op: Any, d: Any) -> Any:
    dy, x = op.inputs
    # the slope of the sigmoid: 1 / (exp(-x) + 2 + exp(x))
    return softplus_grad(d, x), d * dy / (exp(-x) + 2.0 + exp(x))


@softsign.gradient
def _softsign_gradient(op: Any, dy: Any) -> Any:
    return [softsign_grad(dy, op.inputs[0])]
