"""What a user can ask to see: TFGRAPH_SHOW, TFGRAPH_DUMP, exported sources, and why a run is interpreted."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pytest

import tfgraph as tf
from tests._c_compiler import compile_c
from tests.test_golden import COMPILERS
from tfgraph.codegen.compile import STAGES
from tfgraph.codegen.trace import TOPICS
from tfgraph.runtime.toolchain import OPTIONS

pytestmark = [
    pytest.mark.usefixtures("graph"),
    pytest.mark.skipif(not COMPILERS, reason="needs a C compiler"),
]


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TFGRAPH_BACKEND", "compiled")
    monkeypatch.setenv("TFGRAPH_CACHE", str(tmp_path / "modules"))
    for name in ("TFGRAPH_SHOW", "TFGRAPH_DUMP", "TFGRAPH_CHECK"):
        monkeypatch.delenv(name, raising=False)


def run() -> tf.Session:
    """A run of two kernels."""
    x = tf.placeholder(tf.float32, [None, 4], name="pixels")
    y = tf.reduce_sum(tf.square(x, name="squared"), 0, name="energy")
    z = tf.multiply(tf.square(x), y, name="weighted")
    session = tf.Session()
    session.run(z, {x: np.ones((3, 4), np.float32)})
    return session


def test_nothing_is_shown_unless_asked(capfd: pytest.CaptureFixture[str]) -> None:
    run()
    assert capfd.readouterr() == ("", "")


EXPECTED = {
    "passes": [*(f"after {stage.__name__}" for stage in STAGES), "Square", "# energy"],
    "fusion": [r"kernel 0: reduce over \[N, 4\]", r"not fused: .*energy -> weighted: needs the finished reduction"],
    "kernels": [r"0 k00_reduce_", r"1 k01_", r"pointwise \[N, 4\]"],
    "memory": [r"arenas: \d+ bytes per sample, \d+ bytes", r"feed +0 .*pixels", r"fetch +0 .*weighted"],
    "source": [r"static void k00_reduce_", r"int64_t tg_run\(tg_step \*s"],
    "time": [r"expand: \d+\.\d ms, \d+ nodes", r"emit: \d+\.\d ms, \d+ characters"],
}


@pytest.mark.parametrize("topic", TOPICS)
def test_each_topic_can_be_shown(topic: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_SHOW", topic)
    run()
    out, err = capfd.readouterr()
    assert out == ""
    for pattern in EXPECTED[topic]:
        assert re.search(pattern, err), f"nothing like {pattern} in\n{err[:3000]}"


def test_topics_are_shown_for_programs_in_the_cache_too(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    monkeypatch.setenv("TFGRAPH_SHOW", "kernels,time")
    with tf.Graph().as_default():
        run()
    err = capfd.readouterr().err
    assert "k00_reduce_" in err
    assert "emit:" in err


def test_unknown_topic_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_SHOW", "kernels,everything")
    with pytest.raises(ValueError, match="everything: the topics are passes, fusion, kernels"):
        run()


def test_dump_has_every_stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "dump"
    monkeypatch.setenv("TFGRAPH_DUMP", str(folder))
    session = run()
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    stages = ["specialise", *(stage.__name__ for stage in STAGES), "group_kernels"]
    for i, stage in enumerate(stages):
        assert any(name.endswith(f"{i:02d}-{stage}.txt") for name in names), stage
    (source,) = folder.rglob("step.c")
    assert source.read_text() == session._machine.sources[-1]
    (dot,) = folder.rglob("graph.dot")
    assert re.search(r"k0 -> k1", dot.read_text())
    assert dot.read_text().startswith("digraph")
    assert any(name.endswith("memory.txt") for name in names)


def test_exported_sources_compile(tmp_path: Path) -> None:
    paths = run().export_source(tmp_path / "c")
    assert [Path(path).name for path in paths] == ["program_00.c"]
    text = Path(paths[0]).read_text()
    # named after the user's operations, said in comments
    assert "/* weighted */" in text
    assert "pixels[" in text
    compile_c(*OPTIONS, "-O0", "-c", "-o", tmp_path / "step.o", paths[0], folder=tmp_path, compiler="gcc")
    assert (tmp_path / "step.o").stat().st_size > 0


def test_programs_do_not_overwrite_each_others_dumps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TFGRAPH_DUMP", str(tmp_path / "dump"))
    run()
    run()
    assert [path.parent.name for path in sorted(tmp_path.rglob("step.c"))] == ["program_00", "program_01"]


def test_a_run_that_is_interpreted_says_why_once(caplog: pytest.LogCaptureFixture) -> None:
    x = tf.placeholder(tf.float16, [None])
    y = tf.square(x)
    with tf.Session() as session, caplog.at_level(logging.WARNING, "tfgraph"):
        for _ in range(2):
            assert session.run(y, {x: [1.0, -1.0, 3.0]}).tolist() == [1.0, 1.0, 9.0]
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == "a run goes through the interpreter: dtype float16 has no C form"
