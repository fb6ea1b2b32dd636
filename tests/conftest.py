"""Fixtures that several test files share."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

import tfgraph as tf

GOLDEN = Path(__file__).parent / "golden"
LINES_SHOWN = 80  # of a difference from a golden file

# the same examples in every run, so that a change fails for its own sake, and none for a busy machine;
# `--hypothesis-profile=search` looks for new ones
hypothesis.settings.register_profile("repeat", derandomize=True, database=None, deadline=None)
hypothesis.settings.register_profile("search", max_examples=2000, deadline=None)
hypothesis.settings.load_profile("repeat")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what the compiler generates now into tests/golden")


def pytest_configure(config: pytest.Config) -> None:
    """Workers and later runs share compiled modules, apart from the user's own; `--cache-clear` forgets them."""
    if hasattr(config, "cache"):
        os.environ.setdefault("TFGRAPH_CACHE", str(config.cache.mkdir("tfgraph") / "modules"))
    if not config.pluginmanager.hasplugin("xdist"):
        config.addinivalue_line("markers", "xdist_group(name): tests of one group run in one worker, under --dist loadgroup")


@pytest.fixture(params=["interpreter", "compiled"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test once in NumPy and once in compiled code."""
    monkeypatch.setenv("TFGRAPH_BACKEND", request.param)
    return request.param


@pytest.fixture
def graph() -> Iterator[tf.Graph]:
    """A new graph, the default one of the test."""
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)` compares `text` with the file tests/golden/`name`, or writes it under --update-golden."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            GOLDEN.mkdir(exist_ok=True)
            path.write_text(text)
            return
        how = "`python -m pytest tests/test_golden.py --update-golden` writes it; then read it."
        if not path.exists():
            pytest.fail(f"There is no golden file {path}. {how}", pytrace=False)
        kept = path.read_text()
        if text != kept:
            changes = list(difflib.unified_diff(kept.splitlines(), text.splitlines(), f"golden/{name}", "now", lineterm=""))
            shown = "\n".join(changes[:LINES_SHOWN])
            pytest.fail(f"The generated source has changed. If that is meant: {how}\n{shown}", pytrace=False)

    return compare
