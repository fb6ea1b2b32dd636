"""The table of primitive kernel kinds, filled from the files beside this one."""

from __future__ import annotations

from typing import Any

from . import checks, contractions, moves, pooling, random, scatters, searches

TABLE: dict[str, Any] = {
    **contractions.TABLE,
    **pooling.TABLE,
    **moves.TABLE,
    **scatters.TABLE,
    **searches.TABLE,
    **checks.TABLE,
    **random.TABLE,
}
