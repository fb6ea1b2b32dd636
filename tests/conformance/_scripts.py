"""Scripts in processes of their own: under `python -m tfgraph run`, and on TensorFlow's `compat.v1`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "scripts"
ROOT = FOLDER.parents[2]
KERAS = Path(sys.prefix) / "keras-2.2.4"
HERE = ("tfgraph", "run")
TENSORFLOW = ("benchmarks.as_tensorflow_1",)

needs_keras = pytest.mark.skipif(
    not (KERAS / "keras").is_dir(),
    reason=f"needs Keras 2.2.4 in {KERAS.name} of this environment: `make conformance` installs it",
)


def output(on: tuple[str, ...], script: str, folder: Path, *arguments: str, **environment: str) -> list[str]:
    """The lines that a script of the folder `scripts` prints; it runs in `folder`, which is made."""
    folder.mkdir(exist_ok=True)
    path = os.pathsep.join([str(ROOT), str(KERAS), *filter(None, [os.environ.get("PYTHONPATH")])])
    given = {"PYTHONPATH": path, "KERAS_BACKEND": "tensorflow", "TFGRAPH_DIGITS": "sklearn"}
    done = subprocess.run(
        [sys.executable, "-m", *on, str(FOLDER / script), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **given, **environment},
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()
