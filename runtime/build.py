"""From C to a shared object in a folder: one run of the compiler or, for a program of several units, some side by side."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..codegen.units import unit_count
from ..errors import InternalError, UnavailableError
from .toolchain import HOW_TO_INSTALL, Compiler, processor_count

SOURCE, MODULE = "step.c", "step.so"
SHOWN_LINES = 30  # of a failed compiler's output


@dataclass(frozen=True)
class Command:
    """One run of the compiler: its words, and the file that it makes."""

    words: tuple[str, ...]
    product: str


@dataclass(frozen=True)
class Recipe:
    """How a source becomes a module: commands that do not wait for each other, then the one that makes the module."""

    units: tuple[Command, ...]
    module: Command

    @property
    def text(self) -> str:
        """All commands, line by line."""
        return "\n".join(" ".join(command.words) for command in (*self.units, self.module))


def recipe(source: str, compiler: Compiler, target: tuple[str, ...]) -> Recipe:
    """The commands that make a module of `source`, for the processor that the options `target` say."""
    count = unit_count(source)
    if count == 1:
        return Recipe((), Command(tuple(compiler.command_line(SOURCE, MODULE, target)), MODULE))
    objects = [f"step_{i}.o" for i in range(count)]
    units = [compiler.unit_line(SOURCE, i, name, target) for i, name in enumerate(objects)]
    return Recipe(
        tuple(Command(tuple(words), name) for words, name in zip(units, objects, strict=True)),
        Command(tuple(compiler.link_line(objects, MODULE, target)), MODULE),
    )


def build(source: str, steps: Recipe, environment: dict[str, str], folder: Path) -> Path:
    """The module of `source`, made in `folder`.

    UnavailableError: the compiler cannot be started. InternalError: it failed, was killed, or made nothing.
    """
    (folder / SOURCE).write_text(source)
    if steps.units:
        _run_all(steps.units, environment, folder)
    _run(steps.module, environment, folder)
    return folder / MODULE


def _run_all(commands: Sequence[Command], environment: dict[str, str], folder: Path) -> None:
    """Run commands, as many at a time as there are processors for; the first one that fails is the one to report."""
    from concurrent.futures import ThreadPoolExecutor  # programs of one unit need not wait for this import

    with ThreadPoolExecutor(min(len(commands), processor_count())) as workers:
        for run in [workers.submit(_run, command, environment, folder) for command in commands]:
            run.result()


def _run(command: Command, environment: dict[str, str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command.words,
            cwd=folder,  # so that no path of this machine gets into the product
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except OSError as error:
        text = f"The C compiler cannot be started: {error}\n  command: {' '.join(command.words)}\n{HOW_TO_INSTALL}"
        raise UnavailableError(None, None, text) from error
    if done.returncode != 0 or not (folder / command.product).is_file():
        raise InternalError(None, None, _failure(command, done))


def _failure(command: Command, done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        what = f"was killed by {name}" + (" (is there enough memory?)" if name == "SIGKILL" else "")
    elif done.returncode > 0:
        what = f"failed with exit status {done.returncode}"
    else:
        what = "made no output file"
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-SHOWN_LINES:]
    return "\n".join(
        [
            f"The C compiler {what}.",
            f"  command: {' '.join(command.words)}",
            *(["  it said:", *(f"    {line}" for line in said)] if said else []),
            HOW_TO_INSTALL,
        ]
    )
