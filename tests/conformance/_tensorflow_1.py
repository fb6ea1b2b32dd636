"""Scripts on TensorFlow, each in a process forked from one that has imported it: the imports take 3 to 7 s of processor time.

`python -m tests.conformance._tensorflow_1` reads orders, one a line as JSON, and writes the status of each script.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 600  # that a script may take
OUTPUTS = (".stdout", ".stderr")  # in its folder


@functools.cache
def _server() -> subprocess.Popen[str]:
    # one thread: its own BLAS threads are all that a process has which has imported TensorFlow and no more
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    server = subprocess.Popen(
        [sys.executable, "-m", __spec__.name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=environment,
        text=True,
    )
    atexit.register(server.communicate)  # no more orders: it ends
    return server


def run_on_tensorflow(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Run a script with arguments in `folder`. The result is its status and what it has written to both outputs."""
    server = _server()
    assert server.stdin
    assert server.stdout
    server.stdin.write(json.dumps({"arguments": arguments, "folder": str(folder), "environment": dict(environment)}) + "\n")
    server.stdin.flush()
    status = server.stdout.readline()
    assert status, f"the process that imports TensorFlow has ended with {server.wait()}"
    said, complained = ((folder / name).read_text() for name in OUTPUTS)
    return int(status), said, complained


def _run(arguments: list[str], folder: str, environment: dict[str, str]) -> int:
    """The status of the script, which this process becomes."""
    from benchmarks.as_tensorflow_1 import run_script

    signal.alarm(SECONDS)
    os.chdir(folder)
    for number, name in enumerate(OUTPUTS, 1):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ |= environment
    sys.path[1:1] = environment["PYTHONPATH"].split(os.pathsep)
    try:
        run_script(arguments)
    except SystemExit as end:
        return 0 if end.code in (None, 0) else 1
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def main() -> None:
    from benchmarks import as_tensorflow_1

    as_tensorflow_1.install()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(_run(**json.loads(line)))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
