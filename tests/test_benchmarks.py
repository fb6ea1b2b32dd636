"""The benchmarks themselves: that they run without peers, say what they must, and train the same nets in every framework."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))

from benchmarks import models, nets, report  # noqa: E402  the folder is no part of the package
from benchmarks.kernel_cases import CASES  # noqa: E402
from benchmarks.operations import with_numpy, with_tfgraph  # noqa: E402
from benchmarks.options import Options  # noqa: E402
from benchmarks.peaks import Peaks  # noqa: E402

SAMPLES = 3


def run_benchmarks(*arguments: str, cache: Path) -> str:
    """What `python -m benchmarks` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env={**os.environ, "TFGRAPH_CACHE": str(cache)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def test_a_quick_run_without_peers(tmp_path: Path) -> None:
    run_benchmarks(
        "--quick", "--nets", "mlp", "--frameworks", "tfgraph", "--output", str(tmp_path), cache=tmp_path / "cache"
    )
    results = json.loads((tmp_path / "results.json").read_text())
    figures = results["nets"]["nets"]["mlp"]["frameworks"]
    assert list(figures) == ["tfgraph"]
    assert 0 < figures["tfgraph"]["least"] <= figures["tfgraph"]["median"]
    assert figures["tfgraph"]["code"]["source"] > 10_000
    assert figures["tfgraph"]["code"]["module"] > 10_000
    assert figures["tfgraph"]["peak_mb"] > figures["tfgraph"]["imported_mb"] > 10
    assert figures["tfgraph"]["cached"]["first"] < figures["tfgraph"]["cold"]["first"]
    measured = {(case["group"], case["name"]) for case in results["kernels"]["cases"] if case["rounds"]["tfgraph"]}
    assert measured == {(case.group, case.name) for case in CASES if case.quick}
    assert [row["batch"] for row in results["scaling"]["batch"]["mlp"]] == [1, 8]
    assert set(results["scaling"]["threads"]["mlp"]) >= {"1"}
    assert [row["operations"] >= 10 for row in results["scaling"]["graph"]] == [True, True]
    exported = results["export"]["nets"]["mlp"]
    assert exported["losses"]["session"] == exported["losses"]["library"]
    assert exported["compile"] > 0
    assert 10_000 < exported["library"] < 300_000
    assert set(exported["rounds"]) == {"session", "library"}
    text = (tmp_path / "README.md").read_text()
    assert "| best peer | – |" in text
    for picture in ("nets.png", "kernels.png", "roofline.png", "scaling.png"):
        assert picture in text
        assert (tmp_path / picture).stat().st_size > 5_000

    # the report is made of the record alone
    run_benchmarks("--only", "--output", str(tmp_path), cache=tmp_path / "cache")
    assert (tmp_path / "README.md").read_text() == text


def test_a_peer_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    part = {**nets.measure(Options(("jax",), (), quick=True)), "nets": {"mlp": {"batch": 1, "flops": 1, "frameworks": {}}}}
    assert "JAX `jit` + optax: not measured, jax, optax not installed" in capsys.readouterr().out
    assert "JAX `jit` + optax: jax, optax is not installed." in report.report(
        {"machines": {"nets": {}}, "nets": part}, False
    )


def test_every_case_is_measured() -> None:
    wanted = {case.operation for case in CASES}
    assert set(with_tfgraph.OPERATIONS) == wanted
    assert set(with_numpy.OPERATIONS) < wanted  # what takes NumPy several calls is left out


@pytest.mark.parametrize("name", models.NETS)
def test_layers_are_those_of_the_graph(name: str) -> None:
    net = models.NETS[name]
    with tf.Graph().as_default():
        feeds, _, _ = net.build(tf)
        variables = [tuple(v.shape.as_list()) for v in tf.trainable_variables()]
        assert variables == [array.shape for array in net.parameters()]
        for feed, array in zip(feeds, net.data(2), strict=True):
            assert feed.shape.is_compatible_with(array.shape)
        products = sum(_products(op) for op in tf.get_default_graph().get_operations())
    assert net.training_flops(5) == 2 * 5 * (3 * products - net.layers[0].products)


def _products(op: Any) -> int:
    """Multiply-adds of a forward product or convolution for one sample, from the shapes in the graph."""
    if op.name.startswith("gradients") or op.type not in ("MatMul", "Conv2D"):
        return 0
    weights = op.inputs[1].shape.as_list()
    return int(np.prod(op.outputs[0].shape.as_list()[1:-1], dtype=np.int64) * np.prod(weights))


def first_losses(name: str) -> list[float]:
    """tfgraph's losses before two training steps on the benchmarks' samples and weights, without dropout."""
    net = models.NETS[name]
    with tf.Graph().as_default(), tf.Session() as session:
        feeds, loss, train = models.lenet(tf, keep_prob=1.0) if name == "lenet" else net.build(tf)
        session.run(tf.global_variables_initializer())
        for variable, value in zip(tf.trainable_variables(), net.parameters(), strict=True):
            variable.load(value, session)
        data = dict(zip(feeds, net.data(SAMPLES), strict=True))
        return [float(session.run([loss, train], data)[0]) for _ in range(2)]


@pytest.mark.parametrize("name", models.NETS)
@pytest.mark.parametrize(("module", "variant"), [("pytorch", "nchw"), ("pytorch", "channels_last"), ("jax_optax", "jit")])
def test_peers_train_the_same_net(name: str, module: str, variant: str) -> None:
    for package in {"pytorch": ["torch"], "jax_optax": ["jax", "optax"]}[module]:
        pytest.importorskip(package, reason="a peer of the benchmarks; `pip install .[torch,jax]` brings them")
    trainer_class = importlib.import_module(f"benchmarks.frameworks.{module}").Trainer
    net = models.NETS[name]
    trainer = trainer_class(variant, net, net.parameters(), net.data(SAMPLES), 1).without_dropout()
    wanted = first_losses(name)
    np.testing.assert_allclose(trainer.step(), wanted[0], rtol=2e-6)
    np.testing.assert_allclose(trainer.step(), wanted[1], rtol=1e-2)  # Adam: rounding may turn a gradient of nearly 0


def test_the_floor_is_the_slower_of_operations_and_bytes() -> None:
    peaks = Peaks(2, 100e9, [(1000, 200e9), (2000, 100e9), (4000, 50e9)])
    assert peaks.bytes_per_second(10) == 200e9
    assert peaks.bytes_per_second(3000) == pytest.approx(75e9)
    assert peaks.bytes_per_second(1e9) == 50e9
    assert peaks.floor(1e9, 1e6) == pytest.approx(1e9 / 100e9)
    assert peaks.floor(1e3, 1e9) == pytest.approx(1e9 / 50e9)


def test_ratios_compare_the_best_peer_round_by_round() -> None:
    def figure(*medians: float) -> dict[str, Any]:
        rounds = [{"median": m, "least": m / 2, "count": 3} for m in medians]
        return {"median": float(np.median(medians)), "least": min(medians) / 2, "rounds": rounds, "loss": 1.0}

    figures = {"tfgraph": figure(1, 2, 4), "tensorflow": figure(5, 6, 7), "torch": figure(4, 4, 4)}
    assert report.best_peer(figures) == "torch"
    assert report.ratios(figures, "tfgraph", "torch") == (2.0, 1.0, 4.0)
    cell = report.table(["a", "b"], [["x", "1"]])
    assert cell == "| a | b |\n|---|---:|\n| x | 1 |"
