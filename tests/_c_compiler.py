"""The C compiler for tests of C that is not run through a session; its every complaint fails the test."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tfgraph.runtime.cache import module_cache
from tfgraph.runtime.toolchain import Compiler

COMPILER = shutil.which("gcc") or shutil.which("cc")


def compile_c(*arguments: str | Path, folder: Path, compiler: str | Compiler | None = COMPILER) -> str:
    """Run the compiler in `folder`; it must succeed. The result is what it reported."""
    assert compiler is not None, "needs a C compiler"
    used = compiler if isinstance(compiler, Compiler) else Compiler((compiler,), "")
    environment = used.environment(module_cache().folder)
    done = subprocess.run([*used.command, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]
    return done.stderr
