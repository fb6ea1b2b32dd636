"""TensorFlow of today as its first major version: `python -m benchmarks.as_tensorflow_1 SCRIPT [ARGUMENT ...]`.

The other side of `python -m tfgraph run`: `import tensorflow` gives `tensorflow.compat.v1` with the version, modules and
names that it has dropped since and that Keras 2.2.4 and scripts of 2017 ask for.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from types import ModuleType
from typing import Any

VERSION = "1.14.0"  # Keras 2.2.4 asks which one it is


def install() -> None:
    """Change the module `tensorflow` of this process. ImportError if there is none."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # `tf.layers` is made of it
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tensorflow: Any = importlib.import_module("tensorflow")
    v1 = tensorflow.compat.v1
    v1.disable_v2_behavior()
    v1.logging.set_verbosity(v1.logging.ERROR)
    for name in dir(v1):
        if not name.startswith("__"):
            setattr(tensorflow, name, getattr(v1, name))
    tensorflow.__version__ = VERSION
    _dropped_names()
    _contrib(tensorflow, v1)
    _tutorial_digits()
    for name in [name for name in sys.modules if name.split(".")[0] == "keras"]:
        del sys.modules[name]  # another Keras, which TensorFlow has loaded


def _dropped_names() -> None:
    """What Keras 2.2.4 reads from inside."""
    from tensorflow.python.client import session
    from tensorflow.python.framework import ops, tensor
    from tensorflow.python.ops import variables

    inside: Any = ops
    inside._TensorLike = tensor.Tensor
    inside.is_dense_tensor_like = lambda x: isinstance(x, (tensor.Tensor, variables.Variable))
    # with it, Keras would pass on messages of other versions; without it, it calls `run`
    del session.BaseSession._make_callable_from_options


def _contrib(tensorflow: Any, v1: Any) -> None:
    """The parts of `tf.contrib` that were TensorFlow's own under another name."""
    parts = {
        "layers": {"flatten": v1.layers.flatten, "xavier_initializer": v1.glorot_uniform_initializer},
        "rnn": {**{name: getattr(v1.nn.rnn_cell, name) for name in dir(v1.nn.rnn_cell)}, "static_rnn": v1.nn.static_rnn},
    }
    tensorflow.contrib = sys.modules["tensorflow.contrib"] = ModuleType("tensorflow.contrib")
    for part, names in parts.items():
        module = sys.modules[f"tensorflow.contrib.{part}"] = ModuleType(f"tensorflow.contrib.{part}")
        vars(module).update(names)
        setattr(tensorflow.contrib, part, module)


def _tutorial_digits() -> None:
    """`tensorflow.examples.tutorials.mnist.input_data` with tfgraph's reader, which needs nothing of TensorFlow."""
    from tfgraph.aliases import input_data

    path = "tensorflow"
    for part in ("examples", "tutorials", "mnist"):
        path += f".{part}"
        sys.modules[path] = ModuleType(path)
        sys.modules[path].__path__ = []
    sys.modules[f"{path}.input_data"] = input_data
    vars(sys.modules[path])["input_data"] = input_data


def run_script(arguments: list[str]) -> None:
    """Run a script with its arguments as the main program of this process, after `install`."""
    from tfgraph.aliases import era

    era.install()
    sys.argv = arguments
    sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
    runpy.run_path(arguments[0], run_name="__main__")


def main() -> None:
    install()
    run_script(sys.argv[1:])


if __name__ == "__main__":
    main()
