"""`tf.contrib.rnn`: the cells and nets of `tf.nn` under their older names."""

from ..aliases.names import missing_from
from ..recurrent import static_bidirectional_rnn, static_rnn
from ..rnn_cell import (
    BasicLSTMCell,
    BasicRNNCell,
    DropoutWrapper,
    GRUCell,
    LSTMCell,
    LSTMStateTuple,
    MultiRNNCell,
    RNNCell,
)

__all__ = [
    "BasicLSTMCell",
    "BasicRNNCell",
    "DropoutWrapper",
    "GRUCell",
    "LSTMCell",
    "LSTMStateTuple",
    "MultiRNNCell",
    "RNNCell",
    "static_bidirectional_rnn",
    "static_rnn",
]

__getattr__ = missing_from(__name__, __all__)
