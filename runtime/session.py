"""Session and InteractiveSession: what a caller asks of a run, checked, planned once and handed to a step.

A run goes through three tables. `_plans`: how this fetch structure with these feed keys maps to flat lists. `_steps`: the
operations behind it, which several plans may share. Inside a step, one program per signature of fed shapes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph import Graph, get_default_graph, session_stack
from ..order import execution_order, variables_last
from ..philox import Seeds
from ..run_errors import uninitialized
from ..tensor import Operation, Tensor
from .config import ConfigProto
from .devices import DeviceAttributes, check_placement, list_devices, log_devices, log_placement
from .feeds import Feed, flattened, resolve_feeds
from .fetches import Fetches, structure_key
from .machine import Machine, Step
from .memory import State

if TYPE_CHECKING:
    from .explain import Explanation


class _Plan:
    """One fetch structure with one tuple of feed keys: from a feed dictionary's values to results in that structure."""

    __slots__ = ("_assemble", "_feeds", "_needed", "_passed", "_step")

    def __init__(self, feeds: Sequence[Feed], needed: Sequence[int], passed: Sequence[int], step: Step, assemble: Any):
        self._feeds = feeds
        self._needed = needed  # positions of the feeds that the step takes, in its order
        self._passed = passed  # positions of the feeds that are fetched again
        self._step = step
        self._assemble = assemble

    def run(self, values: Sequence[Any], run_step: Callable[[Step, list[np.ndarray]], list[Any]] | None = None) -> Any:
        """The results for these fed values. `run_step` runs the step in its own way."""
        arrays = [feed.array(value) for feed, value in zip(self._feeds, values)]
        needed = [arrays[i] for i in self._needed]
        results = self._step.run(needed) if run_step is None else run_step(self._step, needed)
        for i in self._passed:
            results.append(arrays[i])
        return self._assemble(results)

    def needed(self, values: Sequence[Any]) -> tuple[Step, list[np.ndarray]]:
        """The step behind a run, and the arrays that it takes."""
        arrays = [feed.array(value) for feed, value in zip(self._feeds, values)]
        return self._step, [arrays[i] for i in self._needed]


