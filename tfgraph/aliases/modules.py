"""Modules of this package in the place of TensorFlow's: `import tensorflow` and what published code imports from inside it.

`install()` puts a finder before all others; it serves `tensorflow` and everything below it, so that a TensorFlow that is
installed, too, is not touched.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .names import PACKAGE, missing, names_of_tensorflow, resolved

ROOT = "tensorflow"

# TensorBoard reads event files by means of its own if there is such a module, and of `tensorflow` otherwise
TENSORBOARD_ALONE = "tensorboard.compat.notf"

# modules inside TensorFlow that published code imports, and the namespaces of `tf` in which their names are looked up
INSIDE: dict[str, tuple[str, ...]] = {
    "": ("",),
    "compat": ("compat",),
    "compat.v1": ("",),
    "contrib.tensorboard": (),
    "contrib.tensorboard.plugins": (),
    "python": (),
    "python.client": ("",),
    "python.client.device_lib": (),
    "python.client.session": ("",),
    "python.eager": (),
    "python.eager.context": (),
    "python.framework": (),
    "python.framework.constant_op": ("",),
    "python.framework.dtypes": ("",),
    "python.framework.errors": ("errors",),
    "python.framework.errors_impl": ("errors",),
    "python.framework.graph_util": ("graph_util",),
    "python.framework.importer": ("",),
    "python.framework.ops": ("",),
    "python.framework.random_seed": ("",),
    "python.framework.tensor_shape": ("",),
    "python.framework.tensor_util": (),
    "python.layers": (),
    "python.layers.base": ("layers",),
    "python.layers.convolutional": ("layers",),
    "python.layers.core": ("layers",),
    "python.layers.normalization": ("layers",),
    "python.layers.pooling": ("layers",),
    "python.lib": (),
    "python.lib.io": (),
    "python.lib.io.file_io": ("gfile",),
    "python.ops": (),
    "python.ops.array_ops": ("",),
    "python.ops.check_ops": ("", "debugging"),
    "python.ops.clip_ops": ("",),
    "python.ops.control_flow_ops": ("",),
    "python.ops.ctc_ops": ("nn",),
    "python.ops.embedding_ops": ("nn",),
    "python.ops.functional_ops": ("",),
    "python.ops.gen_array_ops": ("",),
    "python.ops.gen_math_ops": ("", "math"),
    "python.ops.gen_nn_ops": ("nn",),
    "python.ops.gradients": ("",),
    "python.ops.image_ops": ("image",),
    "python.ops.init_ops": ("",),
    "python.ops.linalg_ops": ("", "linalg"),
    "python.ops.logging_ops": ("", "summary"),
    "python.ops.losses": (),
    "python.ops.losses.losses": ("losses",),
    "python.ops.losses.losses_impl": ("losses",),
    "python.ops.math_ops": ("", "math"),
    "python.ops.metrics": ("metrics",),
    "python.ops.nn": ("nn",),
    "python.ops.nn_impl": ("nn",),
    "python.ops.nn_ops": ("nn",),
    "python.ops.random_ops": ("",),
    "python.ops.rnn": ("nn",),
    "python.ops.rnn_cell": ("nn.rnn_cell",),
    "python.ops.rnn_cell_impl": ("nn.rnn_cell",),
    "python.ops.script_ops": ("",),
    "python.ops.sparse_ops": ("",),
    "python.ops.standard_ops": ("",),
    "python.ops.state_ops": ("",),
    "python.ops.string_ops": ("strings", ""),
    "python.ops.summary_ops": ("summary",),
    "python.ops.tensor_array_ops": ("",),
    "python.ops.variable_scope": ("",),
    "python.ops.variables": ("",),
    "python.platform": (),
    "python.platform.app": ("app",),
    "python.platform.flags": ("flags",),
    "python.platform.gfile": ("gfile",),
    "python.platform.test": ("test",),
    "python.platform.tf_logging": ("logging",),
    "python.saved_model": (),
    "python.summary": (),
    "python.summary.summary": ("summary",),
    "python.tools": (),
    "python.tools.freeze_graph": (),
    "python.training": (),
    "python.training.adam": ("train",),
    "python.training.gradient_descent": ("train",),
    "python.training.learning_rate_decay": ("train",),
    "python.training.momentum": ("train",),
    "python.training.optimizer": ("train",),
    "python.training.saver": ("train",),
    "python.training.training": ("train",),
    "python.training.training_util": ("train",),
    "python.util": (),
    "python.util.nest": ("nest",),
    "core": (),
    "core.framework": (),
    "core.framework.graph_pb2": ("",),
    "core.framework.node_def_pb2": ("",),
    "core.framework.summary_pb2": ("",),
    "core.protobuf": (),
    "core.protobuf.config_pb2": ("",),
    "core.protobuf.meta_graph_pb2": ("",),
    "core.util": (),
    "core.util.event_pb2": ("",),
    "examples": (),
    "examples.tutorials": (),
    "examples.tutorials.mnist": (),
}

# TensorFlow's module -> a module of this package that takes its place whole
WHOLE: dict[str, str] = {
    "contrib.tensorboard.plugins.projector": "contrib.projector",
    "examples.tutorials.mnist.input_data": "aliases.input_data",
    "python.client.timeline": "timeline",
    "python.training.moving_averages": "moving_averages",
}


def _list_local_devices() -> Any:
    from .. import Session

    with Session() as sess:
        return sess.list_devices()


def _is_dense_tensor_like(value: Any) -> bool:
    from .. import Tensor, Variable

    return isinstance(value, (Tensor, Variable))


# names of modules inside TensorFlow that its public namespaces do not have
EXTRA: dict[str, Callable[[], Any]] = {
    "python.framework.ops._TensorLike": lambda: resolved("Tensor"),
    "python.framework.ops.is_dense_tensor_like": lambda: _is_dense_tensor_like,
    "python.framework.ops.reset_default_graph": lambda: resolved("reset_default_graph"),
    "python.client.device_lib.list_local_devices": lambda: _list_local_devices,
    "python.ops.variables.VariableV1": lambda: resolved("Variable"),
    "python.ops.variables.RefVariable": lambda: resolved("Variable"),
    "python.eager.context.executing_eagerly": lambda: (lambda: False),
}


class StandIn(ModuleType):
    """TensorFlow, or a module inside it, whose names are looked up in public namespaces when they are used."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{ROOT}.{path}" if path else ROOT)
        self.__path__: list[str] = []
        self._tf_path = path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name)
        inner = f"{self._tf_path}.{name}".lstrip(".")
        if inner in EXTRA:
            return EXTRA[inner]()
        if inner in INSIDE or inner in WHOLE:
            return importlib.import_module(f"{ROOT}.{inner}")
        error: AttributeError | None = None
        for namespace in INSIDE[self._tf_path]:
            try:
                return resolved(f"{namespace}.{name}".lstrip("."))
            except AttributeError as problem:
                error = problem
        # only now: looking for the nearest name takes a millisecond
        raise error or missing(self._tf_path, name, dir(self))

    def __dir__(self) -> list[str]:
        spaces = [resolved(space) for space in INSIDE[self._tf_path]]
        return sorted({name for space in spaces for name in dir(space)})


