"""Every kind of net as a library: its training steps are the Session's bit for bit, and its C is strict C and C++."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import tfgraph as tf
from tests import _nets
from tests._c_compiler import COMPILER, compile_c
from tests._export_library import Library
from tests.test_export_files import WARNINGS

pytestmark = [
    pytest.mark.xdist_group("export"),
    pytest.mark.skipif(COMPILER is None, reason="needs a C compiler in PATH"),
]
BATCH, STEPS = 6, 3
NETS = ("mlp", "lenet", "keypoints_dense", "keypoints_convolutional", "convnet", "batch_norm")


def functions(net: Any) -> dict[str, Any]:
    return {"train_step": (net.fetches, list(net.shapes))}


@pytest.mark.parametrize("name", NETS)
def test_training_is_the_sessions_bit_for_bit(name: str, tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(3)
        net = getattr(_nets, name)()
        session.run(tf.global_variables_initializer())
        tf.compile(functions(net), tmp_path, prefix="net", isas=["native"], session=session)
        batches = [net.feeds(BATCH, seed) for seed in range(STEPS)]
        expected = [session.run(net.fetches, feeds) for feeds in batches]
    instance = Library(tmp_path).create()
    assert instance.load(tmp_path / "net.safetensors") == "OK"
    for feeds, values in zip(batches, expected, strict=True):
        found = instance.results("train_step", BATCH, *feeds.values())
        assert [v.tobytes() for v in values if v is not None] == [f.tobytes() for f in found]
    instance.destroy()


@pytest.mark.parametrize("language", ["c11", "c++17"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("name", [*NETS, "arrays", "optimizers"])
def test_the_code_is_strict(name: str, compiler: str, language: str, tmp_path: Path) -> None:
    """No pragma hides what -Wpedantic says."""
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler} (`apt install {compiler}`)")
    with tf.Graph().as_default():
        tf.compile(functions(getattr(_nets, name)()), tmp_path, prefix="net", c_only=True, isas=["native"])
    assert "pragma GCC diagnostic" not in (tmp_path / "net.c").read_text()
    options = [f"-std={language}", "-march=native", *(["-x", "c++"] if language == "c++17" else [])]
    assert "warning" not in compile_c(*WARNINGS, *options, "-fsyntax-only", "net.c", folder=tmp_path, compiler=compiler)
