"""Which driver there is, and which of its devices a session may use. `$TFGRAPH_CUDA`: `off`, or `shim` for the host shim.

Looking for a device costs nothing where there cannot be one: PyCUDA is imported only if it is installed.
"""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from typing import Any

from ...errors import InvalidArgumentError
from .driver import DeviceInfo, Driver

HOW_TO_INSTALL = (
    "To use an NVIDIA GPU, install its driver and `pip install pycuda`; kernels are compiled with CUDA's nvcc or "
    "with `pip install nvidia-cuda-nvrtc`. TFGRAPH_CUDA=shim runs CUDA kernels on the CPU, for tests."
)
CHOICES = ("", "off", "shim")


def find_driver() -> Driver | None:
    """The driver that $TFGRAPH_CUDA asks for, else PyCUDA's if it is there and has a device. ValueError for another name."""
    wanted = os.environ.get("TFGRAPH_CUDA", "").strip()
    if wanted not in CHOICES:
        raise ValueError(f"TFGRAPH_CUDA must be off or shim, not {wanted!r}")
    return None if wanted == "off" else _shim() if wanted == "shim" else _device_driver()[0]


def why_none() -> str:
    """Why there is no device, and what to do about it."""
    if os.environ.get("TFGRAPH_CUDA", "").strip() == "off":
        return "TFGRAPH_CUDA=off forbids it."
    if find_driver() is not None:
        return "There is no device of that number, or the session's device_count or visible_device_list leaves it out."
    return f"{_device_driver()[1]} {HOW_TO_INSTALL}"


@cache
def _shim() -> Driver:
    from .shim_driver import ShimDriver

    return ShimDriver()


@cache
def _device_driver() -> tuple[Driver | None, str]:
    """PyCUDA's driver, or None and why."""
    if importlib.util.find_spec("pycuda") is None:
        return None, "PyCUDA is not installed."
    try:
        from .pycuda_driver import PycudaDriver

        driver = PycudaDriver()
    except Exception as reason:  # whatever PyCUDA finds wrong: no library, no permission, no device
        return None, f"PyCUDA finds no device: {reason}."
    return driver, ""


def devices(config: Any) -> list[tuple[int, DeviceInfo]]:
    """The GPUs that a session may use, `/gpu:0` first: the driver's number of each, and what it is.

    `visible_device_list` says which of the driver's there are, in its order, and `device_count` how many at most.
    InvalidArgumentError for a list that names others.
    """
    most = dict(getattr(config, "device_count", None) or {}).get("GPU")
    if most is not None and int(most) <= 0:
        return []
    driver = find_driver()
    if driver is None:
        return []
    found = list(enumerate(driver.devices()))
    wanted = str(getattr(getattr(config, "gpu_options", None), "visible_device_list", "") or "")
    if wanted:
        found = [found[number] for number in _numbers(wanted, len(found))]
    return found if most is None else found[: int(most)]


def _numbers(wanted: str, count: int) -> list[int]:
    """The numbers in a `visible_device_list`."""
    numbers: list[int] = []
    for text in wanted.split(","):
        if not text.strip().isdecimal():
            said = f"Could not parse entry in 'visible_device_list': {text.strip()!r}. visible_device_list = {wanted}"
            raise InvalidArgumentError(None, None, said)
        number = int(text)
        if number >= count:
            said = f"'visible_device_list' listed an invalid GPU id '{number}' but visible device count is {count}"
            raise InvalidArgumentError(None, None, said)
        if number in numbers:
            raise InvalidArgumentError(None, None, f"'visible_device_list' names GPU {number} twice: {wanted}")
        numbers.append(number)
    return numbers
