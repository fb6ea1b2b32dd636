"""`tf.contrib`: the few parts of it that many scripts use: `layers`, `rnn` and `framework`."""

from ..aliases.names import missing_from
from . import framework, layers, rnn

__all__ = ["framework", "layers", "rnn"]

__getattr__ = missing_from(__name__, __all__)