class BaseSession:
    """What `Session` and `InteractiveSession` share. Runs of several threads take turns."""

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None) -> None:
        if not isinstance(target, (str, bytes)):
            raise TypeError(f"target must be a string, but got {target}")
        if graph is not None and not isinstance(graph, Graph):
            raise TypeError(f"graph must be a tf.Graph, but got {graph}")
        if config is not None and not hasattr(config, "intra_op_parallelism_threads"):
            raise TypeError(f"config must be a tf.ConfigProto, but got {config}")
        self._target = target.encode() if isinstance(target, str) else target
        self._graph = get_default_graph() if graph is None else graph
        self._config = ConfigProto() if config is None else config
        self._closed = False
        self._lock = threading.RLock()
        self._machine = Machine(State(), self._config, self._lock)
        self._plans: dict[Any, _Plan] = {}
        self._steps: dict[Any, Step] = {}
        log_devices(self._config)

    # --- what TensorFlow's sessions have --------------------------------------------------------------------

    @property
    def graph(self) -> Graph:
        """The graph that this session runs."""
        return self._graph

    @property
    def graph_def(self) -> Any:
        """The graph as a GraphDef proto."""
        return self._graph.as_graph_def()

    @property
    def sess_str(self) -> bytes:
        """The target that the session was made with."""
        return self._target

    def list_devices(self) -> list[DeviceAttributes]:
        """The devices that operations may be placed on."""
        return list_devices(self._config)

    def as_default(self) -> Any:
        """A context manager that makes this the default session; leaving it does not close the session."""
        return session_stack().pushed(self)

    def close(self) -> None:
        """Forget all variables; any further run is an error."""
        with self._lock:
            self._closed = True
            self._plans.clear()
            self._steps.clear()
            self._machine.close()
            self._machine = Machine(State(), self._config, self._lock)

    def run(self, fetches: Any, feed_dict: Any = None, options: Any = None, run_metadata: Any = None) -> Any:
        """Run what `fetches` needs and return the values in the same structure.

        `fetches` is a tensor, operation, variable or name, or a list, tuple, dictionary or named tuple of fetches.
        Operations give None, scalars come as NumPy scalars, strings as bytes. `feed_dict` maps tensors (or their
        names) to values that take their place. `options`, a `tf.RunOptions`, with trace_level=tf.RunOptions.FULL_TRACE sets
        `run_metadata`, a `tf.RunMetadata`, to the time and memory of each operation in this run.

        RuntimeError: the session is closed, the graph is empty. TypeError, ValueError: a fetch or feed is wrong; then
        nothing has run. tf.errors.OpError: an operation failed; then no variable has changed, unless it is one that runs in
        Python after the compiled step, such as a summary.
        """
        if self._closed:
            raise RuntimeError("Attempted to use a closed Session.")
        graph = self._graph
        feeds = feed_dict or {}
        # operations are only ever added, which changes no plan; other changes of the graph are counted apart
        changes = graph.version - graph._last_id
        try:
            plan = self._plans.get((structure_key(fetches), tuple(feeds), changes))
        except TypeError:  # something that cannot be hashed: planning says what is wrong with it
            plan = None
        if plan is None:
            plan, feeds = self._new_plan(fetches, feeds, changes)
        if options is None and run_metadata is None:
            return plan.run(list(feeds.values()))
        return plan.run(list(feeds.values()), self._reporting(options, run_metadata))

    def make_callable(
        self, fetches: Any, feed_list: Sequence[Any] | None = None, accept_options: bool = False
    ) -> Callable[..., Any]:
        """A function that runs `fetches`; its arguments are the values of the tensors in `feed_list`."""
        keys = list(feed_list or ())

        def call(*values: Any, options: Any = None, run_metadata: Any = None) -> Any:
            if len(values) != len(keys):
                raise ValueError(f"This callable takes {len(keys)} values, one for each of {keys}, got {len(values)}.")
            return self.run(fetches, dict(zip(keys, values, strict=True)), options, run_metadata)

        return call

    # --- what this project adds -----------------------------------------------------------------------------

    def explain(self, fetches: Any, feed_dict: Any = None, profile: bool = False) -> Explanation:
        """How a run with these arguments computes: its kernels, what is fused and what is not and why, their algorithms,
        operations and bytes, and the memory of the step. Nothing is run; no C compiler is needed.

        With `profile` the step runs several times and each kernel gets its least time and its share of what the machine
        could do at best; variables and random counters are put back afterwards. Raises what `run` raises.
        """
        from .explain import explain_step

        if self._closed:
            raise RuntimeError("Attempted to use a closed Session.")
        with self._lock:
            plan, feed_dict = self._new_plan(fetches, feed_dict or {}, self._graph.version - self._graph._last_id)
            step, arrays = plan.needed(list(feed_dict.values()))
            return explain_step(self._machine, step, arrays, len(self._graph.get_operations()), profile)

    def export_source(self, folder: str | Path) -> list[str]:
        """Write the C (or CUDA) source of every program compiled by this session so far into `folder`; returns the paths."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        with self._lock:
            for i, source in enumerate(self._machine.sources):
                path = folder / f"program_{i:02d}.{'cu' if '__global__' in source else 'c'}"
                path.write_text(source)
                paths.append(str(path))
        return paths

    # --- variables, for savers ------------------------------------------------------------------------------

    def copy_state(
        self, variables: Mapping[str, Operation], random_ops: Iterable[Operation] = ()
    ) -> tuple[dict[str, np.ndarray], dict[str, tuple[int, int, int]]]:
        """The values of variables by the keys given, and of random operations by their names: both words of the key, and the
        counter of the next run (0 for one that has not run). All at one moment.

        FailedPreconditionError for a variable without a value.
        """
        with self._lock:
            state = self._machine.state
            for op in variables.values():
                if op.name not in state.variables:
                    raise uninitialized(op.name, op)
            values = {key: state.variables[op.name].copy() for key, op in variables.items()}
            randoms = {}
            for op in random_ops:
                held = state.random(op.name, op.attr("seed"), op.attr("seed2"))
                randoms[op.name] = (*held.seeds, held.counter)
            return values, randoms

    def set_state(self, values: Mapping[str, np.ndarray], randoms: Mapping[str, tuple[int, int, int]] | None = None) -> None:
        """Set variables and random operations, by the names of their operations: all or none."""
        with self._lock:
            state = self._machine.state
            state.assign_all(values)
            for name, (seed, seed2, counter) in (randoms or {}).items():
                state.set_random(name, Seeds(seed, seed2), counter)

    # --- planning -------------------------------------------------------------------------------------------

    def _reporting(self, options: Any, run_metadata: Any) -> Callable[[Step, list[np.ndarray]], list[Any]]:
        """A run of a step that tells about itself in `run_metadata`."""
        from .step_stats import check_options, run_reported

        check_options(options, run_metadata)
        return partial(run_reported, self._machine, options, run_metadata)

    def _new_plan(self, fetches: Any, feed_dict: Any, changes: int) -> tuple[_Plan, Mapping[Any, Any]]:
        """A plan, kept for the next run, and the feeds by tensor."""
        if not isinstance(feed_dict, Mapping):
            raise TypeError(f"feed_dict must be a dictionary, but got {feed_dict!r}")
        if self._graph.version == 0:
            raise RuntimeError("The Session graph is empty.  Add operations to the graph before calling run().")
        feed_dict = flattened(feed_dict)
        with self._lock:
            plan = self._make_plan(fetches, feed_dict, changes)
            self._plans[structure_key(fetches), tuple(feed_dict), changes] = plan
        return plan, feed_dict

    def _make_plan(self, structure: Any, feed_dict: Mapping[Any, Any], changes: int) -> _Plan:
        feeds = resolve_feeds(self._graph, tuple(feed_dict))
        for feed, value in zip(feeds, feed_dict.values(), strict=True):
            feed.array(value)  # a wrong feed is told before a wrong fetch
        fetches = Fetches(self._graph, structure)
        fed = {feed.tensor: i for i, feed in enumerate(feeds)}
        computed = [tensor for tensor in fetches.tensors if tensor not in fed]
        passed = [tensor for tensor in fetches.tensors if tensor in fed]
        step = self._step(computed, sorted(fetches.targets, key=lambda op: op.id), set(fed), changes)
        # results come as: what the step computed, then what was fed and fetched
        place = [0] * len(fetches.tensors)
        for i, tensor in enumerate((*computed, *passed)):
            place[fetches.tensors[tensor]] = i
        assemble = fetches.assemble
        if place != list(range(len(place))):
            assemble = _reordered(assemble, place)
        return _Plan(feeds, [fed[t] for t in step.feeds], [fed[t] for t in passed], step, assemble)

    def _step(self, fetches: list[Tensor], targets: list[Operation], fed: set[Tensor], changes: int) -> Step:
        order = execution_order(fetches, targets, fed)
        taken = {tensor for op in order for tensor in op.inputs if tensor in fed}
        feeds = sorted(taken, key=lambda tensor: (tensor.op.id, tensor.value_index))
        key = (tuple(fetches), tuple(targets), tuple(feeds), changes)
        step = self._steps.get(key)
        if step is None:
            check_placement(order, self._config)
            log_placement(order, self._config)
            step = self._machine.step(order, variables_last(fetches, order, fed), feeds)
            self._steps[key] = step
        return step


def _reordered(assemble: Callable[[Sequence[Any]], Any], place: Sequence[int]) -> Callable[[Sequence[Any]], Any]:
    return lambda results: assemble([results[i] for i in place])


class Session(BaseSession):
    """Runs operations of a graph and holds its variables.

    `graph` is the default graph of the moment if not given; `config` a `tf.ConfigProto`; `target` has no effect. As a
    context manager it is the default session, its graph the default graph, and it is closed on leaving.
    """

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None) -> None:
        super().__init__(target, graph, config)
        self._entered: list[Any] = []

    def __enter__(self) -> Session:
        if self._entered:
            raise RuntimeError(
                "Session context managers are not re-entrant. Use `Session.as_default()` if you want to enter a session "
                "multiple times."
            )
        self._entered = [self.graph.as_default(), self.as_default()]
        for manager in self._entered:
            manager.__enter__()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        while self._entered:
            self._entered.pop().__exit__(None, None, None)
        self.close()


class InteractiveSession(BaseSession):
    """A session that is the default one from its construction until `close()`, for interactive use."""

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None) -> None:
        super().__init__(target, graph, config)
        self._installed = [self.as_default()]
        if graph is not None:
            self._installed.append(graph.as_default())
        for manager in self._installed:
            manager.__enter__()

    def close(self) -> None:
        """Forget all variables and stop being the default session."""
        super().close()
        while self._installed:
            self._installed.pop().__exit__(None, None, None)