class Finder(MetaPathFinder, Loader):
    """Finds `tensorflow` and every module below it that there is a stand-in for."""

    def __init__(self) -> None:
        self._specs: dict[str, ModuleSpec | None] = {}

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name == TENSORBOARD_ALONE:
            return ModuleSpec(name, self)
        if name != ROOT and not name.startswith(ROOT + "."):
            return None
        inner = name[len(ROOT) + 1 :]
        if inner not in WHOLE and inner not in INSIDE and self._namespace(inner) is None:
            known = inner in names_of_tensorflow() or inner.split(".")[0] in ("contrib", "keras", "python", "core")
            said = f"tfgraph has no {name} yet" if known else f"No module named {name!r}"
            raise ModuleNotFoundError(said, name=name)
        return ModuleSpec(name, self, is_package=True)

    @staticmethod
    def _namespace(inner: str) -> ModuleType | None:
        """The module that is `tf.<inner>` here."""
        try:
            found = resolved(inner)
        except (AttributeError, ImportError):
            return None
        return found if isinstance(found, ModuleType) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        if spec.name == TENSORBOARD_ALONE:
            return ModuleType(spec.name)
        inner = spec.name[len(ROOT) + 1 :]
        if inner in INSIDE:
            return StandIn(inner)
        found = importlib.import_module(f"{PACKAGE}.{WHOLE[inner]}") if inner in WHOLE else self._namespace(inner)
        assert found is not None, "find_spec has seen it"
        self._specs[spec.name] = found.__spec__
        return found

    def exec_module(self, module: ModuleType) -> None:
        """A module that stands in whole has been loaded under its own name, and keeps its own spec."""
        assert module.__spec__ is not None
        module.__spec__ = self._specs.pop(module.__spec__.name, module.__spec__)


def install() -> None:
    """From now on `import tensorflow` gives this package. RuntimeError if TensorFlow itself has been imported already."""
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        return
    loaded = sys.modules.get(ROOT)
    if loaded is not None and not isinstance(loaded, StandIn):
        raise RuntimeError("TensorFlow itself has been imported already; tfgraph cannot take its place any more.")
    sys.meta_path.insert(0, Finder())


def uninstall() -> None:
    """Undo `install`; modules that have been imported keep what they have."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Finder)]
    for name in [name for name in sys.modules if name in (ROOT, TENSORBOARD_ALONE) or name.startswith(ROOT + ".")]:
        del sys.modules[name]
