"""Names that Python and NumPy have dropped since TensorFlow 1.x, put back for the scripts and libraries of its time."""

from __future__ import annotations

import collections
import collections.abc
import inspect
from typing import Any

import numpy as np

# what NumPy 2 and 1.24 took away
_NUMPY = {
    "Inf": np.inf, "Infinity": np.inf, "NaN": np.nan, "PINF": np.inf, "NINF": -np.inf,
    "unicode_": np.str_, "string_": np.bytes_, "float_": np.float64, "complex_": np.complex128,
    "bool": np.bool_, "int": int, "float": float, "object": object, "str": str,
    "product": np.prod, "cumproduct": np.cumprod, "sometrue": np.any, "alltrue": np.all,
    "asscalar": lambda a: a.item(), "in1d": np.isin, "row_stack": np.vstack,
}  # fmt: skip


def install() -> None:
    """Put back what is missing; a name that is there stays as it is."""
    for name in collections.abc.__all__:
        _give(collections, name, getattr(collections.abc, name))
    for name, value in _NUMPY.items():
        _give(np, name, value)
    _give(inspect, "getargspec", _getargspec)


def _give(module: Any, name: str, value: Any) -> None:
    if name not in vars(module):
        setattr(module, name, value)


_ArgSpec = collections.namedtuple("_ArgSpec", "args varargs keywords defaults")


def _getargspec(function: Any) -> _ArgSpec:
    """The arguments of a function as Python 3.10 and older told them."""
    spec = inspect.getfullargspec(function)
    return _ArgSpec(spec.args, spec.varargs, spec.varkw, spec.defaults)
