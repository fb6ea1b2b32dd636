"""The table of primitive kernel kinds, filled from the files beside this one."""

from __future__ import annotations

from typing import Any

from . import contractions, pooling

TABLE: dict[str, Any] = {
    **contractions.TABLE,
    **pooling.TABLE,
}
