"""The cache of compiled modules: what is reused, what is rebuilt, and what a user is told when compiling goes wrong."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests._cached import SOURCE, answer, counted, entries, folder, forget_loaded, nothing_left, script
from tfgraph import errors
from tfgraph.runtime import cache as cache_module
from tfgraph.runtime import cpu, toolchain

__all__ = ["counted", "folder"]  # fixtures

# --- reuse --------------------------------------------------------------------------------------------------


def test_compiles_once(folder: Path, counted: cpu.Statistics, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer(cpu.load(SOURCE % 1)) == 1
    assert answer(cpu.load(SOURCE % 1)) == 1  # loaded already
    forget_loaded(monkeypatch)
    assert answer(cpu.load(SOURCE % 1)) == 1  # on disk
    after = cpu.statistics()
    assert after.compilations - counted.compilations == 1
    assert after.cache_hits - counted.cache_hits == 2
    assert len(entries(folder)) == 1


def test_another_source_is_another_entry(folder: Path) -> None:
    assert [answer(cpu.load(SOURCE % i)) for i in (1, 2)] == [1, 2]
    assert len(entries(folder)) == 2


@pytest.mark.parametrize(
    ("part", "other"),
    [(0, "int x;"), (1, "cc of another version"), (2, "-O0"), (3, "another processor"), (0, ""), (1, "")],
)
def test_every_part_of_the_key_counts(part: int, other: str) -> None:
    parts = ["source", "compiler", "options", "processor"]
    changed = [*parts[:part], other, *parts[part + 1 :]]
    assert cache_module.key_of(*parts) != cache_module.key_of(*changed)


def test_the_border_between_the_parts_of_a_key_counts() -> None:
    assert cache_module.key_of("ab", "c") != cache_module.key_of("a", "bc")


def test_a_replaced_compiler_compiles_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: cpu.Statistics) -> None:
    real = toolchain.find_compiler()
    assert real is not None
    compiler = script(tmp_path / "mycc", f'exec {real.command[0]} "$@"')
    monkeypatch.setenv("CC", compiler)
    cpu.load(SOURCE % 1)
    script(tmp_path / "mycc", f'# a new version\nexec {real.command[0]} "$@"')
    toolchain._find.cache_clear()  # what a new process starts with
    forget_loaded(monkeypatch)
    cpu.load(SOURCE % 1)
    assert cpu.statistics().compilations - counted.compilations == 2


def test_equal_sources_make_equal_entries(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu.load(SOURCE % 1)
    (first,) = entries(folder)
    first.unlink()
    forget_loaded(monkeypatch)
    cpu.load(SOURCE % 1)
    assert [entry.name for entry in entries(folder)] == [first.name]


# --- damage -------------------------------------------------------------------------------------------------


def replace_bytes(entry: Path, data: bytes) -> None:
    """Other bytes in a new file of the same name: this process has the old one mapped."""
    entry.unlink()
    entry.write_bytes(data)
    entry.chmod(0o700)


def truncate(entry: Path) -> None:
    replace_bytes(entry, entry.read_bytes()[:1000])


def flip_a_bit(entry: Path) -> None:
    data = bytearray(entry.read_bytes())
    data[len(data) // 2] ^= 1
    replace_bytes(entry, bytes(data))


def empty(entry: Path) -> None:
    replace_bytes(entry, b"")


def let_others_write(entry: Path) -> None:
    entry.chmod(0o777)


def replace_by_a_link(entry: Path) -> None:
    elsewhere = entry.with_suffix(".moved")
    entry.rename(elsewhere)
    entry.symlink_to(elsewhere)


def replace_by_a_folder(entry: Path) -> None:
    entry.unlink()
    entry.mkdir()
    (entry / "inside").write_text("")


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, empty, let_others_write, replace_by_a_link, replace_by_a_folder])
def test_a_damaged_entry_is_rebuilt(damage, folder: Path, counted: cpu.Statistics, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu.load(SOURCE % 3)
    (entry,) = entries(folder)
    damage(entry)
    forget_loaded(monkeypatch)
    assert answer(cpu.load(SOURCE % 3)) == 3
    assert cpu.statistics().compilations - counted.compilations == 2
    (rebuilt,) = entries(folder)
    assert rebuilt.is_file()
    assert not rebuilt.is_symlink()


def test_an_intact_file_that_cannot_be_loaded_is_rebuilt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu.load(SOURCE % 4)
    (entry,) = entries(folder)
    key = entry.name.partition("-")[0]
    entry.unlink()
    other = folder / "not-a-module"
    other.write_text("text")
    cache_module.ModuleCache(folder).store(key, other)
    forget_loaded(monkeypatch)
    assert answer(cpu.load(SOURCE % 4)) == 4


def test_an_entry_of_another_key_is_never_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu.load(SOURCE % 1)
    cpu.load(SOURCE % 2)
    first, second = entries(folder)
    # the right key with the bytes of another module: its digest tells
    replace_bytes(first, second.read_bytes())
    forget_loaded(monkeypatch)
    assert [answer(cpu.load(SOURCE % i)) for i in (1, 2)] == [1, 2]


# --- whose folder -------------------------------------------------------------------------------------------


def test_the_folder_is_private(folder: Path) -> None:
    cpu.load(SOURCE % 1)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_others_may_write_to_is_not_used(folder: Path) -> None:
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    with pytest.warns(RuntimeWarning, match="others may write to it"):
        assert answer(cpu.load(SOURCE % 5)) == 5
    assert not entries(folder)


def test_a_folder_that_cannot_be_made_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TFGRAPH_CACHE", str(tmp_path / "file" / "modules"))
    with pytest.warns(RuntimeWarning, match="TFGRAPH_CACHE"):
        assert answer(cpu.load(SOURCE % 6)) == 6


def test_a_read_only_folder_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.warns(RuntimeWarning, match="read-only"):
        assert answer(cpu.load(SOURCE % 7)) == 7
    assert not entries(folder)


def test_a_folder_that_was_removed_is_made_again(folder: Path) -> None:
    assert answer(cpu.load(SOURCE % 1)) == 1
    shutil.rmtree(folder)
    assert answer(cpu.load(SOURCE % 2)) == 2
    assert len(entries(folder)) == 1
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*arguments: object) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(cpu, "build", no_room)
        with pytest.raises(errors.UnavailableError, match=f"{folder}: .*No space left on device.* TFGRAPH_CACHE"):
            cpu.load(SOURCE % 1)
    assert nothing_left(folder)
    assert answer(cpu.load(SOURCE % 1)) == 1  # as soon as there is room


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CACHE", str(tmp_path / "mine"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_module.module_cache().folder == tmp_path / "mine"
    monkeypatch.delenv("TFGRAPH_CACHE")
    assert cache_module.module_cache().folder == tmp_path / "xdg" / "tfgraph"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_module.module_cache().folder == tmp_path / "home" / ".cache" / "tfgraph"


# --- compilers that go wrong --------------------------------------------------------------------------------


def test_a_compiler_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler -m64")
    with pytest.raises(errors.UnavailableError) as caught:
        cpu.load(SOURCE % 1)
    assert "no-such-compiler" in str(caught.value)
    assert "apt install gcc" in str(caught.value)


@pytest.mark.parametrize("variable", ["CC", "TFGRAPH_CFLAGS"])
def test_a_quotation_without_an_end(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "gcc '-O1")
    with pytest.raises(ValueError, match=f"{variable} is .*No closing quotation"):
        cpu.load(SOURCE % 1)


def test_no_compiler_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    assert toolchain.find_compiler() is None
    with pytest.raises(errors.UnavailableError, match=r"no C compiler.*apt install gcc"):
        cpu.load(SOURCE % 1)


def test_the_order_of_compilers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    script(tmp_path / "clang", "")
    assert toolchain.find_compiler().command == ("clang",)
    toolchain._find.cache_clear()
    script(tmp_path / "gcc", "")
    assert toolchain.find_compiler().command == ("gcc",)
    toolchain._find.cache_clear()
    script(tmp_path / "cc", "")
    assert toolchain.find_compiler().command == ("cc",)
    monkeypatch.setenv("CC", "gcc -m64")
    assert toolchain.find_compiler().command == ("gcc", "-m64")


def test_a_compiler_that_fails(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # it leaves half a file behind, as a full disk makes compilers do
    text = "echo half > step.so\necho 'step.c:1: error: disk full' >&2\nexit 3"
    monkeypatch.setenv("CC", script(tmp_path / "failing", text))
    with pytest.raises(errors.InternalError) as caught:
        cpu.load(SOURCE % 1)
    message = str(caught.value)
    assert "failed with exit status 3" in message
    assert f"{tmp_path}/failing -O3" in message
    assert "step.c:1: error: disk full" in message
    assert "apt install gcc" in message
    assert nothing_left(folder)


def test_a_compiler_that_is_killed(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", script(tmp_path / "killed", "echo half > step.so\nkill -KILL $$"))
    with pytest.raises(errors.InternalError, match=r"was killed by SIGKILL \(is there enough memory\?\)") as caught:
        cpu.load(SOURCE % 1)
    assert "killed -O3" in str(caught.value)
    assert nothing_left(folder)


def test_a_compiler_that_makes_nothing(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", script(tmp_path / "idle", "exit 0"))
    with pytest.raises(errors.InternalError, match="made no output file"):
        cpu.load(SOURCE % 1)
    assert nothing_left(folder)


def test_a_compiler_that_cannot_be_started(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(errors.UnavailableError, match="cannot be started"):
        cpu.load(SOURCE % 1)
    assert nothing_left(folder)


def test_source_that_does_not_compile(folder: Path) -> None:
    with pytest.raises(errors.InternalError, match=r"step\.c:1:.*error"):
        cpu.load("this is no C;")
    assert nothing_left(folder)


def test_after_a_failure_the_next_compilation_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", script(tmp_path / "failing", "exit 1"))
    with pytest.raises(errors.InternalError):
        cpu.load(SOURCE % 8)
    monkeypatch.delenv("CC")
    assert answer(cpu.load(SOURCE % 8)) == 8


def test_abandoned_builds_are_removed(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    old, recent = folder / ".build-old", folder / ".build-recent"
    old.mkdir()
    recent.mkdir()
    long_ago = time.time() - 2 * cache_module.ABANDONED_AFTER
    os.utime(old, (long_ago, long_ago))
    cpu.load(SOURCE % 1)
    assert not old.exists()
    assert recent.exists()  # perhaps another process is at work there


# --- many at once -------------------------------------------------------------------------------------------

LOAD_IN_PROCESS = """
import sys
from tfgraph.runtime import cpu
step = cpu.ffi.new("tg_step *")
step.N = 7
print(cpu.load(sys.stdin.read()).tg_run(step, 2, 5) - 703)
"""


def test_processes_that_compile_the_same_source(folder: Path) -> None:
    command = [sys.executable, "-c", LOAD_IN_PROCESS]
    with ThreadPoolExecutor(4) as starter:
        runs = [starter.submit(subprocess.run, command, input=SOURCE % 9, capture_output=True, text=True) for _ in range(4)]
    for run in runs:
        assert run.result().stdout.strip() == "9", run.result().stderr
    assert len(entries(folder)) == 1
    assert not list(folder.glob(".build-*"))


def test_threads_that_load_the_same_source(counted: cpu.Statistics) -> None:
    with ThreadPoolExecutor(4) as workers:
        assert [answer(module) for module in workers.map(cpu.load, [SOURCE % 10] * 4)] == [10] * 4
    assert cpu.statistics().compilations - counted.compilations == 1
