"""`tf.gfile`: local files under TensorFlow's names and with its errors."""

from __future__ import annotations

import builtins
import glob as _glob
import os
import shutil
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from . import errors

__all__ = [
    "Copy",
    "DeleteRecursively",
    "Exists",
    "FastGFile",
    "GFile",
    "Glob",
    "IsDirectory",
    "ListDirectory",
    "MakeDirs",
    "MkDir",
    "Open",
    "Remove",
    "Rename",
    "Stat",
    "Walk",
]

_CLASSES: tuple[tuple[type[OSError], Callable[..., errors.OpError]], ...] = (
    (FileNotFoundError, errors.NotFoundError),
    (FileExistsError, errors.AlreadyExistsError),
    (PermissionError, errors.PermissionDeniedError),
    (IsADirectoryError, errors.FailedPreconditionError),
    (NotADirectoryError, errors.FailedPreconditionError),
)


def _told(function: Callable[..., Any]) -> Callable[..., Any]:
    """What the system says, as one of `tf.errors`."""

    @wraps(function)
    def telling(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except OSError as error:
            found = next((ours for theirs, ours in _CLASSES if isinstance(error, theirs)), errors.UnknownError)
            raise found(None, None, f"{error.filename}; {error.strerror}") from error

    return telling


class GFile:
    """A file that is opened at its first use; iteration gives its lines. Modes are Python's: "r" is text, "rb" bytes."""

    def __init__(self, name: Any, mode: str = "r") -> None:
        self._name, self._mode, self._opened = os.fspath(name), mode, None

    name = property(lambda self: self._name)
    mode = property(lambda self: self._mode)

    @property
    def _file(self) -> Any:
        if self._opened is None:
            text = {} if "b" in self._mode else {"encoding": "utf-8"}
            self._opened = _told(builtins.open)(self._name, self._mode, **text)
        return self._opened

    def read(self, n: int = -1) -> Any:
        return self._file.read(n)

    def write(self, file_content: Any) -> None:
        self._file.write(file_content)

    def readline(self) -> Any:
        return self._file.readline()

    def readlines(self) -> list[Any]:
        return self._file.readlines()

    def seek(self, offset: int, whence: int = 0) -> None:
        self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def size(self) -> int:
        """The length of the file in bytes."""
        return Stat(self._name).st_size

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
        self._opened = None

    def __enter__(self) -> GFile:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)


Open = FastGFile = GFile


def Exists(filename: Any) -> bool:
    """True if there is a file or folder of this name."""
    return os.path.exists(filename)


def IsDirectory(dirname: Any) -> bool:
    return os.path.isdir(dirname)


def Glob(filename: Any) -> list[str]:
    """The files that fit a pattern, or one of a list of patterns."""
    patterns = filename if isinstance(filename, (list, tuple)) else [filename]
    return [path for pattern in patterns for path in sorted(_glob.glob(pattern))]


@_told
def ListDirectory(dirname: Any) -> list[str]:
    """The names in a folder, without "." and ".."."""
    return os.listdir(dirname)


@_told
def MkDir(dirname: Any) -> None:
    os.mkdir(dirname)


@_told
def MakeDirs(dirname: Any) -> None:
    """Make a folder and those above it; one that is there is no error."""
    os.makedirs(dirname, exist_ok=True)


@_told
def Remove(filename: Any) -> None:
    os.remove(filename)


@_told
def DeleteRecursively(dirname: Any) -> None:
    """Remove a folder with all that is in it."""
    shutil.rmtree(dirname)


@_told
def Rename(oldname: Any, newname: Any, overwrite: bool = False) -> None:
    """AlreadyExistsError if `newname` is there, unless `overwrite`."""
    if not overwrite and os.path.exists(newname):
        raise errors.AlreadyExistsError(None, None, "file already exists")
    os.replace(oldname, newname)


@_told
def Copy(oldpath: Any, newpath: Any, overwrite: bool = False) -> None:
    """AlreadyExistsError if `newpath` is there, unless `overwrite`."""
    if not overwrite and os.path.exists(newpath):
        raise errors.AlreadyExistsError(None, None, "file already exists")
    shutil.copyfile(oldpath, newpath)


@_told
def Stat(filename: Any) -> os.stat_result:
    """Length, times and kind of a file."""
    return os.stat(filename)


def Walk(top: Any, in_order: bool = True) -> Iterator[tuple[str, list[str], list[str]]]:
    """(folder, folders in it, files in it) for `top` and all below; folders before what is in them if `in_order`."""
    return os.walk(top, topdown=in_order)
