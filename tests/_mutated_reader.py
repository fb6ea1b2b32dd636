"""Reads changed files, in a process that may die of them: `python -m tests._mutated_reader KIND FILES FOLDER`.

FILES holds the contents, each behind its size as 8 bytes. Each goes into FOLDER/target in its turn and is read as a user
would read it. Says, as lines of JSON, which file is next, and in the end what became of all. An audit hook notes every file
that is opened for writing, moved or removed outside FOLDER, every process that is started, and every new connection.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

LONGEST = 10.0  # seconds for one file
MEMORY = 6 << 30  # bytes of address space
CHANGES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree"}
STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "socket.connect"}

FOLDER = Path()
seen: list[str] = []


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """The audit hook."""
    if event == "open":
        path, mode, flags = arguments
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        if writes and isinstance(path, (str, bytes)) and not inside(path):
            seen.append(f"open for {mode or flags}: {path!r}")
    elif event in CHANGES:
        seen.extend(f"{event}: {p!r}" for p in arguments if isinstance(p, (str, bytes)) and not inside(p))
    elif event in STARTS:
        seen.append(f"{event}: {arguments!r}"[:200])


def inside(path: str | bytes) -> bool:
    return Path(os.path.realpath(os.fsdecode(path))).is_relative_to(FOLDER)


# --- how each kind is read -----------------------------------------------------------------------------------------------

tf: Any = None  # imported in main, after the limits are set


def read_graph(path: Path) -> None:
    from tfgraph.meta_graph import read_message

    graph_def = tf.GraphDef()
    if path.suffix == ".pb":
        graph_def.ParseFromString(path.read_bytes())
    else:
        read_message(path, graph_def)
    tf.import_graph_def(graph_def, name="")
    tf.train.write_graph(tf.get_default_graph(), path.parent, "again.pb", as_text=False)


def read_meta(path: Path) -> None:
    saver = tf.train.import_meta_graph(str(path))
    if saver is not None and tf.global_variables():
        with tf.Session() as session:
            for variable in tf.global_variables():
                variable.load(np.zeros(variable.shape.as_list(), variable.dtype.as_numpy_dtype), session)
            saver.save(session, str(path.parent / "again"))


def read_checkpoint(path: Path) -> None:
    tf.train.list_variables(str(path))
    reader = tf.train.NewCheckpointReader(str(path))
    for name in reader.get_variable_to_shape_map():
        reader.get_tensor(name)
    w = tf.Variable(np.zeros((2, 2), np.float32), name="net/w")
    with tf.Session() as session:
        session.run(w.initializer)
        try:
            tf.train.Saver([w]).restore(session, str(path))
        except tf.errors.OpError:
            assert not session.run(w).any(), "a refused file has changed a variable"
            raise


def read_safetensors(path: Path) -> None:
    w = tf.Variable(np.zeros((2, 2), np.float32), name="w")
    with tf.Session() as session:
        session.run(w.initializer)
        try:
            tf.train.Saver([w]).restore(session, str(path))
        except tf.errors.OpError:
            assert not session.run(w).any(), "a refused file has changed a variable"
            raise


def read_state(path: Path) -> None:
    latest = tf.train.latest_checkpoint(str(path.parent))
    state = tf.train.get_checkpoint_state(str(path.parent))
    assert latest is None or state is not None
    w = tf.Variable([1.0], name="w")
    saver = tf.train.Saver([w], max_to_keep=1)
    with tf.Session() as session:
        session.run(w.initializer)
        for step in (1, 2):  # the second save removes the first; what the file names is none of its business
            saver.save(session, str(path.parent / "ck"), global_step=step)
        if latest is not None:
            saver.restore(session, latest)


Read = Callable[[Path], None]
# kind -> where the file goes below the folder, and how it is read; .index and .data lie beside their right counterpart
KINDS: dict[str, tuple[str, Read]] = {
    "pb": ("net.pb", read_graph),
    "pbtxt": ("net.pbtxt", read_graph),
    "meta": ("net.meta", read_meta),
    "index": ("ck.index", lambda path: read_checkpoint(path.with_suffix(""))),
    "data": ("ck.data-00000-of-00001", lambda path: read_checkpoint(path.with_suffix(""))),
    "safetensors": ("w.safetensors", read_safetensors),
    "state": ("checkpoint", read_state),
}


# --- the process ---------------------------------------------------------------------------------------------------------


def contents(path: Path) -> Iterator[bytes]:
    file = path.read_bytes()
    at = 0
    while at < len(file):
        (size,) = struct.unpack_from("<Q", file, at)
        yield file[at + 8 : at + 8 + size]
        at += 8 + size


def too_long(*_: Any) -> None:
    raise TimeoutError(f"took more than {LONGEST} seconds")


def main() -> None:
    global FOLDER, tf
    kind, files, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    faulthandler.enable()
    signal.signal(signal.SIGALRM, too_long)
    import tensorboard.compat.proto.graph_pb2

    import tfgraph

    tf = tfgraph
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    assert tensorboard.compat.proto.graph_pb2.GraphDef
    FOLDER = Path(os.path.realpath(folder))
    name, read = KINDS[kind]
    path = folder / "target" / name
    right = {other.name: other.read_bytes() for other in path.parent.iterdir()}
    sys.addaudithook(watch)
    taken, refused, wrong = 0, 0, []
    for number, content in enumerate(contents(files)):
        print(json.dumps({"next": number}), flush=True)
        for other in path.parent.iterdir():
            other.unlink()
        for other_name, other_content in right.items():
            (path.parent / other_name).write_bytes(other_content)
        path.write_bytes(content)
        signal.setitimer(signal.ITIMER_REAL, LONGEST)
        try:
            with tf.Graph().as_default():
                read(path)
            taken += 1
        except (ValueError, tf.errors.OpError, *DECODING):
            refused += 1
        except BaseException as error:
            wrong.append(f"file {number}: {type(error).__name__}: {error}"[:500])
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    print(json.dumps({"taken": taken, "refused": refused, "wrong": wrong, "outside": seen}), flush=True)


def _decoding_errors() -> tuple[type[Exception], ...]:
    from google.protobuf.message import DecodeError

    return (DecodeError,)


DECODING = _decoding_errors()

if __name__ == "__main__":
    main()
