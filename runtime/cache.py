"""Compiled modules on disk: files that belong to the user alone and are loaded only if they are what was stored.

An entry is one file named `<key>-<digest>.so` (or another suffix): the key says what it was compiled from, the digest (of
its bytes) whether it is still that. It appears by a rename and is never changed, so processes that share the folder need no
lock.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import stat
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

SUFFIX = ".so"
BUILD_PREFIX = ".build-"
ABANDONED_AFTER = 24 * 3600.0  # seconds; the folder of a build whose process died


def key_of(*parts: str) -> str:
    """The key of what `parts` (source, compiler, options, processor) compile to."""
    joined = b"".join(len(part.encode()).to_bytes(8, "little") + part.encode() for part in parts)
    return hashlib.sha256(joined).hexdigest()


class ModuleCache:
    """A folder of compiled modules."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, key: str, suffix: str = SUFFIX) -> Path | None:
        """The entry of `key`; None if there is none. Entries that are damaged or not ours are removed."""
        shelf = self.folder / key[:2]
        try:
            names = [name for name in os.listdir(shelf) if name.startswith(key) and name.endswith(suffix)]
        except OSError:
            return None
        for name in sorted(names):
            if _digest_of_own_file(shelf / name) == name[len(key) + 1 : -len(suffix)]:
                return shelf / name
            self.remove(shelf / name)
        return None

    def remove(self, entry: Path) -> None:
        """Forget an entry; another process may have done so already."""
        try:
            entry.unlink()
        except OSError:
            shutil.rmtree(entry, ignore_errors=True)

    @contextmanager
    def build_folder(self) -> Iterator[Path]:
        """A new folder beside the entries that goes away afterwards, whatever happens."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it may have been removed since it was opened
        self._remove_abandoned()
        folder = Path(tempfile.mkdtemp(prefix=BUILD_PREFIX, dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def store(self, key: str, built: Path, suffix: str = SUFFIX) -> Path:
        """Move the file `built` (in a build folder) to its place as the entry of `key`."""
        shelf = self.folder / key[:2]
        shelf.mkdir(mode=0o700, exist_ok=True)
        built.chmod(0o700)
        entry = shelf / f"{key}-{hashlib.sha256(built.read_bytes()).hexdigest()}{suffix}"
        os.replace(built, entry)
        return entry

    def _remove_abandoned(self) -> None:
        oldest = time.time() - ABANDONED_AFTER
        for entry in self.folder.glob(f"{BUILD_PREFIX}*"):
            try:
                if entry.stat().st_mtime < oldest:
                    shutil.rmtree(entry, ignore_errors=True)
            except OSError:
                continue  # its process has just removed it


def _digest_of_own_file(path: Path) -> str | None:
    """The digest of a plain file that only we can have written, else None."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not _is_ours_alone(status):
            return None
        with open(descriptor, "rb", closefd=False) as file:
            return hashlib.sha256(file.read()).hexdigest()
    finally:
        os.close(descriptor)


def _is_ours_alone(status: os.stat_result) -> bool:
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def module_cache() -> ModuleCache:
    """The cache in $TFGRAPH_CACHE, else $XDG_CACHE_HOME/tfgraph, else ~/.cache/tfgraph; if that folder cannot be ours
    alone, one that lasts as long as this process."""
    wanted = os.environ.get("TFGRAPH_CACHE")
    if not wanted:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        wanted = os.path.join(home, "tfgraph")
    return _open(wanted)


@cache
def _open(wanted: str) -> ModuleCache:
    folder = Path(wanted).expanduser().absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.stat()
        if not stat.S_ISDIR(status.st_mode) or not _is_ours_alone(status):
            reason = "it belongs to another user or others may write to it"
        elif not os.access(folder, os.W_OK | os.X_OK):
            reason = "it is read-only"
        else:
            return ModuleCache(folder)
    except OSError as error:
        reason = str(error)
    private = Path(tempfile.mkdtemp(prefix="tfgraph-"))
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    warnings.warn(
        f"compiled modules are not kept in {folder} ({reason}); set TFGRAPH_CACHE to a folder of your own",
        RuntimeWarning,
        stacklevel=2,
    )
    return ModuleCache(private)
