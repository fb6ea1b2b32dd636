"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tfgraph as tf


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
