"""`tf.train.Saver`: the variables of a session in files, and back.

Values go directly between a session's store of variables and the files: a Saver adds no operations to the graph, so it can
be made for a finalized one, and there are no `save/...` nodes to be found by name.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .checkpoint.bundle import BundleReader, remove_bundle, write_bundle
from .checkpoint.files import removed
from .checkpoint.model import RANDOM_PREFIX, RandomWords, random_states, words_of, write_model_checkpoint
from .checkpoint.reader import checkpoint_exists, get_checkpoint_mtimes, open_checkpoint
from .checkpoint.safetensors import SUFFIX as SAFETENSORS
from .checkpoint.safetensors import SafetensorsReader
from .checkpoint.state import DEFAULT_NAME, path_of, write_state
from .dtypes import DType, short_name
from .errors import CodedError, FailedPreconditionError, InvalidArgumentError, NotFoundError
from .global_step import global_step as value_of_step
from .graph import Graph, get_default_graph
from .keys import GraphKeys
from .run_errors import at_node
from .shapes import show
from .tensor import Operation

__all__ = ["Saver", "SaverDef"]

logger = logging.getLogger("tfgraph")

_HOUR = 3600  # seconds


class SaverDef:
    """The numbers of the formats, for `Saver(write_version=...)`. V2 is what is written."""

    LEGACY, V1, V2 = 0, 1, 2


class Saver:
    """Saves variables and restores them.

    A path that ends in `.safetensors` is one file of that format, any other the first part of the names of TensorFlow's V2
    checkpoint. A Saver of all global variables also keeps, in safetensors only, where each random operation of the graph
    stands, so that a resumed run draws what an uninterrupted one would have drawn. A Saver of some variables is for their
    values alone: it neither writes nor takes back random states. V2 has no place for them.

    `var_list`: a list of variables, saved under the names of their operations, or a dictionary from names to variables;
    without it all global variables (with them the optimizers' slots and the global step) and what is in the collection
    SAVEABLE_OBJECTS. `reshape`: restore a variable from one of another shape with as many elements. `max_to_keep`: how
    many of the latest checkpoints are kept, older ones are deleted; None or 0 keeps all. `keep_checkpoint_every_n_hours`:
    of those to be deleted, keep one for each so many hours. `defer_build`: choose the variables in `build()`, not now.
    `allow_empty`: with no variables, save and restore nothing instead of raising ValueError. `pad_step_number`: steps in
    names have eight digits. `save_relative_paths`: the file `checkpoint` names checkpoints relative to its folder.

    There is one device, so `sharded` writes one data file like any Saver; `name`, `restore_sequentially` and `filename` have
    no effect. `saver_def` and `builder` describe operations of a graph, which this Saver does without: NotImplementedError.

    TypeError: `var_list` is no list or dictionary, or has something else than variables. ValueError: no variables, a
    variable or a name that occurs twice.
    """

    def __init__(
        self,
        var_list: Any = None,
        reshape: bool = False,
        sharded: bool = False,
        max_to_keep: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000.0,
        name: str | None = None,
        restore_sequentially: bool = False,
        saver_def: Any = None,
        builder: Any = None,
        defer_build: bool = False,
        allow_empty: bool = False,
        write_version: int = SaverDef.V2,
        pad_step_number: bool = False,
        save_relative_paths: bool = False,
        filename: str | None = None,
    ) -> None:
        if defer_build and var_list:
            raise ValueError(
                "If `var_list` is provided then build cannot be deferred. Either set defer_build=False or var_list=None."
            )
        if saver_def is not None or builder is not None:
            raise NotImplementedError("A Saver takes no saver_def and no builder: it adds no operations to the graph.")
        if write_version != SaverDef.V2:
            logger.warning("Checkpoints are written in format V2, which every TensorFlow 1.x from 0.12 on reads.")
        self._var_list = var_list
        self._reshape = reshape
        self._sharded = sharded
        self._max_to_keep = max_to_keep
        self._keep_seconds = keep_checkpoint_every_n_hours * _HOUR
        self._allow_empty = allow_empty
        self._pad_step_number = pad_step_number
        self._relative = save_relative_paths
        self._variables: dict[str, Any] | None = None
        self._with_randoms = False
        self._last: list[tuple[str, float]] = []
        self._to_be_deleted: list[tuple[str, float]] = []
        self._next_kept = 0.0
        if not defer_build:
            self.build()

    def build(self) -> None:
        """Choose the variables, if `defer_build` left that for now."""
        if self._variables is not None:
            return
        graph = get_default_graph()
        given = self._var_list
        if given is None:
            saveable = graph.get_collection(GraphKeys.SAVEABLE_OBJECTS)
            given = [*graph.get_collection(GraphKeys.GLOBAL_VARIABLES), *saveable]
        variables = _named(given)
        if not variables and not self._allow_empty:
            raise ValueError("No variables to save")
        self._variables = variables
        everything = {variable.op for variable in graph.get_collection(GraphKeys.GLOBAL_VARIABLES)}
        self._with_randoms = everything <= {variable.op for variable in variables.values()}
        self._next_kept = time.time() + self._keep_seconds

    # --- saving -----------------------------------------------------------------------------------------------------------

    def save(
        self,
        sess: Any,
        save_path: Any,
        global_step: Any = None,
        latest_filename: str | None = None,
        meta_graph_suffix: str = "meta",
        write_meta_graph: bool = True,
        write_state: bool = True,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> str | None:
        """Write the variables' values in `sess` and return the checkpoint's path, for `restore`.

        `save_path` is what the names of its files begin with; one that ends in `.safetensors` is a file of that format,
        under a CRC-32C: equal values and random states make equal files, whichever of Python and exported C writes them.
        With `global_step`, a number or a tensor, the path gets `-<step>` behind it (before `.safetensors`). The folder is
        made if it is not there and its parent is. `latest_filename` is the name of the file with the list of checkpoints
        (`checkpoint`), not written with `write_state=False`. Beside a V2 checkpoint stands the graph, for
        `tf.train.import_meta_graph`, unless `write_meta_graph` is False or the message classes that it takes (extra
        `tensorboard`) are not installed. `strip_default_attrs` and `save_debug_info` have no effect.

        Files get their names when they are complete, so whatever ends a save early, the checkpoints from before are
        whole; older ones are deleted after that. Runs of other threads wait while the values are copied.

        FailedPreconditionError: a variable has no value. ValueError: the folder cannot be made, or the path is that of
        the list of checkpoints. TypeError: `sess` is no session.
        """
        variables = self._built("save")
        latest_filename = latest_filename or DEFAULT_NAME
        if os.path.split(latest_filename)[0]:
            raise ValueError("'latest_filename' must not contain path components")
        save_path = path_of(save_path)
        if global_step is None and os.path.basename(save_path) == latest_filename and not self._sharded:
            raise ValueError(f"'latest_filename' collides with 'save_path': '{latest_filename}' and '{save_path}'")
        _check_session(sess, variables.values())
        checkpoint = save_path if global_step is None else self._numbered(sess, save_path, global_step)
        if not variables:
            return None
        folder = os.path.dirname(save_path)
        try:
            random_ops = _random_ops(sess.graph) if checkpoint.endswith(SAFETENSORS) and self._with_randoms else []
            values, randoms = sess.copy_state(_operations(variables), random_ops)
            _make_folder(folder)
            if checkpoint.endswith(SAFETENSORS):
                write_model_checkpoint(checkpoint, values, randoms)
            else:
                write_bundle(checkpoint, values)
                if write_meta_graph:
                    _write_graph(sess.graph, f"{checkpoint}.{meta_graph_suffix}")
            if write_state:
                self._record(checkpoint, folder, latest_filename)
                self._delete_old(meta_graph_suffix)
        except (FailedPreconditionError, NotFoundError):
            if folder and not os.path.isdir(folder):
                raise ValueError(f"Parent directory of {save_path} doesn't exist, can't save.") from None
            raise
        return checkpoint

    def export_meta_graph(
        self, filename: Any = None, collection_list: Any = None, as_text: bool = False, **options: Any
    ) -> Any:
        """`tf.train.export_meta_graph` of the default graph, with its options."""
        from .meta_graph import export_meta_graph

        return export_meta_graph(filename, collection_list=collection_list, as_text=as_text, **options)

    def _built(self, what: str) -> dict[str, Any]:
        if self._variables is None:
            raise RuntimeError(f"`build()` should be called before {what} if defer_build==True")
        return self._variables

    def _numbered(self, sess: Any, path: str, step: Any) -> str:
        number = int(step) if isinstance(step, (int, np.integer)) else value_of_step(sess, step)
        suffix = SAFETENSORS if path.endswith(SAFETENSORS) else ""
        digits = f"{number:08d}" if self._pad_step_number else str(number)
        return f"{path.removesuffix(suffix)}-{digits}{suffix}"

    def _record(self, checkpoint: str, folder: str, latest_filename: str) -> None:
        if self._max_to_keep:
            self._last = [(path, at) for path, at in self._last if path != checkpoint]
            self._last.append((checkpoint, time.time()))
            if len(self._last) > self._max_to_keep:
                self._to_be_deleted.append(self._last.pop(0))
        write_state(folder, checkpoint, self.last_checkpoints, latest_filename, relative=self._relative)

    def _delete_old(self, meta_graph_suffix: str) -> None:
        if not self._to_be_deleted:
            return
        path, at = self._to_be_deleted.pop(0)
        if at > self._next_kept:
            self._next_kept += self._keep_seconds
            return
        try:
            _remove(path, meta_graph_suffix)
        except CodedError as error:
            logger.warning("Ignoring: %s", error)

    # --- restoring --------------------------------------------------------------------------------------------------------

    def restore(self, sess: Any, save_path: Any) -> None:
        """Give the variables in `sess` the values of a checkpoint, one of TensorFlow's or one in safetensors format.

        The variables need not have values before. All are read and checked before the first is set: after an error,
        every variable is what it was. Random operations whose states are in a safetensors file go on from there, if this
        Saver is one of all global variables; files of other programs, without checksum and random states, are read, too.

        ValueError: there is no checkpoint with this path. NotFoundError: a variable is not in it. InvalidArgumentError: it
        has another shape or dtype there, or what stands for a random state is none. DataLossError: a file is damaged.
        """
        variables = self._built("restore")
        if not variables:
            return
        if save_path is None:
            raise ValueError("Can't load save_path when it is None.")
        path = path_of(save_path)
        if not checkpoint_exists(path):
            raise ValueError(f"The passed save_path is not a valid checkpoint: {path}")
        _check_session(sess, variables.values())
        logger.info("Restoring parameters from %s", path)
        try:
            values, randoms = self._read(variables, sess.graph, open_checkpoint(path))
        except (NotFoundError, InvalidArgumentError) as error:
            raise type(error)(None, error.op, _advice(error)) from None
        sess.set_state(values, randoms)

    def _read(
        self, variables: Mapping[str, Any], graph: Graph, reader: BundleReader | SafetensorsReader
    ) -> tuple[dict[str, np.ndarray], dict[str, RandomWords]]:
        """The new values of variables and of random operations, by the names of their operations."""
        shapes = {}
        for key, variable in sorted(variables.items()):
            if key not in reader.entries:
                raise at_node(NotFoundError, variable.op, f"Key {key} not found in checkpoint")
            _check_dtype(key, variable, reader.dtype(key))
            shapes[key] = self._shape(variable, reader.shape(key))
        wanted = [op.name for op in _random_ops(graph)] if self._with_randoms else []
        randoms = random_states(reader, wanted)
        values = reader.read([*shapes, *[RANDOM_PREFIX + name for name in randoms]])
        return (
            {variables[key].op.name: values[key].reshape(shape) for key, shape in shapes.items()},
            {name: words_of(values[RANDOM_PREFIX + name]) for name in randoms},
        )

    def _shape(self, variable: Any, found: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that a variable gets from a value of shape `found`."""
        shape = variable.get_shape()
        wanted = tuple(shape.as_list()) if shape.is_fully_defined() else None
        if self._reshape and wanted is not None:
            have, need = math.prod(found), math.prod(wanted)
            if have != need:
                text = f"Input to reshape is a tensor with {have} values, but the requested shape has {need}"
                raise at_node(InvalidArgumentError, variable.op, text)
            return wanted
        if not shape.is_compatible_with(list(found)):
            text = "Assign requires shapes of both tensors to match."
            text += f" lhs shape= {show(shape.sizes)} rhs shape= {show(found)}"
            raise at_node(InvalidArgumentError, variable.op, text)
        return found

    # --- the checkpoints so far -------------------------------------------------------------------------------------------

    @property
    def last_checkpoints(self) -> list[str]:
        """The paths of the checkpoints that are kept, oldest first."""
        return [path for path, _ in self._last]

    def set_last_checkpoints(self, last_checkpoints: Sequence[str]) -> None:
        """Say which checkpoints there are, oldest first. These count as kept for ever: they will not be deleted."""
        assert isinstance(last_checkpoints, list)
        self._last = [(path, float("inf")) for path in last_checkpoints]

    def set_last_checkpoints_with_time(self, last_checkpoints_with_time: Sequence[tuple[str, float]]) -> None:
        """Say which checkpoints there are and when they were written, in seconds since 1970, oldest first."""
        assert isinstance(last_checkpoints_with_time, list)
        self._last = list(last_checkpoints_with_time)

    def recover_last_checkpoints(self, checkpoint_paths: Sequence[str]) -> None:
        """After a restart: these checkpoints, as far as they are there, count as saved by this Saver."""
        timed = [(path, get_checkpoint_mtimes([path])) for path in checkpoint_paths]
        self.set_last_checkpoints_with_time([(path, at[0]) for path, at in timed if at])


# --- which variables ------------------------------------------------------------------------------------------------------


def _named(given: Any) -> dict[str, Any]:
    """The variables by the names that they have in a checkpoint."""
    if isinstance(given, Mapping):
        return _checked_names(given)
    if not isinstance(given, (list, tuple, set)):
        raise TypeError(f"Variables to save should be passed in a dict or a list. Got {given}")
    named: dict[str, Any] = {}
    for variable in given:
        if not _is_variable(variable):
            raise TypeError(f"Variable to save is not a Variable: {variable}")
        if variable.op.name in named:
            raise ValueError(f"At least two variables have the same name: {variable.op.name}")
        named[variable.op.name] = variable
    return named


def _checked_names(given: Mapping[Any, Any]) -> dict[str, Any]:
    seen: set[Operation] = set()
    for key in given:
        if not isinstance(key, str):
            text = "names_to_saveables must be a dict mapping string names to trackable operations."
            raise TypeError(f"{text} Name is not a string: {key}")
    for key, variable in sorted(given.items()):
        if not _is_variable(variable):
            text = "names_to_saveables must be a dict mapping string names to Tensors/Variables."
            raise TypeError(f"{text} Not a variable: {variable}")
        if variable.op in seen:
            raise ValueError(f"The same saveable will be restored with two names: {key}")
        seen.add(variable.op)
    return dict(given)


def _is_variable(item: Any) -> bool:
    op = getattr(item, "op", None)
    return isinstance(op, Operation) and op.type == "VariableV2"


def _operations(variables: Mapping[str, Any]) -> dict[str, Operation]:
    return {key: variable.op for key, variable in sorted(variables.items())}


def _random_ops(graph: Graph) -> list[Operation]:
    return [op for op in graph.get_operations() if op.opdef.effect == "random"]


# --- the session's store --------------------------------------------------------------------------------------------------


def _check_session(sess: Any, variables: Any) -> None:
    if not hasattr(sess, "copy_state"):
        raise TypeError(f"'sess' must be a Session; {sess}")
    if sess._closed:
        raise RuntimeError("Attempted to use a closed Session.")
    for variable in variables:
        if variable.op.graph is not sess.graph:
            raise ValueError(f"Variable {variable.op.name} is not an element of this graph: {sess.graph}")


def _check_dtype(key: str, variable: Any, found: DType | None) -> None:
    wanted = variable.dtype.base_dtype
    if found != wanted:
        shown = "another one" if found is None else short_name(found)
        text = f"tensor_name = {key}; expected dtype {short_name(wanted)} does not equal original dtype {shown}"
        raise at_node(InvalidArgumentError, variable.op, text)


def _advice(error: CodedError) -> str:
    cause = (
        "a Variable name or other graph key that is missing from the checkpoint"
        if isinstance(error, NotFoundError)
        else "a mismatch between the current graph and the graph from the checkpoint"
    )
    return (
        f"Restoring from checkpoint failed. This is most likely due to {cause}. Please ensure that you have not altered the "
        f"graph expected based on the checkpoint. Original error:\n\n{error.message}"
    )


# --- files ----------------------------------------------------------------------------------------------------------------


def _make_folder(folder: str) -> None:
    if folder and not os.path.isdir(folder):
        try:
            os.mkdir(folder)
        except OSError as error:
            raise FailedPreconditionError(None, None, f"{folder}; {error.strerror}") from None


def _write_graph(graph: Graph, path: str) -> None:
    from .meta_graph import export_meta_graph

    try:
        export_meta_graph(path, graph=graph)
    except ImportError as error:
        logger.info("No %s: %s", path, error)


def _remove(path: str, meta_graph_suffix: str) -> None:
    if path.endswith(SAFETENSORS):
        removed(path)
    else:
        remove_bundle(path, f"{path}.{meta_graph_suffix}")
