"""The message classes of event files, `Summary` and `RunMetadata` among them. They come from the package `tensorboard`.

They are looked up when they are first used: everything but writing event files works without that package.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

HOW_TO_INSTALL = "pip install 'tfgraph-compiler[tensorboard]', or pip install -e '.[tensorboard]' in a checkout"
_MODULES = {
    "AttrValue": "attr_value_pb2",
    "Event": "event_pb2",
    "GraphDef": "graph_pb2",
    "HistogramProto": "summary_pb2",
    "MetaGraphDef": "meta_graph_pb2",
    "NodeDef": "node_def_pb2",
    "RunMetadata": "config_pb2",
    "SessionLog": "event_pb2",
    "Summary": "summary_pb2",
    "SummaryDescription": "summary_pb2",
    "SummaryMetadata": "summary_pb2",
    "TaggedRunMetadata": "event_pb2",
}
NAMES = frozenset(_MODULES)


def attribute(module: str, name: str) -> Any:
    """The message class as an attribute of `module`; AttributeError if there is none of this name."""
    if name not in _MODULES:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    return message_class(name)


def message_class(name: str) -> Any:
    """The message class of this name. ImportError without the package."""
    return getattr(tensorboard_module(f"tensorboard.compat.proto.{_MODULES[name]}", f"tf.{name}"), name)


def tensorboard_module(module: str, what: str) -> Any:
    """A module of the package `tensorboard`, which `what` needs; the ImportError says how to install it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"{what} needs the package tensorboard ({error}): {HOW_TO_INSTALL}") from error
