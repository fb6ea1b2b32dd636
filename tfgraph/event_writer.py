"""Event files, which TensorBoard reads: summaries, graphs and other events of a training, in the order they are added."""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
import warnings
import weakref
from typing import Any, ClassVar

from .event_protos import message_class, tensorboard_module
from .graph import Graph, get_default_graph

__all__ = ["FileWriter", "FileWriterCache"]

_FORMAT = "brain.Event:2"
_numbers = itertools.count()  # two files of one process and second have different names


class _EventFile:
    """One event file. Events are on the disk after `max_queue` more of them or after `flush_secs` seconds."""

    def __init__(self, folder: str, max_queue: int, flush_secs: float, suffix: str) -> None:
        writer = tensorboard_module("tensorboard.summary.writer.record_writer", "tf.summary.FileWriter")
        os.makedirs(folder, exist_ok=True)
        now = time.time()
        name = f"events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}{suffix}"
        self._records = writer.RecordWriter(open(os.path.join(folder, name), "wb"))  # noqa: SIM115 (open until close)
        self._close = weakref.finalize(self, self._records.close)  # at the end of the program at the latest
        self._max_queue, self._flush_secs = max_queue, flush_secs
        self._lock = threading.RLock()
        self._waiting = 0
        self._timer: threading.Timer | None = None
        self.add(message_class("Event")(wall_time=now, file_version=_FORMAT))
        self.flush()

    def add(self, event: Any) -> None:
        with self._lock:
            if not self._close.alive:
                return
            self._records.write(event.SerializeToString())
            self._waiting += 1
            if self._waiting >= self._max_queue or self._flush_secs <= 0:
                self.flush()
            elif self._timer is None:
                self._timer = threading.Timer(self._flush_secs, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._waiting = 0
            if self._close.alive:
                self._records.flush()

    def close(self) -> None:
        with self._lock:
            self.flush()
            self._close()


class FileWriter:
    """Writes events into a new file in `logdir`, for TensorBoard. As a context manager it closes itself on leaving.

    `graph` (or `graph_def`) is added as the first event. `max_queue` events or `flush_secs` seconds may pass before an
    event is on the disk; the file's name ends with `filename_suffix`. `session` has no effect. ImportError without the
    package `tensorboard` (extra `tensorboard`).
    """

    def __init__(
        self,
        logdir: str | bytes | os.PathLike[Any],
        graph: Any = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        graph_def: Any = None,
        filename_suffix: str | None = None,
        session: Any = None,
    ) -> None:
        self._logdir = os.fsdecode(logdir)
        self._options = (max_queue, flush_secs, filename_suffix or "")
        self._file = _EventFile(self._logdir, *self._options)
        self._closed = False
        self._described_tags: set[str] = set()
        self._run_tags: set[str] = set()
        if graph is not None or graph_def is not None:
            self.add_graph(graph, graph_def=graph_def)

    def __enter__(self) -> FileWriter:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def get_logdir(self) -> str:
        """The folder that the file is in."""
        return self._logdir

    # --- events ---------------------------------------------------------------------------------------------

    def add_summary(self, summary: Any, global_step: Any = None) -> None:
        """Add what a summary op gave, or a `tf.Summary`, as the values of step `global_step`."""
        given = message_class("Summary")()
        given.ParseFromString(summary if isinstance(summary, bytes) else summary.SerializeToString())
        for value in given.value:  # the metadata of a tag are the same each time, and are written once
            if value.tag in self._described_tags:
                value.ClearField("metadata")
            elif value.HasField("metadata"):
                self._described_tags.add(value.tag)
        self._add(global_step, summary=given)

    def add_graph(self, graph: Any, global_step: Any = None, graph_def: Any = None) -> None:
        """Add a Graph, with the shapes of its tensors, or a GraphDef. TypeError for anything else."""
        if graph is not None and graph_def is not None:
            raise ValueError("Please pass only graph, or graph_def (deprecated), but not both.")
        given = graph if graph is not None else graph_def
        if isinstance(given, Graph):
            given = given.as_graph_def(add_shapes=True)
        elif type(given).__name__ != "GraphDef":
            raise TypeError("The passed graph must be an instance of `Graph` or the deprecated `GraphDef`")
        self._add(global_step, graph_def=given.SerializeToString())

    def add_meta_graph(self, meta_graph_def: Any, global_step: Any = None) -> None:
        """Add a MetaGraphDef. TypeError for anything else."""
        if type(meta_graph_def).__name__ != "MetaGraphDef":
            raise TypeError(f"meta_graph_def must be type MetaGraphDef, saw type: {type(meta_graph_def)}")
        self._add(global_step, meta_graph_def=meta_graph_def.SerializeToString())

    def add_session_log(self, session_log: Any, global_step: Any = None) -> None:
        """Add a `tf.summary.SessionLog`: a session started, stopped or wrote a checkpoint."""
        self._add(global_step, session_log=session_log)

    def add_run_metadata(self, run_metadata: Any, tag: str, global_step: Any = None) -> None:
        """Add what a run has told in a `tf.RunMetadata`; TensorBoard shows it by its `tag`. ValueError if that was used."""
        if tag in self._run_tags:
            raise ValueError("The provided tag was already used for this event type")
        self._run_tags.add(tag)
        tagged = message_class("TaggedRunMetadata")(tag=tag, run_metadata=run_metadata.SerializeToString())
        self._add(global_step, tagged_run_metadata=tagged)

    def _add(self, step: Any, **content: Any) -> None:
        event = message_class("Event")(wall_time=time.time(), **content)
        if step is not None:
            event.step = int(step)
        self.add_event(event)

    def add_event(self, event: Any) -> None:
        """Add an Event that is complete."""
        self._warn_if_closed()
        self._file.add(event)

    # --- the file -------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write the events added so far to the disk."""
        self._warn_if_closed()
        self._file.flush()

    def close(self) -> None:
        """Write all events to the disk and close the file; what is added afterwards is lost, with a warning."""
        self._file.close()
        self._closed = True

    def reopen(self) -> None:
        """Begin a new file in the same folder, if the writer is closed."""
        if self._closed:
            self._file = _EventFile(self._logdir, *self._options)
            self._closed = False

    def _warn_if_closed(self) -> None:
        if self._closed:
            text = "Attempting to use a closed FileWriter. The operation will be a noop unless the FileWriter is "
            warnings.warn(text + "explicitly reopened.", stacklevel=3)


class FileWriterCache:
    """One FileWriter for each folder."""

    _cache: ClassVar[dict[str, FileWriter]] = {}
    _lock = threading.RLock()

    @staticmethod
    def clear() -> None:
        """Close and forget all writers."""
        with FileWriterCache._lock:
            for writer in FileWriterCache._cache.values():
                writer.close()
            FileWriterCache._cache.clear()

    @staticmethod
    def get(logdir: str) -> FileWriter:
        """The writer for `logdir`, made now (with the default graph as its first event) if there is none."""
        with FileWriterCache._lock:
            if logdir not in FileWriterCache._cache:
                FileWriterCache._cache[logdir] = FileWriter(logdir, graph=get_default_graph())
            return FileWriterCache._cache[logdir]
