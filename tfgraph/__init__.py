"""TensorFlow 1.x graphs, compiled: `import tfgraph as tf`.

This module only gathers the public names. Arithmetic, reductions and matrices are in `math`, shapes and slices in `array`,
layers in `nn`, variables in `variables`, `variable_scope` and `state`, training in `train`, sessions in `runtime`.
"""

# ruff: noqa: F401, F403 (every import here is for the users of this module)

from __future__ import annotations

from typing import Any as _Any

from . import errors, initializers, layers, losses, metrics, nn, summary, train
from .array import *
from .control_flow import *
from .convert import constant, convert_to_tensor
from .device import DeviceSpec
from .dtypes import (
    DType,
    as_dtype,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    string,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .dtypes import bool_ as bool
from .errors import OpError
from .gradients import *
from .graph import Graph, get_default_graph, get_default_session, reset_default_graph
from .importer import import_graph_def
from .initializers import *
from .keys import GraphKeys
from .math import *
from .random import *
from .runtime import (
    ConfigProto,
    GPUOptions,
    GraphOptions,
    InteractiveSession,
    OptimizerOptions,
    RunOptions,
    Session,
)
from .runtime.export import compile
from .shapes import Dimension, TensorShape
from .sparse import *
from .state import *
from .tensor import Operation, Tensor
from .variable_scope import *
from .variables import Variable

half, double = float16, float64

# the API level that libraries ask for before they choose what to call
__version__ = VERSION = "1.14.0"


def __getattr__(name: str) -> _Any:
    """`Summary`, `Event` and the other messages of event files, from the package `tensorboard`; modules that few scripts
    use; an error that names the nearest thing for what is not here."""
    from .aliases import lazy

    return lazy.attribute(name)
