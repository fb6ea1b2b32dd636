"""Command lines of the examples: options they share, values that are checked, errors without tracebacks."""

import argparse
import importlib
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import tfgraph as tf


class ExampleError(Exception):
    """Something the user can put right: shown as one line, without a traceback."""


def _number(text: str, kind: Callable[[str], float], accepts: Callable[[float], bool], expected: str) -> float:
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not accepts(value):
        raise argparse.ArgumentTypeError(f"expected {expected}, not {text!r}")
    return value


def positive_int(text: str) -> int:
    """An integer of at least 1."""
    return int(_number(text, int, lambda value: value >= 1, "a positive integer"))


def count(text: str) -> int:
    """An integer of at least 0."""
    return int(_number(text, int, lambda value: value >= 0, "an integer of at least 0"))


def seed(text: str) -> int:
    """An integer that every generator of random numbers accepts as its seed."""
    return int(_number(text, int, lambda value: 0 <= value < 2**31, "an integer from 0 to 2147483647"))


def positive_float(text: str) -> float:
    """A finite number above 0."""
    return _number(text, float, lambda value: 0 < value < math.inf, "a number above 0")


def nonnegative_float(text: str) -> float:
    """A finite number of at least 0."""
    return _number(text, float, lambda value: 0 <= value < math.inf, "a number of at least 0")


def probability(text: str) -> float:
    """A number above 0 and at most 1."""
    return _number(text, float, lambda value: 0 < value <= 1, "a number above 0 and at most 1")


def fraction(text: str) -> float:
    """A number strictly between 0 and 1."""
    return _number(text, float, lambda value: 0 < value < 1, "a number between 0 and 1")


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Adds the default to an option's help, where there is one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


def new_parser(name: str, description: str, *, batch: int, learning_rate: float | None) -> argparse.ArgumentParser:
    """The parser of example `name` with the options that every example has.

    learning_rate None: the example chooses when the user does not.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m tfgraph.examples.{name}",
        description=description,
        formatter_class=_HelpFormatter,
    )
    add = parser.add_argument
    rate_help = "Adam's step size" + ("; the default depends on the model" if learning_rate is None else "")
    add("--batch", type=positive_int, default=batch, metavar="N", help="examples in a training step")
    add("--learning-rate", type=positive_float, default=learning_rate, metavar="RATE", help=rate_help)
    add("--seed", type=seed, default=1, metavar="N", help="seed of the weights, the dropout and the shuffling")
    add("--output", type=Path, default=Path("output") / name, metavar="DIR", help="folder for what is written")
    add("--device", choices=("cpu", "gpu"), default="cpu", help="where the net is trained")
    return parser


def device_name(options: argparse.Namespace) -> str:
    """The name `tf.device` knows the chosen device by."""
    return f"/{options.device}:0"


def require(module: str, distribution: str) -> ModuleType:
    """Import `module` late, so that `--help` works without it; say what to install when it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ExampleError(
            f"this example needs {distribution} ({error}): pip install 'tfgraph-compiler[examples]', "
            "or pip install -e '.[examples]' in a checkout"
        ) from error


def new_folder(path: Path) -> Path:
    """Create the output folder now: a training run must not end by finding that it cannot write."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExampleError(f"cannot create the output folder {path}: {error.strerror}") from error
    return path


def run_example(
    parser: argparse.ArgumentParser,
    body: Callable[[argparse.Namespace], None],
    arguments: Sequence[str] | None,
) -> int:
    """Parse `arguments`, run `body` with them and return the exit status.

    0 for success, 1 for an error the user can put right (told in one line on standard error), 130 when interrupted.
    Options that do not parse exit with status 2, as argparse does.
    """
    options = parser.parse_args(arguments)
    try:
        body(options)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except (ExampleError, OSError) as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 1
    except tf.errors.OpError as error:
        if options.device == "cpu":
            raise
        reason = str(error.message).strip().split("\n")[0]
        print(f"{parser.prog}: error: cannot train on --device {options.device}: {reason}", file=sys.stderr)
        return 1
    return 0
