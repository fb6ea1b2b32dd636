"""`tf.train`: threads that stop together. There are no queues here, so there are no runners of queues to start."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .errors import OutOfRangeError

__all__ = ["Coordinator", "LooperThread", "start_queue_runners"]


class Coordinator:
    """Tells threads to stop, waits for them, and raises in the waiting thread what one of them raised.

    Exceptions of the types in `clean_stop_exception_types` (by default OutOfRangeError) end the work without an error.
    """

    def __init__(self, clean_stop_exception_types: tuple[type[BaseException], ...] | None = None) -> None:
        self._clean = (OutOfRangeError,) if clean_stop_exception_types is None else tuple(clean_stop_exception_types)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._problem: BaseException | None = None
        self._joined = False
        self._registered: set[threading.Thread] = set()

    @property
    def joined(self) -> bool:
        return self._joined

    def request_stop(self, ex: Any = None) -> None:
        """Ask all threads to stop. `ex`, an exception or what `sys.exc_info` gives, is raised by `join`."""
        problem = ex[1] if isinstance(ex, tuple) else ex
        with self._lock:
            if self._joined:
                if problem is not None and not isinstance(problem, self._clean):
                    raise problem
                return
            if not self._stop.is_set():
                if problem is not None and not isinstance(problem, self._clean):
                    self._problem = problem
                self._stop.set()

    def should_stop(self) -> bool:
        """True once a stop has been requested."""
        return self._stop.is_set()

    def wait_for_stop(self, timeout: float | None = None) -> bool:
        """Wait for a request to stop, at most `timeout` seconds; whether there is one."""
        return self._stop.wait(timeout)

    def clear_stop(self) -> None:
        """Forget a request to stop and its reason, to start again."""
        with self._lock:
            self._joined, self._problem = False, None
            self._stop.clear()

    @contextlib.contextmanager
    def stop_on_exception(self) -> Iterator[None]:
        """A context manager that requests a stop when its block raises, with the exception as the reason."""
        try:
            yield
        except BaseException:  # a thread's end must reach the thread that waits
            self.request_stop(sys.exc_info())

    def register_thread(self, thread: threading.Thread) -> None:
        """Let `join` wait for this thread, too."""
        with self._lock:
            self._registered.add(thread)

    def join(
        self,
        threads: Iterable[threading.Thread] | None = None,
        stop_grace_period_secs: float = 120,
        ignore_live_threads: bool = False,
    ) -> None:
        """Wait until the threads have ended, and raise what stopped them.

        Once a stop is requested they have that many seconds; RuntimeError names those that still run, unless they are to be
        ignored.
        """
        waiting = list(dict.fromkeys([*self._registered, *(threads or ())]))
        while any(thread.is_alive() for thread in waiting) and not self.wait_for_stop(1.0):
            pass
        until = time.monotonic() + stop_grace_period_secs
        for thread in waiting:
            if self.should_stop():
                thread.join(max(0.0, until - time.monotonic()))
            else:
                thread.join()
        running = [thread.name for thread in waiting if thread.is_alive()]
        with self._lock:
            self._joined = True
            self._registered = set()
            problem = self._problem
        if problem is not None:
            raise problem
        if running and not ignore_live_threads:
            raise RuntimeError(f"Coordinator stopped with threads still running: {' '.join(running)}")

    def raise_requested_exception(self) -> None:
        """Raise what stopped the threads, if something did."""
        with self._lock:
            if self._problem is not None:
                raise self._problem


class LooperThread(threading.Thread):
    """A thread that calls `target`, every `timer_interval_secs` seconds (None: without a pause), until the coordinator
    stops it."""

    def __init__(
        self,
        coord: Coordinator,
        timer_interval_secs: float | None,
        target: Callable[..., Any] | None = None,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(daemon=True)
        if not isinstance(coord, Coordinator):
            raise ValueError(f"'coord' argument must be a Coordinator: {coord}")
        self._coord, self._pause = coord, timer_interval_secs
        self._call, self._args_of, self._kwargs_of = target, args, kwargs or {}
        coord.register_thread(self)

    @staticmethod
    def loop(
        coord: Coordinator, timer_interval_secs: float | None, target: Callable[..., Any], args: Any = (), kwargs: Any = None
    ) -> LooperThread:
        """A thread that has been started already."""
        thread = LooperThread(coord, timer_interval_secs, target, args, kwargs)
        thread.start()
        return thread

    def run(self) -> None:
        with self._coord.stop_on_exception():
            self.start_loop()
            if self._pause is None:
                while not self._coord.should_stop():
                    self.run_loop()
            else:
                due = time.monotonic()
                while not self._coord.wait_for_stop(max(0.0, due - time.monotonic())):
                    due += self._pause
                    self.run_loop()
            self.stop_loop()

    def start_loop(self) -> None:
        """Called once in the thread, first."""

    def stop_loop(self) -> None:
        """Called once in the thread, last."""

    def run_loop(self) -> None:
        """Called again and again."""
        if self._call is not None:
            self._call(*self._args_of, **self._kwargs_of)


def start_queue_runners(
    sess: Any = None, coord: Any = None, daemon: bool = True, start: bool = True, collection: str = "queue_runners"
) -> list[threading.Thread]:
    """The threads of all queue runners of the graph: none, since there are no queues."""
    return []
