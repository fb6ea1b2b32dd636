"""Which of TensorFlow's names a script uses, and what there is to say about each. The script is read, not run."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import modules

ROOT = modules.ROOT


@dataclass(frozen=True)
class Use:
    """One use: the line, the name in full (`tensorflow.nn.relu`), and what is wrong with it, "" if nothing is."""

    line: int
    name: str
    problem: str


def uses_of_tensorflow(source: bytes, filename: str) -> list[Use]:
    """The uses in the order of the lines, each name once a line. SyntaxError if `source` is not Python."""
    tree = ast.parse(source, filename)
    aliases: dict[str, str] = {}  # what the script calls a thing of TensorFlow -> its name in full
    found: dict[tuple[int, str], None] = {}
    for line, name in _imported(tree, aliases):
        found[line, name] = None
    for line, name in _named(tree, aliases):
        found[line, name] = None
    installed = any(isinstance(finder, modules.Finder) for finder in modules.sys.meta_path)
    if not installed:
        modules.install()
    try:
        longest = _without_prefixes(found)
        return [Use(line, name, _problem(name)) for line, name in sorted(longest)]
    finally:
        if not installed:
            modules.uninstall()


def _imported(tree: ast.AST, aliases: dict[str, str]) -> Iterator[tuple[int, str]]:
    """What import statements name; `aliases` learns what they bind."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == ROOT:
                    aliases[alias.asname or ROOT] = alias.name if alias.asname else ROOT
                    yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == ROOT:
            for alias in node.names:
                name = f"{node.module}.{alias.name}" if alias.name != "*" else str(node.module)
                if alias.name != "*":
                    aliases[alias.asname or alias.name] = name
                yield node.lineno, name


def _named(tree: ast.AST, aliases: dict[str, str]) -> Iterator[tuple[int, str]]:
    """Chains of attributes that begin with something imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            chain, inner = [node.attr], node.value
            while isinstance(inner, ast.Attribute):
                chain.append(inner.attr)
                inner = inner.value
            if isinstance(inner, ast.Name) and inner.id in aliases:
                yield node.lineno, ".".join([aliases[inner.id], *reversed(chain)])


def _without_prefixes(found: dict[tuple[int, str], None]) -> set[tuple[int, str]]:
    """`tensorflow.nn` is not told beside `tensorflow.nn.relu` of the same line."""
    lines: dict[int, list[str]] = {}
    for line, name in found:
        lines.setdefault(line, []).append(name)
    return {(line, name) for line, names in lines.items() for name in names
            if not any(other.startswith(name + ".") for other in names)}  # fmt: skip


def _problem(name: str) -> str:
    """What an import or a use of this name would say; "" if it is here."""
    found: Any = None
    path = ""
    for part in name.split("."):
        before, path = found, f"{path}.{part}".lstrip(".")
        try:
            found = importlib.import_module(path) if found is None else getattr(before, part)
        except AttributeError as error:
            try:
                found = importlib.import_module(path)
            except ImportError:
                return str(error)
        except ImportError as error:
            return str(error)
        if not isinstance(found, modules.ModuleType):
            return ""  # an attribute of an object is the object's own affair
    return ""
