"""`tf.nn.rnn_cell`: cells of recurrent nets: one step from (inputs, state) to (outputs, new state)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import array, math, nn
from .dtypes import float32
from .initializers import constant_initializer, zeros_initializer
from .layers.base import Layer
from .shapes import TensorShape
from .tensor import Tensor

__all__ = [
    "BasicLSTMCell",
    "BasicRNNCell",
    "DropoutWrapper",
    "GRUCell",
    "LSTMCell",
    "LSTMStateTuple",
    "MultiRNNCell",
    "RNNCell",
]


class LSTMStateTuple(NamedTuple):
    """The state of an LSTM: cell `c` and output `h`, both [batch, units]."""

    c: Any
    h: Any

    @property
    def dtype(self) -> Any:
        return self.c.dtype


class RNNCell(Layer):
    """Base class: `cell(inputs, state)` gives (outputs, new state). A size is a number, or a tuple for a state in parts."""

    @property
    def state_size(self) -> Any:
        raise NotImplementedError

    @property
    def output_size(self) -> int:
        raise NotImplementedError

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """The state before the first step."""
        return _zeros(self.state_size, batch_size, dtype)


def _zeros(size: Any, batch_size: Any, dtype: Any) -> Any:
    if isinstance(size, LSTMStateTuple):
        return LSTMStateTuple(*(_zeros(part, batch_size, dtype) for part in size))
    if isinstance(size, (tuple, list)):
        return tuple(_zeros(part, batch_size, dtype) for part in size)
    zeros = array.zeros(array.stack([batch_size, size]), dtype)
    zeros.set_shape([batch_size if isinstance(batch_size, int) else None, size])
    return zeros


class _Cell(RNNCell):
    """A cell with one product of [inputs, state] and a kernel, `parts` times as wide as the state."""

    rank = 2
    parts = 1

    def __init__(
        self,
        num_units: int,
        activation: Callable[[Any], Any] | None = None,
        reuse: Any = None,
        name: str | None = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(name=name, dtype=dtype, _reuse=reuse, **options)
        self._units = int(num_units)
        self._activation = activation or math.tanh

    state_size = property(lambda self: self._units)
    output_size = property(lambda self: self._units)

    def build(self, input_shape: TensorShape) -> None:
        size = self.last_size(input_shape, -1, "last dimension")
        self._kernel, self._bias = self.weights_of("", size, self.parts * self._units, zeros_initializer())

    def weights_of(self, scope: str, size: int, width: int, bias: Any, kernel: Any = None) -> tuple[Any, Any]:
        """Kernel and bias for inputs of `size` beside a state."""
        return (
            self.add_variable(f"{scope}kernel", [size + self._units, width], kernel),
            self.add_variable(f"{scope}bias", [width], bias),
        )

    def product(self, inputs: Any, state: Any, kernel: Any, bias: Any) -> Tensor:
        """[inputs, state] . kernel + bias"""
        return nn.bias_add(math.matmul(array.concat([inputs, state], 1), kernel), bias)


class BasicRNNCell(_Cell):
    """activation([inputs, state] . kernel + bias), which is the new state, too."""

    base_name = "basic_rnn_cell"

    def call(self, inputs: Tensor, *state: Any, **options: Any) -> Any:
        output = self._activation(self.product(inputs, state[0], self._kernel, self._bias))
        return output, output


class GRUCell(_Cell):
    """Gated recurrent units, with the variables gates/kernel, gates/bias, candidate/kernel and candidate/bias."""

    base_name = "gru_cell"

    def __init__(
        self,
        num_units: int,
        activation: Callable[[Any], Any] | None = None,
        reuse: Any = None,
        kernel_initializer: Any = None,
        bias_initializer: Any = None,
        name: str | None = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(num_units, activation, reuse, name, dtype, **options)
        self._initializers = kernel_initializer, bias_initializer

    def build(self, input_shape: TensorShape) -> None:
        size = self.last_size(input_shape, -1, "last dimension")
        kernel, bias = self._initializers
        open_gates = constant_initializer(1.0, dtype=float32) if bias is None else bias
        self._gates = self.weights_of("gates/", size, 2 * self._units, open_gates, kernel)
        self._candidate = self.weights_of("candidate/", size, self._units, bias or zeros_initializer(), kernel)

    def call(self, inputs: Tensor, *state: Any, **options: Any) -> Any:
        (before,) = state
        reset, update = array.split(math.sigmoid(self.product(inputs, before, *self._gates)), 2, axis=1)
        candidate = self._activation(self.product(inputs, reset * before, *self._candidate))
        output = update * before + (1 - update) * candidate
        return output, output


class BasicLSTMCell(_Cell):
    """Long short-term memory without peepholes; `forget_bias` is added to the forget gate."""

    base_name = "basic_lstm_cell"
    parts = 4

    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        state_is_tuple: bool = True,
        activation: Callable[[Any], Any] | None = None,
        reuse: Any = None,
        name: str | None = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(num_units, activation, reuse, name, dtype, **options)
        self._forget_bias, self._is_tuple = forget_bias, state_is_tuple

    @property
    def state_size(self) -> Any:  # type: ignore[override]
        return LSTMStateTuple(self._units, self._units) if self._is_tuple else 2 * self._units

    def call(self, inputs: Tensor, *state: Any, **options: Any) -> Any:
        c, h = state[0] if self._is_tuple else array.split(state[0], 2, axis=1)
        take, new, forget, give = array.split(self.product(inputs, h, self._kernel, self._bias), 4, axis=1)
        c = c * math.sigmoid(forget + self._forget_bias) + math.sigmoid(take) * self._activation(new)
        h = self._activation(c) * math.sigmoid(give)
        return h, LSTMStateTuple(c, h) if self._is_tuple else array.concat([c, h], 1)


class LSTMCell(BasicLSTMCell):
    """Long short-term memory with an initializer and, if asked for, peepholes (gates that see the memory: `w_f_diag`,
    `w_i_diag`, `w_o_diag`), outputs projected to `num_proj` (`projection/kernel`), and limits for memory and outputs."""

    base_name = "lstm_cell"

    def __init__(
        self,
        num_units: int,
        use_peepholes: bool = False,
        cell_clip: float | None = None,
        initializer: Any = None,
        num_proj: int | None = None,
        proj_clip: float | None = None,
        num_unit_shards: int | None = None,
        num_proj_shards: int | None = None,
        forget_bias: float = 1.0,
        state_is_tuple: bool = True,
        activation: Callable[[Any], Any] | None = None,
        reuse: Any = None,
        name: str | None = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(num_units, forget_bias, state_is_tuple, activation, reuse, name, dtype, **options)
        self._initializer, self._clip, self._proj_clip = initializer, cell_clip, proj_clip
        self._sees_memory, self._projects = use_peepholes, num_proj is not None
        self._outputs = self._units if num_proj is None else int(num_proj)

    output_size = property(lambda self: self._outputs)

    @property
    def state_size(self) -> Any:  # type: ignore[override]
        return LSTMStateTuple(self._units, self._outputs) if self._is_tuple else self._units + self._outputs

    def build(self, input_shape: TensorShape) -> None:
        size = self.last_size(input_shape, -1, "last dimension")
        self._kernel = self.add_variable("kernel", [size + self._outputs, 4 * self._units], self._initializer)
        self._bias = self.add_variable("bias", [4 * self._units], zeros_initializer())
        if self._sees_memory:
            names = ("w_f_diag", "w_i_diag", "w_o_diag")
            self._peepholes = [self.add_variable(name, [self._units], self._initializer) for name in names]
        if self._projects:
            self._projection = self.add_variable("projection/kernel", [self._units, self._outputs], self._initializer)

    def call(self, inputs: Tensor, *state: Any, **options: Any) -> Any:
        c, h = state[0] if self._is_tuple else array.split(state[0], [self._units, self._outputs], axis=1)
        take, new, forget, give = array.split(self.product(inputs, h, self._kernel, self._bias), 4, axis=1)
        forget = forget + self._forget_bias
        if self._sees_memory:
            of_forget, of_take, of_give = self._peepholes
            forget, take = forget + of_forget * c, take + of_take * c
        c = math.sigmoid(forget) * c + math.sigmoid(take) * self._activation(new)
        c = _limited(c, self._clip)
        h = math.sigmoid(give + of_give * c if self._sees_memory else give) * self._activation(c)
        if self._projects:
            h = _limited(math.matmul(h, self._projection), self._proj_clip)
        return h, LSTMStateTuple(c, h) if self._is_tuple else array.concat([c, h], 1)


def _limited(x: Tensor, limit: float | None) -> Tensor:
    return x if limit is None else math.minimum(math.maximum(x, -limit), limit)


class MultiRNNCell(RNNCell):
    """Cells one after the other: the outputs of each are the inputs of the next; the state is the tuple of their states."""

    base_name = "multi_rnn_cell"

    def __init__(self, cells: Sequence[RNNCell], state_is_tuple: bool = True) -> None:
        super().__init__()
        if not cells:
            raise ValueError("Must specify at least one cell for MultiRNNCell.")
        if not state_is_tuple:
            raise ValueError("MultiRNNCell keeps its states as a tuple; state_is_tuple=False is not implemented.")
        self._cells = list(cells)

    @property
    def state_size(self) -> Any:
        return tuple(cell.state_size for cell in self._cells)

    @property
    def output_size(self) -> int:
        return self._cells[-1].output_size

    def call(self, inputs: Tensor, *state: Any, **options: Any) -> Any:
        from .variable_scope import variable_scope

        new = []
        for i, (cell, before) in enumerate(zip(self._cells, state[0], strict=True)):
            with variable_scope(f"cell_{i}"):
                inputs, after = cell(inputs, before)
            new.append(after)
        return inputs, tuple(new)


class DropoutWrapper(RNNCell):
    """A cell with dropout on its inputs, its outputs and its state."""

    def __init__(
        self,
        cell: RNNCell,
        input_keep_prob: Any = 1.0,
        output_keep_prob: Any = 1.0,
        state_keep_prob: Any = 1.0,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self._cell, self._seed = cell, seed
        self._keep = input_keep_prob, output_keep_prob, state_keep_prob

    state_size = property(lambda self: self._cell.state_size)
    output_size = property(lambda self: self._cell.output_size)

    def __call__(self, inputs: Any, *state: Any, scope: Any = None, **options: Any) -> Any:
        kept_inputs, kept_outputs, kept_state = self._keep
        outputs, after = self._cell(self._dropped(inputs, kept_inputs), *state, scope=scope)
        return self._dropped(outputs, kept_outputs), self._dropped_state(after, kept_state)

    def _dropped_state(self, state: Any, keep: Any) -> Any:
        if isinstance(state, LSTMStateTuple):  # the memory itself is never dropped
            return LSTMStateTuple(state.c, self._dropped(state.h, keep))
        if isinstance(state, tuple):
            return tuple(self._dropped_state(part, keep) for part in state)
        return self._dropped(state, keep)

    def _dropped(self, values: Any, keep: Any) -> Any:
        return values if isinstance(keep, (int, float)) and keep == 1 else nn.dropout(values, keep, seed=self._seed)
