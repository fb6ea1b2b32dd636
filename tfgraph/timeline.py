"""`Timeline`: the times of a traced run as a Chrome trace, for chrome://tracing and Perfetto.

    options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
    run_metadata = tf.RunMetadata()
    sess.run(train, feeds, options=options, run_metadata=run_metadata)
    Path("step.json").write_text(Timeline(run_metadata.step_stats).generate_chrome_trace_format())

Scripts find it as `tensorflow.python.client.timeline`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Timeline"]

_LABEL = re.compile(r"(?P<name>.*?) = (?P<type>[^ (]+)\((?P<inputs>[^()]*)\)(?:: (?P<note>.*))?")
_PART_OF = re.compile(r"(?:runs as|fused into) (.+)")

Event = dict[str, Any]


@dataclass(frozen=True)
class _Node:
    """One operation in a run; times in microseconds since the first one began."""

    name: str
    type: str
    inputs: tuple[str, ...]  # the operations that it reads
    kernels: tuple[str, ...]  # that it is part of
    note: str
    thread: int
    begin: float
    duration: float
    shapes: tuple[str, ...]
    held: Mapping[str, int]  # allocator -> bytes of the results


class Timeline:
    """The times in a StepStats message, of this package's runs or of TensorFlow's. `graph` has no effect."""

    def __init__(self, step_stats: Any, graph: Any = None) -> None:
        self._step_stats = step_stats

    def generate_chrome_trace_format(self, show_dataflow: bool = True, show_memory: bool = False) -> str:
        """The trace as JSON. `show_dataflow` draws an arrow from each kernel to those that read its results,
        `show_memory` how many bytes of results are held at each time."""
        events: list[Event] = []
        devices = self._step_stats.dev_stats
        first = min((_begin(stats) for device in devices for stats in device.node_stats), default=0)
        for process, device in enumerate(devices):
            nodes = [_node(stats, first) for stats in device.node_stats]
            working = [node for node in nodes if node.kernels or node.duration]
            events += _names(process, device)
            events += [_slice(process, node, working) for node in working]
            flow = _Flow(nodes, working)
            events += flow.arrows(process) if show_dataflow else []
            events += flow.memory(process) if show_memory else []
        for number, event in enumerate(e for e in events if e["ph"] in "st"):
            event["id"] = number // 2  # an arrow is two events
        return json.dumps({"traceEvents": events}, indent=1)


def _begin(stats: Any) -> int:
    """In nanoseconds."""
    return stats.all_start_nanos or 1000 * stats.all_start_micros


def _node(stats: Any, first: int) -> _Node:
    match = _LABEL.match(stats.timeline_label)
    label = match.groupdict() if match else {"name": stats.node_name, "type": "unknown", "inputs": "", "note": ""}
    note = label["note"] or ""
    part_of = _PART_OF.fullmatch(note)
    held: dict[str, int] = {}
    for memory in stats.memory:
        held[memory.allocator_name] = held.get(memory.allocator_name, 0) + memory.total_bytes
    shapes = (output.tensor_description.shape for output in stats.output)
    return _Node(
        name=stats.node_name,
        type=label["type"],
        inputs=tuple(i.partition(":")[0] for i in label["inputs"].split(", ") if i and i[0] != "^"),
        kernels=tuple(part_of[1].split(", ")) if part_of else (),
        note=note,
        thread=stats.thread_id,
        begin=(_begin(stats) - first) / 1000,
        duration=(stats.all_end_rel_nanos / 1000) or stats.all_end_rel_micros,
        shapes=tuple(str([dim.size for dim in shape.dim]) for shape in shapes),
        held=held,
    )


# --- events ---------------------------------------------------------------------------------------------------------


def _names(process: int, device: Any) -> Iterator[Event]:
    """What the rows are called."""
    yield {"ph": "M", "name": "process_name", "pid": process, "args": {"name": device.device}}
    for thread, name in sorted(device.thread_names.items()):
        yield {"ph": "M", "name": "thread_name", "pid": process, "tid": thread, "args": {"name": name}}


def _slice(process: int, node: _Node, nodes: Sequence[_Node]) -> Event:
    """One operation; what is fused into another's kernel takes no time."""
    args: dict[str, Any] = {"name": node.name, "op": node.type}
    args |= {f"input{i}": name for i, name in enumerate(node.inputs)}
    if node.kernels:
        args["kernel"] = ", ".join(node.kernels)
    if node.duration and node.kernels:
        args["fused"] = [other.name for other in nodes if node.kernels[0] in other.kernels and other.name != node.name]
    elif node.note:
        args["note"] = node.note
    if node.shapes:
        args["shapes"] = list(node.shapes)
    if node.held:
        args["bytes"] = sum(node.held.values())
    times = {"ts": node.begin, "dur": node.duration, "pid": process, "tid": node.thread}
    return {"ph": "X", "cat": "Op", "name": node.type, **times, "args": args}


class _Flow:
    """Which kernels read the results of which."""

    def __init__(self, nodes: Sequence[_Node], working: Sequence[_Node]) -> None:
        self.working = working
        timed = {kernel: node for node in working if node.duration for kernel in node.kernels}
        # operation -> the one that has the time of the kernel that computes it
        self.homes: dict[str, _Node] = {}
        for node in working:
            home = node if node.duration else next((timed[k] for k in node.kernels if k in timed), node)
            if node.duration or node.name not in self.homes:
                self.homes[node.name] = home
        # operation -> those that compute what it gives: itself, or where a view of something comes from
        self.sources = {name: frozenset([name]) for name in self.homes}
        for node in nodes:
            if node.name not in self.homes:
                self.sources[node.name] = self._read_by(node)

    def _read_by(self, node: _Node) -> frozenset[str]:
        return frozenset(source for name in node.inputs for source in self.sources.get(name, ()))

    def arrows(self, process: int) -> Iterator[Event]:
        """From the end of each kernel to the beginning of those that read its results, two events each."""
        pairs = {}
        for node in self.working:
            consumer = self.homes[node.name]
            for producer in (self.homes[name] for name in sorted(self._read_by(node))):
                if producer.begin + producer.duration <= consumer.begin:
                    pairs[producer.name, producer.begin, consumer.name, consumer.begin] = (producer, consumer)
        for producer, consumer in pairs.values():
            shared = {"cat": "DataFlow", "name": producer.name, "pid": process}
            yield {"ph": "s", **shared, "tid": producer.thread, "ts": producer.begin + producer.duration}
            yield {"ph": "t", **shared, "tid": consumer.thread, "ts": consumer.begin}

    def memory(self, process: int) -> Iterator[Event]:
        """The bytes of results at the times when they change: a result is held from its kernel's beginning to the end of
        the last one that reads it, to the end of the run if there is none."""
        end_of_run = max((node.begin + node.duration for node in self.working), default=0.0)
        read_until: dict[str, float] = {}
        for node in self.working:
            home = self.homes[node.name]
            for name in self._read_by(node) - {node.name}:
                read_until[name] = max(read_until.get(name, 0.0), home.begin + home.duration)
        changes: dict[tuple[float, str], int] = {}
        for node in self.working:
            until = max(read_until.get(node.name, end_of_run), node.begin + node.duration)
            for allocator, size in node.held.items():
                for key, change in (((node.begin, allocator), size), ((until, allocator), -size)):
                    changes[key] = changes.get(key, 0) + change
        held: dict[str, int] = {}
        for (time, allocator), change in sorted(changes.items()):
            held[allocator] = held.get(allocator, 0) + change
            yield {"ph": "C", "name": allocator, "pid": process, "ts": time, "args": {"bytes": held[allocator]}}
