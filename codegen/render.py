"""The one renderer: templates to text."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jinja2

from .. import templates


@functools.cache
def environment() -> jinja2.Environment:
    """Jinja2 over the installed templates; a name that the context lacks is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(templates.__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )


def render(template: str, **context: Any) -> str:
    """The text of `templates/<template>` in this context."""
    return environment().get_template(template).render(context)
