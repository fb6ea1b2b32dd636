"""Device names: "/gpu:0", "/job:worker/device:CPU:0"; parsing, merging, canonical form."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PART = re.compile(r"^(?:(job|replica|task):([\w.-]+)|(?:device:)?(cpu|gpu|CPU|GPU)(?::(\d+|\*))?)$")
_ORDER = ("job", "replica", "task", "device")


def parse_device(name: str) -> dict[str, str]:
    """The parts of a device name; ValueError if it is malformed."""
    parts: dict[str, str] = {}
    for text in filter(None, name.split("/")):
        match = _PART.match(text)
        if match is None:
            raise ValueError(f"Malformed device specification '{name}'")
        key, value, kind, index = match.groups()
        if key:
            parts[key] = value
        else:
            parts["device"] = f"{kind.upper()}:{index or '0'}"
    return parts


def merge_device(outer: str, inner: str) -> str:
    """`inner` with what it leaves open taken from `outer`, in canonical form."""
    merged = {**parse_device(outer), **parse_device(inner)}
    return "".join(f"/{key}:{merged[key]}" for key in _ORDER if key in merged)


def is_gpu(name: str) -> bool:
    return parse_device(name).get("device", "").startswith("GPU")


@dataclass
class DeviceSpec:
    """The parts of a device name; None where it leaves one open. `str(spec)` and `to_string()` give the name."""

    job: str | None = None
    replica: int | None = None
    task: int | None = None
    device_type: str | None = None
    device_index: int | None = None

    @classmethod
    def from_string(cls, spec: str) -> DeviceSpec:
        """The parts of a name. ValueError if it is malformed."""
        parts = parse_device(spec)
        kind, _, index = parts.get("device", "").partition(":")
        numbers = {key: int(parts[key]) for key in ("replica", "task") if key in parts}
        number = int(index) if index.isdigit() else None
        return cls(job=parts.get("job"), device_type=kind or None, device_index=number, **numbers)

    def to_string(self) -> str:
        parts = {"job": self.job, "replica": self.replica, "task": self.task}
        if self.device_type is not None:
            parts["device"] = f"{self.device_type}:{'*' if self.device_index is None else self.device_index}"
        return "".join(f"/{key}:{value}" for key, value in parts.items() if value is not None)

    __str__ = to_string
