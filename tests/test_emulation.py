"""Generated code on processors that this machine does not have: every op's case, and whole training steps."""

from __future__ import annotations

import pytest

import tfgraph as tf
from tests._emulated import EMULATORS, emulation
from tests._evaluate import compiled
from tests.test_ops import AREAS, differences, inputs_of, outputs_of, placeholders

SIZE = 9


def run_area(area: str, dtype: str) -> list[str]:
    """All rows of an area as one program: what is wrong with their results."""
    with tf.Graph().as_default():
        entries = []
        for case in AREAS[area]:
            if SIZE in case.sizes and dtype in case.dtypes:
                arrays = inputs_of(case, SIZE, dtype)
                fed = placeholders(arrays, known=True)
                entries.append((case, arrays, fed, outputs_of(case, fed)))
        fetches = [tensor for entry in entries for tensor in entry[3]]
        feeds = {t: a for _, arrays, fed, _ in entries for t, a in zip(fed, arrays, strict=True)}
        results = iter(compiled(fetches, feeds) if fetches else ())
    wrong = []
    for case, arrays, _, tensors in entries:
        wrong += differences(case, dtype, tensors, [next(results) for _ in tensors], arrays)
    return wrong


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("platform", EMULATORS)
def test_ops(platform: str, area: str) -> None:
    with emulation(platform, ["-O1"]):
        wrong = run_area(area, "float32")
    assert not wrong, "\n".join(wrong)
