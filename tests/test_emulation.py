"""Generated code for other processors than this machine's: every op's case, in an emulator where there is no other way."""

from __future__ import annotations

import pytest

import tfgraph as tf
from tests._emulated import EMULATORS, WARNINGS, emulation
from tests._evaluate import compiled
from tests.test_ops import AREAS, differences, inputs_of, outputs_of, placeholders
from tfgraph.codegen.target import machine_target

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
    with emulation(platform, ["-O1", *WARNINGS]):
        wrong = run_area(area, "float32")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("target", ["sse2", "avx2"])
def test_ops_for_older_processors(target: str, area: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if machine_target().name not in ("avx2", "avx512"):
        pytest.skip("needs an x86-64 processor with AVX2")
    monkeypatch.setenv("TFGRAPH_TARGET", target)
    monkeypatch.setenv("TFGRAPH_CFLAGS", "-O1 -Wall -Wextra -Werror")
    wrong = run_area(area, "float32")
    assert not wrong, "\n".join(wrong)
