"""What an example says and leaves behind: the progress bar, whole files, the list of what was written."""

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

REDRAW_SECONDS = 0.1


class ProgressBar:
    """A bar that redraws one line of a terminal; where the output is no terminal, only the lines remain.

    >>> with ProgressBar(epochs * batches) as bar:
    ...     bar.advance("loss 0.12")        # after every step
    ...     bar.say("epoch 1: loss 0.12")   # a line that stays
    """

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self.total = max(total, 1)
        self.done = 0
        self._stream = sys.stdout if stream is None else stream
        self._draws = self._stream.isatty()
        self._started = time.monotonic()
        self._drawn_at = 0.0

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def advance(self, text: str = "") -> None:
        """One step further; `text` stands behind the bar until the next one."""
        self.done += 1
        now = time.monotonic()
        if self._draws and (now - self._drawn_at >= REDRAW_SECONDS or self.done == self.total):
            self._drawn_at = now
            self._stream.write("\r\x1b[K" + self._line(now, text))
            self._stream.flush()

    def say(self, text: str) -> None:
        """Print a line that stays, above the bar."""
        self._clear()
        self._stream.write(text + "\n")
        self._stream.flush()

    def _clear(self) -> None:
        if self._draws:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _line(self, now: float, text: str) -> str:
        share = min(self.done / self.total, 1.0)
        left = (now - self._started) * (1 - share) / share
        columns = shutil.get_terminal_size().columns
        tail = f" {share:4.0%}  {self.done}/{self.total}  {left:.0f} s left  {text}"
        cells = max(min(30, columns - len(tail) - 3), 0)
        filled = round(cells * share)
        return f"[{'#' * filled}{'.' * (cells - filled)}]{tail}"[: columns - 1]


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place when all went well, and disappears when not.

    A reader never sees half a file, and an interrupted run leaves the old one.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def show_pictures(paths: Iterable[Path]) -> None:
    """Tell where the pictures are."""
    for path in paths:
        print(f"picture      {path}")


def show_generated(session: Any, folder: Path) -> list[Path]:
    """Write the C that `session` compiled into `folder` and tell where it is.

    A session that generates nothing (TensorFlow's own, with which these examples also run) is passed over.
    """
    export = getattr(session, "export_source", None)
    if export is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    paths = [Path(path) for path in export(folder)]
    for path in paths:
        print(f"generated C  {path}")
    return paths
