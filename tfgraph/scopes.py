"""What is in force while a graph is being built: control inputs, placements, the stacks of defaults."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .tensor import Operation


class Controls:
    """One `control_dependencies` block: what it waits for, and the operations made inside it."""

    __slots__ = ("members", "ops")

    def __init__(self, ops: tuple[Operation, ...]) -> None:
        self.ops = ops
        self.members: set[Operation] = set()


class Placement:
    """What a device function is shown of the operation that it places."""

    __slots__ = ("device", "name", "type")

    def __init__(self, name: str, op_type: str, device: str) -> None:
        self.name, self.type, self.device = name, op_type, device


class Stack(threading.local):
    """A per-thread stack of defaults."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    @contextmanager
    def pushed(self, item: Any) -> Iterator[Any]:
        self.items.append(item)
        try:
            yield item
        finally:
            # an InteractiveSession may have been closed in between; remove our own entry only
            for i in range(len(self.items) - 1, -1, -1):
                if self.items[i] is item:
                    del self.items[i]
                    break

    def top(self) -> Any:
        return self.items[-1] if self.items else None
