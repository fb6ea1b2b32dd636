"""Kernel texts -> one C file: order, shared items, indentation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .emitted import Shared
from .prelude import math_closure
from .render import render

_STRING_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|/\*.*?\*/|//.*')


def tidy(text: str) -> str:
    """`text` indented by its braces; runs of blank lines become one. Templates need not count spaces."""
    lines: list[str] = []
    depth = 0
    in_comment = False
    continued = False
    for raw in text.splitlines():
        line = raw.strip()
        if not line:
            if lines and lines[-1] and not lines[-1].endswith("{"):
                lines.append("")
            continue
        if in_comment:
            lines.append("    " * depth + " " + line)
            in_comment = "*/" not in line
            continue
        if line.startswith("/*") and "*/" not in line:
            lines.append("    " * depth + line)
            in_comment = True
            continue
        code = _STRING_OR_COMMENT.sub("", line)
        depth -= 1 if code.startswith("}") else 0
        is_directive = line.startswith("#")
        if line.startswith("}") and lines and lines[-1] == "":
            lines.pop()
        lines.append(line if is_directive and not line.startswith("#pragma") else "    " * (depth + (1 if continued else 0)) + line)
        opened = code.count("{") - code.count("}") + (1 if code.startswith("}") else 0)
        depth += opened
        # the one statement under a brace-less loop or condition goes one step in
        stripped = code.strip()
        continued = bool(re.match(r"^(for|if|while|else)\b", stripped)) and not stripped.endswith(("{", ";", "}"))
    return _join_braces("\n".join(lines).rstrip() + "\n")


_LOOP_THEN_BRACE = re.compile(r"^( *)((?:for|if|while|else)\b.*[^;{}\s])\n +\{$|^( *)((?:for|if|while|else)\b.*\))\n\3\{$", re.MULTILINE)


def _join_braces(text: str) -> str:
    """`for (...)` and the `{` under it on one line."""
    return re.sub(r"^( *)((?:for|if|while)\b[^\n]*\)|else)\n *\{$", r"\1\2 {", text, flags=re.MULTILINE)


def assemble(
    kernels: Sequence[str],
    launches: Sequence[tuple[int, Any]],
    shared: Sequence[Shared],
    math: frozenset[str],
    random: frozenset[str],
    summary: Sequence[str],
    batch_bytes: int,
    fixed_bytes: int,
) -> str:
    """The whole C file of a program."""
    return render(
        "c/step.c.j2",
        kernels=[tidy(k) for k in kernels],
        launches=launches,
        shared=shared,
        math=math_closure(math),
        random=random,
        summary=summary,
        batch_bytes=batch_bytes,
        fixed_bytes=fixed_bytes,
    )
