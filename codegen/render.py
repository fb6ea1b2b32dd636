"""The one renderer: templates to text."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import jinja2

from .. import templates
from .prelude import math_parts
from .template_cache import TemplateCache


@functools.cache
def environment() -> jinja2.Environment:
    """Jinja2 over the installed templates; a name that the context lacks is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(templates.__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
        bytecode_cache=TemplateCache(),
    )
    made.filters["parts"] = math_parts
    made.globals["dialect"] = "c/dialect.j2"  # of shared templates; a context for another target has its own
    return made


def render(template: str, **context: Any) -> str:
    """The text of `templates/<template>` in this context."""
    return environment().get_template(template).render(context)


_WORD = re.compile(r"\b[A-Za-z_]\w*")


@functools.cache
def words_of(*templates: str) -> frozenset[str]:
    """The identifiers in the text of these templates: nothing of a user's may be called like one of them there."""
    engine = environment()
    assert engine.loader is not None
    words: set[str] = set()
    for template in templates:
        source = engine.loader.get_source(engine, template)[0]
        text = "".join(value for _, kind, value in engine.lex(source) if kind == "data")
        words.update(_WORD.findall(_STRING_OR_COMMENT.sub(" ", text)))
    return frozenset(words)


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
        if line.startswith(("}", "{")) and lines and lines[-1] == "":
            lines.pop()
        lines.append(
            line if is_directive and not line.startswith("#pragma") else "    " * (depth + (1 if continued else 0)) + line
        )
        opened = code.count("{") - code.count("}") + (1 if code.startswith("}") else 0)
        depth += opened
        # the one statement under a brace-less loop or condition goes one step in
        stripped = code.strip()
        continued = bool(re.match(r"^(for|if|while|else)\b", stripped)) and not stripped.endswith(("{", ";", "}"))
    return _join_braces("\n".join(lines).rstrip() + "\n")


def _join_braces(text: str) -> str:
    """`for (...)` and the `{` under it on one line."""
    return re.sub(r"^( *)((?:for|if|while)\b[^\n]*\)|else)\n *\{$", r"\1\2 {", text, flags=re.MULTILINE)


def squeeze(text: str) -> str:
    """`text` with at most one blank line in a row."""
    return re.sub(r"\n{3,}", "\n\n", text)
