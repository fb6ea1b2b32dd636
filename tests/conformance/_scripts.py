"""Scripts in processes of their own: under `python -m tfgraph run`, and on TensorFlow's `compat.v1`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance._tensorflow_1 import run_on_tensorflow

FOLDER = Path(__file__).parent / "scripts"
ROOT = FOLDER.parents[2]
KERAS = Path(sys.prefix) / "keras-2.2.4"
HERE = ("tfgraph", "run")
TENSORFLOW = ("benchmarks.as_tensorflow_1",)  # in a process forked from one that has done its imports

needs_keras = pytest.mark.skipif(
    not (KERAS / "keras").is_dir(),
    reason=f"needs Keras 2.2.4 in {KERAS.name} of this environment: `make conformance` installs it",
)


def output(on: tuple[str, ...], script: str, folder: Path, *arguments: str, **environment: str) -> list[str]:
    """The lines that a script of the folder `scripts` prints; it runs in `folder`, which is made."""
    folder.mkdir(exist_ok=True)
    path = os.pathsep.join([str(ROOT), str(KERAS), *filter(None, [os.environ.get("PYTHONPATH")])])
    given = {"PYTHONPATH": path, "KERAS_BACKEND": "tensorflow", "TFGRAPH_DIGITS": "sklearn", **environment}
    words = [str(FOLDER / script), *arguments]
    if on == TENSORFLOW:
        status, said, complained = run_on_tensorflow(words, folder, given)
    else:
        command = [sys.executable, "-m", *on, *words]
        own = {**os.environ, **given}
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=own, timeout=600, check=False)
        status, said, complained = done.returncode, done.stdout, done.stderr
    assert status == 0, complained[-3000:]
    return said.splitlines()
