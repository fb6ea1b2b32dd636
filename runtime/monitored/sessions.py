"""Sessions that initialise or restore their variables themselves and tell hooks about every run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ... import summary as summaries
from ...checkpoint.reader import get_checkpoint_state
from ...control_flow import group
from ...coordinator import Coordinator
from ...errors import OutOfRangeError
from ...graph import get_default_graph
from ...keys import GraphKeys
from ...saver import Saver
from ...state import (
    global_variables_initializer,
    local_variables_initializer,
    report_uninitialized_variables,
)
from ..session import Session
from .hooks import SessionRunArgs, SessionRunContext, SessionRunHook, SessionRunValues
from .standard_hooks import CheckpointSaverHook, StepCounterHook, SummarySaverHook

__all__ = [
    "ChiefSessionCreator",
    "MonitoredSession",
    "MonitoredTrainingSession",
    "Scaffold",
    "SessionCreator",
    "SingularMonitoredSession",
]

_UNSET = object()


class Scaffold:
    """What a training needs beside its graph: how variables get values, which summaries and checkpoints are written.

    What is not given is made of the graph when the session is. `init_fn(scaffold, session)` is called after `init_op`.
    """

    def __init__(
        self,
        init_op: Any = None,
        init_feed_dict: Any = None,
        init_fn: Callable[..., Any] | None = None,
        ready_op: Any = None,
        ready_for_local_init_op: Any = None,
        local_init_op: Any = None,
        summary_op: Any = None,
        saver: Any = None,
        copy_from_scaffold: Any = None,
    ) -> None:
        other = copy_from_scaffold
        given = {
            "init_op": init_op, "init_feed_dict": init_feed_dict, "ready_op": ready_op, "local_init_op": local_init_op,
            "ready_for_local_init_op": ready_for_local_init_op, "summary_op": summary_op, "saver": saver,
        }  # fmt: skip
        for name, value in given.items():
            setattr(self, name, value if value is not None or other is None else getattr(other, name))
        copied = None if other is None else other.init_fn
        self.init_fn = copied if init_fn is None else (lambda session: init_fn(self, session))

    init_op: Any
    init_feed_dict: Any
    ready_op: Any
    ready_for_local_init_op: Any
    local_init_op: Any
    summary_op: Any
    saver: Any

    def finalize(self) -> Scaffold:
        """Make what has not been given, and let the graph grow no more."""
        if self.init_op is None:
            self.init_op = global_variables_initializer()
        if self.ready_op is None:
            self.ready_op = report_uninitialized_variables()
        if self.local_init_op is None:
            self.local_init_op = group(local_variables_initializer())
        if self.summary_op is None:
            self.summary_op = summaries.merge_all()
        if self.saver is None:
            graph = get_default_graph()
            found = graph.get_collection(GraphKeys.SAVERS)
            if found:
                self.saver = found[0]
            else:
                self.saver = Saver(allow_empty=True)
                graph.add_to_collection(GraphKeys.SAVERS, self.saver)
        get_default_graph().finalize()
        return self


class SessionCreator:
    """Base class of what makes the session of a MonitoredSession."""

    def create_session(self) -> Session:
        raise NotImplementedError


class ChiefSessionCreator(SessionCreator):
    """A session whose variables come from the newest checkpoint in `checkpoint_dir` (or the file
    `checkpoint_filename_with_path`), else from their initial values."""

    def __init__(
        self,
        scaffold: Scaffold | None = None,
        master: str = "",
        config: Any = None,
        checkpoint_dir: str | None = None,
        checkpoint_filename_with_path: str | None = None,
    ) -> None:
        self._scaffold = scaffold or Scaffold()
        self._master, self._config = master, config
        self._folder, self._file = checkpoint_dir, checkpoint_filename_with_path

    def create_session(self) -> Session:
        scaffold = self._scaffold.finalize()
        session = Session(self._master, config=self._config)
        path = self._file or self._newest()
        if path is not None:
            scaffold.saver.restore(session, path)
        else:
            session.run(scaffold.init_op, scaffold.init_feed_dict)
            if scaffold.init_fn is not None:
                scaffold.init_fn(session)
        session.run(scaffold.local_init_op)
        missing = session.run(scaffold.ready_op)
        if missing is not None and len(missing):
            names = ", ".join(name.decode() for name in missing)
            raise RuntimeError(f"Init operations did not make model ready.  Variables not initialized: {names}")
        return session

    def _newest(self) -> str | None:
        if not self._folder:
            return None
        state = get_checkpoint_state(self._folder)
        return state.model_checkpoint_path if state and state.model_checkpoint_path else None


class MonitoredSession:
    """A session that tells its hooks about every run. As a context manager it ends their work on leaving; an
    OutOfRangeError ends the block without an error."""

    def __init__(
        self,
        session_creator: SessionCreator | None = None,
        hooks: Sequence[SessionRunHook] | None = None,
        stop_grace_period_secs: float = 120,
    ) -> None:
        self._hooks = list(hooks or ())
        self._graph_was_finalized = get_default_graph().finalized
        for hook in self._hooks:
            hook.begin()
        self._coord, self._grace = Coordinator(), stop_grace_period_secs
        self._session: Session | None = (session_creator or ChiefSessionCreator()).create_session()
        self._default: Any = None
        for hook in self._hooks:
            hook.after_create_session(self._session, self._coord)

    @property
    def graph(self) -> Any:
        return None if self._session is None else self._session.graph

    def should_stop(self) -> bool:
        """True once a hook has asked to stop, or the session is closed."""
        return self._session is None or self._coord.should_stop()

    def run(self, fetches: Any, feed_dict: Any = None, options: Any = None, run_metadata: Any = None) -> Any:
        """What `Session.run` gives, with what the hooks ask for in the same run. RuntimeError after the end."""
        if self._session is None:
            raise RuntimeError("Run called even after should_stop requested.")
        asked = SessionRunArgs(fetches, feed_dict, options)
        context = SessionRunContext(asked, self._session)
        wanted: dict[Any, Any] = {"caller": fetches}
        feeds = dict(feed_dict or {})
        for hook in self._hooks:
            more = hook.before_run(context)
            if more is None:
                continue
            if more.fetches is not None:
                wanted[hook] = more.fetches
            for key, value in (more.feed_dict or {}).items():
                if key in feeds:
                    raise RuntimeError(f"Same tensor is fed by two sources: {key}")
                feeds[key] = value
        found = self._session.run(wanted, feeds, options, run_metadata)
        for hook in self._hooks:
            hook.after_run(context, SessionRunValues(found.get(hook), options, run_metadata))
        if context.stop_requested:
            self._coord.request_stop()
        return found["caller"]

    def run_step_fn(self, step_fn: Callable[[Any], Any]) -> Any:
        """`step_fn(context)`, whose `context.session.run` no hook hears of and `context.run_with_hooks` is `run`."""
        if self._session is None:
            raise RuntimeError("Run called even after should_stop requested.")
        return step_fn(_StepContext(self))

    def raw_session(self) -> Session | None:
        """The session itself."""
        return self._session

    def close(self) -> None:
        """Let the hooks end their work, and close the session."""
        self._end(True)

    def _end(self, in_good_order: bool) -> None:
        if self._session is None:
            return
        session, self._session = self._session, None
        try:
            if in_good_order:
                for hook in self._hooks:
                    hook.end(session)
            self._coord.request_stop()
            self._coord.join(stop_grace_period_secs=self._grace, ignore_live_threads=True)
        finally:
            session.close()
            if not self._graph_was_finalized:
                session.graph._unsafe_unfinalize()

    def __enter__(self) -> MonitoredSession:
        assert self._session is not None
        self._default = self._session.as_default()
        self._default.__enter__()
        return self

    def __exit__(self, kind: Any, problem: Any, trace: Any) -> bool:
        self._default.__exit__(None, None, None)
        over = kind is not None and issubclass(kind, (OutOfRangeError, StopIteration))
        self._end(kind is None or over)
        return over


class _StepContext:
    def __init__(self, monitored: MonitoredSession) -> None:
        self._monitored = monitored

    @property
    def session(self) -> Any:
        return self._monitored.raw_session()

    def run_with_hooks(self, *args: Any, **kwargs: Any) -> Any:
        return self._monitored.run(*args, **kwargs)

    def request_stop(self) -> None:
        """End the work: raises StopIteration, which the block of the session takes as its end."""
        raise StopIteration("step_fn has requested the iterations to stop.")


class SingularMonitoredSession(MonitoredSession):
    """A MonitoredSession made of a scaffold, for one process."""

    def __init__(
        self,
        hooks: Sequence[SessionRunHook] | None = None,
        scaffold: Scaffold | None = None,
        master: str = "",
        config: Any = None,
        checkpoint_dir: str | None = None,
        stop_grace_period_secs: float = 120,
        checkpoint_filename_with_path: str | None = None,
    ) -> None:
        creator = ChiefSessionCreator(scaffold, master, config, checkpoint_dir, checkpoint_filename_with_path)
        super().__init__(creator, hooks, stop_grace_period_secs)


def MonitoredTrainingSession(
    master: str = "",
    is_chief: bool = True,
    checkpoint_dir: str | None = None,
    scaffold: Scaffold | None = None,
    hooks: Sequence[SessionRunHook] | None = None,
    chief_only_hooks: Sequence[SessionRunHook] | None = None,
    save_checkpoint_secs: Any = _UNSET,
    save_summaries_steps: Any = _UNSET,
    save_summaries_secs: Any = _UNSET,
    config: Any = None,
    stop_grace_period_secs: float = 120,
    log_step_count_steps: int | None = 100,
    max_wait_secs: float = 7200,
    save_checkpoint_steps: Any = _UNSET,
    summary_dir: str | None = None,
) -> MonitoredSession:
    """A MonitoredSession for training: with a folder it goes on from the newest checkpoint there, saves one every 600
    seconds, writes summaries every 100 steps and counts steps per second. ValueError unless this is the only process."""
    if not is_chief:
        raise ValueError("MonitoredTrainingSession is for one process here: is_chief must be True.")
    if save_summaries_steps is _UNSET and save_summaries_secs is _UNSET:
        save_summaries_steps = 100
    if save_checkpoint_secs is _UNSET and save_checkpoint_steps is _UNSET:
        save_checkpoint_secs = 600
    rates = (save_summaries_steps, save_summaries_secs, save_checkpoint_secs, save_checkpoint_steps)
    summary_steps, summary_secs, save_secs, save_steps = (None if rate is _UNSET else rate for rate in rates)
    scaffold = scaffold or Scaffold()
    every = [*(hooks or ()), *(chief_only_hooks or ())]
    folder = summary_dir or checkpoint_dir
    if folder:
        if log_step_count_steps and log_step_count_steps > 0:
            every.append(StepCounterHook(log_step_count_steps, output_dir=folder))
        if summary_steps or summary_secs:
            every.append(SummarySaverHook(summary_steps, summary_secs, folder, scaffold=scaffold))
    if checkpoint_dir and (save_secs or save_steps):
        every.append(CheckpointSaverHook(checkpoint_dir, save_secs, save_steps, scaffold=scaffold))
    return MonitoredSession(ChiefSessionCreator(scaffold, master, config, checkpoint_dir), every, stop_grace_period_secs)
