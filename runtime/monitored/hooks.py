"""What a hook is: calls before and after each run of a monitored session, and at its beginning and end."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["SessionRunArgs", "SessionRunContext", "SessionRunHook", "SessionRunValues"]


class SessionRunArgs(NamedTuple):
    """What a hook adds to a run: fetches, feeds, options."""

    fetches: Any
    feed_dict: Any = None
    options: Any = None


class SessionRunValues(NamedTuple):
    """What a hook gets from a run: the values of the fetches that it asked for."""

    results: Any
    options: Any
    run_metadata: Any


class SessionRunContext:
    """A run: what the caller asked for, in which session; and a way to stop the training."""

    def __init__(self, original_args: SessionRunArgs, session: Any) -> None:
        self._original_args, self._session, self._stop_requested = original_args, session, False

    @property
    def original_args(self) -> SessionRunArgs:
        return self._original_args

    @property
    def session(self) -> Any:
        return self._session

    @property
    def stop_requested(self) -> bool:
        return self._stop_requested

    def request_stop(self) -> None:
        """Let `should_stop` of the monitored session be true from now on."""
        self._stop_requested = True


class SessionRunHook:
    """Base class of hooks: each call may be left as it is, doing nothing."""

    def begin(self) -> None:
        """Before the session is made; the graph may still grow."""

    def after_create_session(self, session: Any, coord: Any) -> None:
        """When the session has been made and its variables have values."""

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Before each run; may ask for more fetches."""
        return None

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """After each run, with the values that `before_run` asked for."""

    def end(self, session: Any) -> None:
        """At the end of the work, unless an exception ended it."""
