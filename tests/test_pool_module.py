"""The thread pool: a module that is compiled ahead and kept, and how many threads it gets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests._cached import counted, entries, folder, forget_loaded, script
from tfgraph import errors
from tfgraph.runtime import cpu

__all__ = ["counted", "folder"]  # fixtures

@pytest.fixture
def no_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "_pools", {})
    monkeypatch.setattr(cpu, "_started", {})


def test_a_pool_that_was_started_is_compiled_once(
    folder: Path, counted: cpu.Statistics, no_pool: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu.start_pool()
    cpu.start_pool()
    (thread,) = cpu._started.values()
    pool = cpu.pool(1)
    assert not thread.is_alive()
    assert pool != cpu.ffi.NULL
    assert cpu.pool(1) == pool
    assert len(entries(folder)) == 1
    after = cpu.statistics()
    assert (after.compilations - counted.compilations, after.cache_hits - counted.cache_hits) == (1, 0)
    forget_loaded(monkeypatch)
    cpu._pools.clear()
    cpu.start_pool()  # it is on disk
    assert not cpu._started
    assert cpu.pool(1) != cpu.ffi.NULL
    assert cpu.statistics().compilations - counted.compilations == 1


def test_a_pool_that_was_started_in_vain(
    tmp_path: Path, folder: Path, no_pool: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", script(tmp_path / "broken", "echo 'out of luck' >&2; exit 3"))
    cpu.start_pool()
    with pytest.raises(errors.InternalError, match="out of luck"):
        cpu.pool(1)
    assert not list(folder.glob(".build-*"))
    monkeypatch.delenv("CC")
    assert cpu.pool(1) != cpu.ffi.NULL


def test_every_number_of_threads_has_a_pool(no_pool: None, counted: cpu.Statistics) -> None:
    """A session with two threads has two, whatever an earlier one had."""
    one, two = cpu.pool(1), cpu.pool(2)
    assert one != two
    assert (cpu.pool(1), cpu.pool(2)) == (one, two)
    assert cpu.statistics().compilations - counted.compilations <= 1  # they share their code


def test_starting_a_pool_without_a_compiler(no_pool: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    cpu.start_pool()
    assert not cpu._started


def test_starting_a_pool_does_not_wait_for_other_modules(no_pool: None) -> None:
    with cpu._lock:
        cpu.start_pool()
    assert not cpu._started


# --- threads of a program -----------------------------------------------------------------------------------


class _Config:
    intra_op_parallelism_threads = 3


def test_thread_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TFGRAPH_NUM_THREADS", raising=False)
    assert cpu.thread_count() == len(os.sched_getaffinity(0))
    assert cpu.thread_count(_Config()) == 3
    monkeypatch.setenv("TFGRAPH_NUM_THREADS", "5")
    assert cpu.thread_count(_Config()) == 5
    for wrong in ("0", "-1", "many"):
        monkeypatch.setenv("TFGRAPH_NUM_THREADS", wrong)
        with pytest.raises(ValueError, match="TFGRAPH_NUM_THREADS must be a positive number"):
            cpu.thread_count()
