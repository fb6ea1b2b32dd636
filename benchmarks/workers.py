"""Processes that measure on orders: one JSON line to a process, one JSON line back.

Each framework has a process of its own, so that their thread pools, allocators and settings do not meet; orders go to
one after the other, so that all meet the same moods of the machine.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).parent.parent
LONGEST_ANSWER = 600.0  # seconds
QUIET = 0.02  # seconds between orders, in which the threads of the process before stop spinning


class WorkerFailed(RuntimeError):
    """A process ended, said an error or did not answer in time; the text is the last it said."""


class Worker:
    """A process that runs `python -m benchmarks.<module> <arguments>`; `ready` is what it said first, `environment` what it
    was given beside this process's own."""

    def __init__(self, module: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by close()
        self.environment = dict(environment or {})
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TFGRAPH_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
            env={**inherited, **self.environment},
        )
        self.ready = self._answer()

    def order(self, name: str, /, **options: Any) -> dict[str, Any]:
        """What the process answers to an order. WorkerFailed if it does not."""
        assert self._process.stdin is not None
        time.sleep(QUIET)
        try:
            self._process.stdin.write(json.dumps({"order": name, **options}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: the answer says how
        return self._answer()

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        timer = threading.Timer(LONGEST_ANSWER, self._process.kill)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if line:
            return json.loads(line)
        status = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().strip().splitlines()
        self.close()
        raise WorkerFailed(f"exit status {status}: {said[-1] if said else 'no message'}")


def take_output() -> TextIO:
    """The worker's side, before anything else: where answers go. What libraries print goes to standard error instead."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def serve(answers: TextIO, ready: Mapping[str, Any], orders: Mapping[str, Callable[..., Mapping[str, Any]]]) -> None:
    """The worker's side: say `ready`, then answer orders until the input ends."""
    print(json.dumps(ready), file=answers, flush=True)
    for line in sys.stdin:
        options = json.loads(line)
        print(json.dumps(orders[options.pop("order")](**options)), file=answers, flush=True)


def timed(call: Callable[[], Any], seconds: float, least: int = 1, at_once: int = 1) -> list[float]:
    """How long one call takes, in seconds, again and again for `seconds` and at least `least` times.

    Very short calls are timed `at_once` together, and their mean is one figure.
    """
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(at_once):
            call()
        times.append((time.perf_counter() - start) / at_once)
    return times


def summary(times: Sequence[float]) -> dict[str, float]:
    """The figures that are kept of many times."""
    return {"median": statistics.median(times), "least": min(times), "count": len(times)}
