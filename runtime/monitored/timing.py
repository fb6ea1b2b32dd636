"""When a hook that does something only now and then does it next: every few steps or every few seconds."""

from __future__ import annotations

import time

__all__ = ["SecondOrStepTimer"]


class SecondOrStepTimer:
    """Due at the first step, and then every `every_steps` steps or `every_secs` seconds. ValueError for both or neither."""

    def __init__(self, every_secs: float | None = None, every_steps: int | None = None) -> None:
        if every_secs is None and every_steps is None:
            raise ValueError("Either every_secs or every_steps should be provided.")
        if every_secs is not None and every_steps is not None:
            raise ValueError("Can not provide both every_secs and every_steps.")
        self._every_secs, self._every_steps = every_secs, every_steps
        self.reset()

    def reset(self) -> None:
        self._step: int | None = None
        self._time: float | None = None

    def should_trigger_for_step(self, step: int) -> bool:
        """True if it is time again; never twice for one step."""
        if self._step is None or self._time is None:
            return True
        if step == self._step:
            return False
        if self._every_secs is not None:
            return time.time() >= self._time + self._every_secs
        assert self._every_steps is not None
        return step >= self._step + self._every_steps

    def update_last_triggered_step(self, step: int) -> tuple[float | None, int | None]:
        """Note that it happened; the seconds and steps since the time before."""
        now = time.time()
        if self._time is None or self._step is None:
            passed: tuple[float | None, int | None] = (None, None)
        else:
            passed = (now - self._time, step - self._step)
        self._time, self._step = now, step
        return passed

    def last_triggered_step(self) -> int | None:
        return self._step
