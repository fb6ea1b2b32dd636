"""Device names: "/gpu:0", "/job:worker/device:CPU:0"; parsing, merging, canonical form."""

from __future__ import annotations

import re

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
