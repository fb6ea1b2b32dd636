"""Where the user's own code created an op: the frames outside this package and its launcher, innermost last."""

from __future__ import annotations

import linecache
import sys
from typing import Any, NamedTuple

DEPTH = 12  # frames kept per op; enough to leave a helper library and reach the script


class Frame(NamedTuple):
    """One frame of the user's code."""

    file: str
    line: int
    function: str

    def text(self) -> str:
        """`File "x.py", line 3, in f` and the source line below it."""
        code = linecache.getline(self.file, self.line).strip()
        head = f'File "{self.file}", line {self.line}, in {self.function}'
        return f"{head}\n    {code}" if code else head


def is_own(module: str) -> bool:
    """True for modules of this package other than its examples."""
    return (module == "tfgraph" or module.startswith("tfgraph.")) and not module.startswith("tfgraph.examples")


def _module_of(names: dict[str, Any]) -> str:
    """The module whose global names these are; a module that `python -m` runs is called `__main__`."""
    spec = names.get("__spec__")
    return str(spec.name if spec is not None else names.get("__name__", ""))


def user_frames() -> tuple[Frame, ...]:
    """The innermost frames of the caller that are not this package's, outermost first."""
    frames: list[Frame] = []
    frame = sys._getframe(1)
    while frame is not None and len(frames) < DEPTH:
        module = _module_of(frame.f_globals)
        if module != "runpy" and not is_own(module):
            frames.append(Frame(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back  # type: ignore[assignment]
    return tuple(reversed(frames))
