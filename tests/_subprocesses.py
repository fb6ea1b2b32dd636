"""Scripts run by a Python of their own: the environment decides threads, hash seeds, targets, compiler options."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def run_script(text: str, cache: Path, timeout: float = 600, **environment: str) -> Any:
    """What the last line that `text` prints says, as JSON. Its programs are kept in the folder `cache`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TFGRAPH_")}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({str(ROOT)!r})\n{text}"],
        env={**inherited, "TFGRAPH_CACHE": str(cache), **environment},
        cwd=cache.parent,  # what is tested is the installed package
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    return json.loads(done.stdout.splitlines()[-1])
