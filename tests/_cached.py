"""A cache of modules for tests: small sources, what is in the folder, compilers that are scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfgraph.runtime import cpu

SOURCE = """
#include <stdint.h>
#define EXPORTED __attribute__((visibility("default")))
typedef struct { int64_t N; } tg_step;
EXPORTED int64_t tg_run(tg_step *s, int64_t first, int64_t last) { return s->N * 100 + last - first + %d; }
EXPORTED void *tg_new_pool(int64_t threads) { (void)threads; return 0; }
"""


def answer(module: object) -> int:
    """What the module's step says for N = 7 and kernels 2 to 5, which differs from source to source."""
    step = cpu.ffi.new("tg_step *")
    step.N = 7
    return module.tg_run(step, 2, 5) - 703


def forget_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a new process would: nothing is loaded, the disk decides."""
    monkeypatch.setattr(cpu, "_modules", {})


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.so"))


def nothing_left(folder: Path) -> bool:
    return not [path for path in folder.rglob("*") if path.is_file()] and not list(folder.glob(".build-*"))


def script(path: Path, text: str) -> str:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for each test."""
    monkeypatch.setenv("TFGRAPH_CACHE", str(tmp_path / "modules"))
    forget_loaded(monkeypatch)
    return tmp_path / "modules"


@pytest.fixture
def counted() -> cpu.Statistics:
    return cpu.statistics()
