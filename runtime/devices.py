"""Which devices there are, and whether the operations of a run may stay where the user placed them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from ..device import is_gpu, parse_device
from ..errors import InvalidArgumentError
from ..run_errors import at_node
from ..tensor import Operation
from .cuda.choice import devices, why_none

LOCAL = "/job:localhost/replica:0/task:0"
MEMORY_LIMIT = 256 << 20  # bytes; what TensorFlow names for a CPU


class DeviceAttributes(NamedTuple):
    """One device, as `Session.list_devices` tells it."""

    name: str
    device_type: str
    memory_limit_bytes: int
    incarnation: int


def list_devices(config: Any) -> list[DeviceAttributes]:
    """The devices of a session: as many CPUs as `config.device_count` asks for, and the GPUs that it may use."""
    count = int(dict(getattr(config, "device_count", None) or {}).get("CPU", 1))
    cpus = [DeviceAttributes(f"{LOCAL}/device:CPU:{i}", "CPU", MEMORY_LIMIT, i) for i in range(max(count, 1))]
    gpus = enumerate(info for _, info in devices(config))
    return cpus + [DeviceAttributes(f"{LOCAL}/device:GPU:{i}", "GPU", info.memory, len(cpus) + i) for i, info in gpus]


def check_placement(order: Iterable[Operation], config: Any) -> None:
    """InvalidArgumentError if an operation is placed on a device that is not there and may not move to the CPU."""
    if getattr(config, "allow_soft_placement", False):
        return
    available = [device.name for device in list_devices(config)]
    for op in order:
        if op.device and not _names_one_of(parse_device(op.device), available):
            raise at_node(
                InvalidArgumentError,
                op,
                f"Cannot assign a device for operation {op.name}: {{{{node {op.name}}}}} was explicitly assigned to "
                f"{op.device} but available devices are [ {', '.join(available)} ]. Make sure the device specification "
                f"refers to a valid device.{_advice(op)}",
            )


def _advice(op: Operation) -> str:
    """What to do about a GPU that is not there."""
    if not is_gpu(op.device):
        return ""
    return f" {why_none()} allow_soft_placement=True in tf.ConfigProto lets the operation run on the CPU."


def gpu_of(order: Iterable[Operation], config: Any) -> int | None:
    """Which of the GPUs of a session a step runs on: the first one that an operation is placed on, or /gpu:0 if no operation
    is placed anywhere. None: the CPU. Soft placement takes /gpu:0 for one that is not there, as TensorFlow does."""
    placed = [op.device for op in order if op.device and "device" in parse_device(op.device)]
    wanted = next((name for name in placed if is_gpu(name)), None)
    if wanted is None and placed:
        return None
    count = len(devices(config))
    number = parse_device(wanted or "/gpu:0")["device"].partition(":")[2]
    index = int(number) if number.isdigit() else 0
    if index < count:
        return index
    return 0 if count and getattr(config, "allow_soft_placement", False) else None


def log_placement(order: Iterable[Operation], config: Any, moved: bool = False) -> None:
    """Tell on the standard error stream where each operation runs, if the configuration asks for it. `moved`: it turned out
    that they run on the CPU."""
    if getattr(config, "log_device_placement", False):
        order = list(order)
        gpu = None if moved else gpu_of(order, config)
        device = "CPU:0" if gpu is None else f"GPU:{gpu}"
        for op in order:
            print(f"{op.name}: ({op.type}): {LOCAL}/device:{device}", file=sys.stderr)


def log_devices(config: Any) -> None:
    """Tell on the standard error stream which device each GPU of a session is, if the configuration asks for it."""
    if getattr(config, "log_device_placement", False):
        print("Device mapping:", file=sys.stderr)
        for i, (number, info) in enumerate(devices(config)):
            capability = ".".join(map(str, info.capability))
            text = f"{LOCAL}/device:GPU:{i} -> device: {number}, name: {info.name}, compute capability: {capability}"
            print(text, file=sys.stderr)


def _names_one_of(wanted: dict[str, str], available: Iterable[str]) -> bool:
    """True if every part of the wanted device (which may hold `*`) fits one of the available ones."""
    found = [parse_device(name) for name in available]
    return any(all(fnmatchcase(parts.get(key, ""), value) for key, value in wanted.items()) for parts in found)
