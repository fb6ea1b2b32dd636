"""Keeps TensorFlow, which takes seconds to import, out of runs that do not ask for the conformance suite."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if "not conformance" in config.getoption("markexpr") else None
