"""What a run of the benchmarks says about the machine it ran on, and where its processes may run."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

VECTOR_FLAGS = ("avx512f", "avx2", "sse2", "asimd")
PACKAGES = ("numpy", "tensorflow-cpu", "tensorflow", "torch", "jax", "jaxlib", "optax", "pycuda", "nvidia-cuda-nvrtc")


def describe() -> dict[str, Any]:
    """Processor, instruction set, cores, memory, versions, the date, and how busy the machine was already."""
    return {
        "processor": _cpuinfo("model name") or platform.processor() or platform.machine(),
        "instruction set": _instruction_set(),
        "CPUs": len(available_cpus()),
        "caches": _caches(),
        "memory, GB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "compiler": _compiler(),
        "Python": platform.python_version(),
        **_versions(),
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "load before": round(os.getloadavg()[0], 2),
    }


def available_cpus() -> list[int]:
    """The CPUs that this process may use, one of each core first: two threads of a core share its arithmetic."""
    cpus = sorted(os.sched_getaffinity(0))
    cores: dict[str, list[int]] = {}
    for cpu in cpus:
        try:
            core = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text().strip()
        except OSError:
            core = str(cpu)
        cores.setdefault(core, []).append(cpu)
    ranks = {cpu: siblings.index(cpu) for siblings in cores.values() for cpu in siblings}
    return sorted(cpus, key=lambda cpu: (ranks[cpu], cpu))


def confine(threads: int) -> None:
    """Keep this process on as many CPUs as it has threads: frameworks that count CPUs themselves then start no more."""
    os.sched_setaffinity(0, available_cpus()[:threads])


def peak_memory_mb() -> float:
    """The most memory that this process has had in use, in MB (10^6 bytes)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError("/proc/self/status says no VmHWM")


def forget_peak_memory() -> None:
    """Let `peak_memory_mb` begin anew; without effect on kernels that do not offer it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _cpuinfo(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), "")


def _instruction_set() -> str:
    flags = (_cpuinfo("flags") or _cpuinfo("Features")).split()
    widest = next((flag for flag in VECTOR_FLAGS if flag in flags), "no vectors")
    return f"{platform.machine()}, {widest}"


def _caches() -> str:
    """The first CPU's caches as the kernel tells them, e.g. `L1d 48K, L2 1024K, L3 32768K`."""
    found = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found.append(f"L{level}{'d' if kind == 'Data' else ''} {size}")
    return ", ".join(found) or "unknown"


def _compiler() -> str:
    done = subprocess.run([os.environ.get("CC") or "cc", "--version"], capture_output=True, text=True)
    return done.stdout.splitlines()[0] if done.stdout else "none"


def _versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
