"""Names that Python and NumPy have dropped since TensorFlow 1.x, put back for the scripts and libraries of its time."""

from __future__ import annotations

import collections
import collections.abc
import inspect
import sys
from importlib import metadata
from importlib.abc import MetaPathFinder
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
    if not any(isinstance(finder, _BeforeKeras) for finder in sys.meta_path):
        sys.meta_path.insert(0, _BeforeKeras())


def _give(module: Any, name: str, value: Any) -> None:
    if name not in vars(module):
        setattr(module, name, value)


_ArgSpec = collections.namedtuple("_ArgSpec", "args varargs keywords defaults")


def _getargspec(function: Any) -> _ArgSpec:
    """The arguments of a function as Python 3.10 and older told them."""
    spec = inspect.getfullargspec(function)
    return _ArgSpec(spec.args, spec.varargs, spec.varkw, spec.defaults)


# --- what Keras 2 needs of other packages --------------------------------------------------------------------------------


class _BeforeKeras(MetaPathFinder):
    """Adapts h5py and yaml to Keras 2 just before it is imported. It finds no modules itself."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "keras":
            sys.meta_path.remove(self)
            try:
                is_old = metadata.version("keras").startswith("2.")
            except metadata.PackageNotFoundError:
                is_old = False
            if is_old:
                _adapt_h5py()
                _adapt_yaml()


def _adapt_h5py() -> None:
    """Attributes of HDF5 files are bytes again, as before h5py 3."""
    try:
        from h5py._hl.attrs import AttributeManager
    except ImportError:
        return
    plain = AttributeManager.__getitem__

    def as_bytes(self: Any, name: Any) -> Any:
        value = plain(self, name)
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, np.ndarray) and not value.size:
            return []  # an empty array has no truth value any more
        if isinstance(value, np.ndarray) and value.dtype.kind in "OU":
            return np.array([v.encode() if isinstance(v, str) else v for v in value.ravel()], "S").reshape(value.shape)
        return value

    AttributeManager.__getitem__ = as_bytes


def _adapt_yaml() -> None:
    """`yaml.load(text)` has a loader again; the safe one."""
    try:
        import yaml
    except ImportError:
        return
    plain = yaml.load

    def load(stream: Any, Loader: Any = yaml.SafeLoader) -> Any:
        return plain(stream, Loader)

    yaml.load = load
