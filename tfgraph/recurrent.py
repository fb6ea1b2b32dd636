"""`tf.nn`: recurrent nets over a number of steps that is known when the graph is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from . import array, math, nest
from .convert import convert_to_tensor
from .dtypes import int32
from .graph import get_default_graph
from .rnn_cell import RNNCell
from .tensor import Tensor
from .variable_scope import variable_scope

__all__ = ["bidirectional_dynamic_rnn", "dynamic_rnn", "static_bidirectional_rnn", "static_rnn"]


def static_rnn(
    cell: RNNCell,
    inputs: Sequence[Any],
    initial_state: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> tuple[list[Any], Any]:
    """The outputs of `cell` for each of `inputs` ([batch, size] each), and the state after the last.

    With `sequence_length` ([batch]) the outputs behind an example's end are zeros, and its state stays. ValueError if there
    are no inputs, or neither an initial state nor a dtype.
    """
    if not isinstance(inputs, (list, tuple)):
        raise TypeError("inputs must be a sequence")
    if not inputs:
        raise ValueError("inputs must not be empty")
    return _unrolled(cell, inputs, initial_state, dtype, sequence_length, scope, lambda step: nullcontext())


_SEEDS_PER_STEP = 2**20


@contextmanager
def _seeds_of_a_loop(step: int) -> Iterator[None]:
    """Around a step that TensorFlow builds once for all: what is built afterwards gets the seeds that it gets there."""
    graph = get_default_graph()
    before = graph.seeds_given
    graph.seeds_given += step * _SEEDS_PER_STEP
    yield
    if step:
        graph.seeds_given = before


def _unrolled(
    cell: RNNCell,
    inputs: Sequence[Any],
    initial_state: Any,
    dtype: Any,
    sequence_length: Any,
    scope: Any,
    around: Callable[[int], AbstractContextManager[None]],
) -> tuple[list[Any], Any]:
    """`static_rnn`, with each step's nodes made inside `around(step)`."""
    with variable_scope(scope or "rnn"):
        inputs = [convert_to_tensor(x) for x in inputs]
        state = _first_state(cell, inputs[0], initial_state, dtype)
        lengths = None if sequence_length is None else math.cast(sequence_length, int32)
        outputs = []
        for step, x in enumerate(inputs):
            with around(step):
                output, after = cell(x, state)
            if lengths is not None:
                goes_on = math.less(step, lengths)
                output = array.where(goes_on, output, array.zeros_like(output))
                pairs = zip(nest.flatten(after), nest.flatten(state), strict=True)
                after = nest.pack_as(after, [array.where(goes_on, new, old) for new, old in pairs])
            outputs.append(output)
            state = after
        return outputs, state


def _first_state(cell: RNNCell, x: Tensor, initial_state: Any, dtype: Any) -> Any:
    if initial_state is not None:
        return initial_state
    if dtype is None:
        raise ValueError("If no initial_state is provided, dtype must be specified")
    size = x.shape[0].value
    return cell.zero_state(array.shape(x)[0] if size is None else size, dtype)


def static_bidirectional_rnn(
    cell_fw: RNNCell,
    cell_bw: RNNCell,
    inputs: Sequence[Any],
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> tuple[list[Any], Any, Any]:
    """Outputs of two cells, one of which reads backwards, joined per step; and both last states."""
    with variable_scope(scope or "bidirectional_rnn"):
        forward, state_fw = static_rnn(cell_fw, inputs, initial_state_fw, dtype, sequence_length, scope="fw")
        turned = _turned(inputs, sequence_length)
        backward, state_bw = static_rnn(cell_bw, turned, initial_state_bw, dtype, sequence_length, scope="bw")
        backward = _turned(backward, sequence_length)
        outputs = [array.concat([one, other], 1) for one, other in zip(forward, backward, strict=True)]
        return outputs, state_fw, state_bw


def _turned(steps: Sequence[Any], sequence_length: Any) -> list[Any]:
    """The steps from the last to the first; those behind an example's end stay where they are."""
    if sequence_length is None:
        return list(reversed(steps))
    lengths = array.expand_dims(math.cast(sequence_length, int32), 1)  # (batch, 1)
    at = array.expand_dims(array.range(len(steps)), 0)  # (1, time)
    mirrored = array.where(math.less(at, lengths), lengths - 1 - at, at + array.zeros_like(lengths))
    example = array.expand_dims(array.range(array.shape(lengths)[0]), 1) + array.zeros_like(at)
    stacked = array.stack(list(steps), axis=1)  # (batch, time, size)
    return array.unstack(array.gather_nd(stacked, array.stack([example, mirrored], axis=2)), len(steps), axis=1)


def dynamic_rnn(
    cell: RNNCell,
    inputs: Any,
    sequence_length: Any = None,
    initial_state: Any = None,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
) -> tuple[Tensor, Any]:
    """The outputs of `cell` over [batch, time, size] ([time, batch, size] if `time_major`) and the last state.

    The steps are written out, so the number of them has to be known: ValueError otherwise.
    """
    inputs = convert_to_tensor(inputs)
    axis = 0 if time_major else 1
    unstacked = _steps(inputs, axis, "dynamic_rnn")
    outputs, state = _unrolled(cell, unstacked, initial_state, dtype, sequence_length, scope, _seeds_of_a_loop)
    return array.stack(outputs, axis), state


def _steps(inputs: Tensor, axis: int, function: str) -> list[Any]:
    """The slices of `inputs` along the axis of time. ValueError if their number is not known."""
    steps = inputs.shape[axis].value if inputs.shape.ndims is not None else None
    if steps is None:
        raise ValueError(
            f"{function}: the number of time steps of {inputs.op.name!r} with shape {inputs.shape} (axis {axis}) is not "
            f"known; give the placeholder that size."
        )
    return array.unstack(inputs, steps, axis)


def bidirectional_dynamic_rnn(
    cell_fw: RNNCell,
    cell_bw: RNNCell,
    inputs: Any,
    sequence_length: Any = None,
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
) -> tuple[tuple[Tensor, Tensor], tuple[Any, Any]]:
    """The outputs and the last states of two cells over [batch, time, size] ([time, batch, size] if `time_major`), of which
    the second reads each example from its end. The steps are written out, so the number of them has to be known."""
    with variable_scope(scope or "bidirectional_rnn"):
        inputs = convert_to_tensor(inputs)
        steps = _steps(inputs, 0 if time_major else 1, "bidirectional_dynamic_rnn")
        forward, state_fw = _unrolled(cell_fw, steps, initial_state_fw, dtype, sequence_length, "fw", _seeds_of_a_loop)
        turned = _turned(steps, sequence_length)
        backward, state_bw = _unrolled(cell_bw, turned, initial_state_bw, dtype, sequence_length, "bw", _seeds_of_a_loop)
        both = forward, _turned(backward, sequence_length)
        joined = [array.stack(outputs, 0 if time_major else 1) for outputs in both]
        return (joined[0], joined[1]), (state_fw, state_bw)
