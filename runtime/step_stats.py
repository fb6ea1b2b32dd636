"""A traced run as the messages that TensorBoard reads: RunMetadata with StepStats, one NodeExecStats for each operation.

The label of a node is `NAME = TYPE(INPUT, ...): NOTE`, where the note names the kernel that computed it; nodes that are
fused into the kernel of another have no time of their own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..event_protos import message_class
from ..graph_util import extract_sub_graph
from ..tensor import Operation
from .config import RunOptions
from .devices import LOCAL
from .machine import Machine, Step
from .trace import NodeTime, Output, run_traced

DEVICE = f"{LOCAL}/device:CPU:0"
ALLOCATOR = "cpu"
CLUSTER = "_XlaCluster"
KERNELS, PYTHON = 0, 1  # rows of the timeline
_THREADS = {KERNELS: "kernels", PYTHON: "Python"}


def check_options(options: Any, run_metadata: Any) -> None:
    """TypeError for what is no `tf.RunOptions` or `tf.RunMetadata`."""
    if options is not None and not hasattr(options, "trace_level"):
        raise TypeError(f"options must be a tf.RunOptions, but got {options!r}")
    if run_metadata is not None and not hasattr(run_metadata, "ParseFromString"):
        raise TypeError(f"run_metadata must be a tf.RunMetadata, but got {run_metadata!r}")


def run_reported(machine: Machine, options: Any, run_metadata: Any, step: Step, arrays: Sequence[np.ndarray]) -> list[Any]:
    """Run `step` and set `run_metadata` (None: nothing) to what `options` ask to be told about it. Raises what a run raises;
    then `run_metadata` is as it was. ImportError without the package `tensorboard`."""
    if run_metadata is None:
        return step.run(arrays)
    if options is None or options.trace_level == RunOptions.NO_TRACE:
        results = step.run(arrays)
        run_metadata.Clear()
        return results
    report = message_class("RunMetadata")()
    to_epoch = time.time_ns() - time.perf_counter_ns()
    results, times = run_traced(machine, step, arrays)
    for device in dict.fromkeys(["", *(entry.device for entry in times)]):
        own = [entry for entry in times if entry.device == device]
        if own or not device:
            _fill(report.step_stats.dev_stats.add(), device, own, to_epoch)
    if options.output_partition_graphs and times:
        _fill_graph(report.partition_graphs.add(), times)
    run_metadata.ParseFromString(report.SerializeToString())  # it may be a message of TensorFlow's own
    return results


def _fill(device: Any, name: str, times: Sequence[NodeTime], to_epoch: int) -> None:
    """The DeviceStepStats of a GPU of that name, else of the CPU. `to_epoch` is what to add to the clock of the trace."""
    device.device = name or DEVICE
    allocator = f"GPU_{name.rpartition(':')[2]}" if name else ALLOCATOR
    for thread in sorted({PYTHON if entry.in_python else KERNELS for entry in times}):
        device.thread_names[thread] = _THREADS[thread]
    for entry in times:
        stats = device.node_stats.add(node_name=entry.op.name, timeline_label=label(entry))
        stats.thread_id = PYTHON if entry.in_python else KERNELS
        _fill_times(stats, entry.begin + to_epoch, entry.end - entry.begin)
        held = sum(output.held_bytes for output in entry.outputs)
        if held:
            stats.memory.add(allocator_name=allocator, total_bytes=held, peak_bytes=held, live_bytes=held)
        stats.memory_stats.temp_memory_size = entry.scratch_bytes
        for slot, output in enumerate(entry.outputs):
            _fill_output(stats.output.add(slot=slot), output, allocator)


def _fill_times(stats: Any, begin: int, duration: int) -> None:
    """The same in nanoseconds and in microseconds, of which what has run takes at least one."""
    stats.all_start_nanos = stats.scheduled_nanos = begin
    stats.op_end_rel_nanos = stats.all_end_rel_nanos = duration
    stats.all_start_micros = stats.scheduled_micros = begin // 1000
    stats.op_end_rel_micros = stats.all_end_rel_micros = -(-duration // 1000)


def _fill_output(message: Any, output: Output, allocator: str) -> None:
    description = message.tensor_description
    description.dtype = output.dtype.enum
    description.shape.SetInParent()  # a shape without dimensions is that of a scalar
    if output.dims is None:
        description.shape.unknown_rank = True
    for size in output.dims or ():
        description.shape.dim.add(size=-1 if size is None else size)
    allocation = description.allocation_description
    allocation.allocator_name = allocator
    allocation.requested_bytes = allocation.allocated_bytes = output.held_bytes


def _fill_graph(message: Any, times: Sequence[NodeTime]) -> None:
    """A GraphDef of the operations of the run. The kernel of each stands where TensorFlow notes a cluster of fused
    operations, by which TensorBoard can colour a graph."""
    names = list(dict.fromkeys(entry.op.name for entry in times))
    message.CopyFrom(extract_sub_graph(times[0].op.graph.as_graph_def(add_shapes=True), names))
    kernels = {entry.op.name: entry.kernels[0] for entry in times if entry.kernels}
    devices = {entry.op.name: entry.device for entry in times}
    for node in message.node:
        node.device = devices.get(node.name) or DEVICE
        if node.name in kernels:
            node.attr[CLUSTER].s = kernels[node.name].encode()


def label(entry: NodeTime) -> str:
    """`NAME = TYPE(INPUT, ...): NOTE`."""
    return f"{entry.op.name} = {entry.op.type}({', '.join(_inputs(entry.op))}): {entry.note}"


def _inputs(op: Operation) -> list[str]:
    """As a GraphDef has them: the first output of an operation goes by the operation's name."""
    data = [t.op.name if t.value_index == 0 else t.name for t in op.inputs]
    return [*data, *(f"^{control.name}" for control in op.control_inputs)]
