"""The benchmarks on a GPU: that they run without one and without peers, and that the peers train the same nets."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests._cuda import DRIVER
from tests._cuda_kernels import needs_cxx
from tests.test_benchmarks import ROOT, SAMPLES, first_losses

sys.path.append(str(ROOT))

from benchmarks import gpu_report, models
from benchmarks.gpu_report import best_peer, ratio, report


def run_benchmarks(folder: Path, *arguments: str) -> str:
    """What `python -m benchmarks.gpu` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--quick", "--jobs", "1", "--output", str(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, "TFGRAPH_CUDA": DRIVER},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@needs_cxx
def test_a_quick_run(tmp_path: Path) -> None:
    """Cells are added to those that are there, and none is measured twice if only missing ones are wanted."""
    ours = ("--frameworks", "tfgraph,tfgraph-fed", "--nets", "mlp", "--precisions", "float32")
    said = run_benchmarks(tmp_path, *ours, "--batches", "2")
    assert "mlp/2/float32" in said
    results = json.loads((tmp_path / "results-gpu.json").read_text())
    figures = results["cells"]["mlp/2/float32"]["frameworks"]
    assert list(figures) == ["tfgraph", "tfgraph-fed"]
    for figure in figures.values():
        assert 0 < figure["least"] <= figure["median"]
        assert figure["peak_mb"] > 2
    cold, cached = results["first"]["mlp"]["frameworks"]["tfgraph"]
    assert cold["loss"] == cached["loss"]
    assert cached["first"] < cold["first"]
    kernels = results["kernels"]["mlp/2/float32"]
    assert sum(kernel["time"]["seconds"] for kernel in kernels["kernels"]) == pytest.approx(kernels["seconds"], rel=1e-5)
    first = figures["tfgraph"]

    said = run_benchmarks(tmp_path, *ours, "--batches", "2,3", "--only", "steps", "--missing")
    assert "mlp/3/float32" in said
    assert "mlp/2/float32" not in said
    results = json.loads((tmp_path / "results-gpu.json").read_text())
    assert results["cells"]["mlp/2/float32"]["frameworks"]["tfgraph"] == first
    assert "mlp/3/float32" in results["cells"]
    text = (tmp_path / "GPU.md").read_text()
    assert "| mlp, float32 | – | – |" in text
    assert "k00_" in text
    assert (tmp_path / "gpu.png").stat().st_size > 5_000
    assert run_benchmarks(tmp_path, *ours, "--batches", "5", "--minutes", "0").startswith("The time is over")
    assert (tmp_path / "GPU.md").read_text() == text


@pytest.mark.parametrize("name", ["mlp", "lenet", "kpcnn"])
@pytest.mark.parametrize(
    ("module", "variant", "precision"),
    [
        ("gpu_pytorch", "eager", "float32"),
        ("gpu_pytorch", "eager+channels_last", "float32"),
        ("gpu_pytorch", "eager", "bf16"),
        ("gpu_jax", "jit", "float32"),
        ("gpu_jax", "jit", "bf16"),
    ],
)
def test_peers_train_the_same_net(name: str, module: str, variant: str, precision: str) -> None:
    pytest.importorskip(module.removeprefix("gpu_py").removeprefix("gpu_"), reason="a peer: `pip install .[torch,jax]`")
    trainer_class = importlib.import_module(f"benchmarks.frameworks.{module}").Trainer
    net = models.NETS[name]
    data = net.data(SAMPLES)
    trainer = trainer_class(variant, net, net.parameters(), data, 1, precision).without_dropout()
    wanted = first_losses(name)
    is_exact = precision == "float32"
    np.testing.assert_allclose(trainer.step(), wanted[0], rtol=2e-6 if is_exact else 1e-2)
    np.testing.assert_allclose(trainer.step(), wanted[1], rtol=1e-2 if is_exact else 0.2)
    trainer.close()


@needs_cxx
@pytest.mark.parametrize("variant", ["resident", "fed"])
def test_ours_trains_the_same_net(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CUDA", "off")
    wanted = first_losses("mlp")
    monkeypatch.setenv("TFGRAPH_CUDA", DRIVER)
    monkeypatch.setenv("TFGRAPH_CUDA_PRECISION", "float32")
    trainer_class = importlib.import_module("benchmarks.frameworks.gpu_sessions").Trainer
    net = models.NETS["mlp"]
    trainer = trainer_class(variant, net, net.parameters(), net.data(SAMPLES), 1, "float32")
    np.testing.assert_allclose([trainer.step(), trainer.step()], wanted, rtol=2e-5)
    assert trainer.peak_bytes() > sum(array.nbytes for array in net.parameters())
    trainer.close()


def test_adam_without_optax() -> None:
    """Ours is optax's."""
    optax = pytest.importorskip("optax", reason="a peer of the benchmarks: `pip install .[jax]`")
    jax = pytest.importorskip("jax")
    gpu_jax = importlib.import_module("benchmarks.frameworks.gpu_jax")
    rng = np.random.default_rng(3)
    ours = theirs = [rng.normal(size=(4, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32)]
    adam = optax.adam(1e-3)
    our_state, their_state = gpu_jax._adam_init(ours), adam.init(theirs)
    for _ in range(5):
        gradients = [rng.normal(size=array.shape).astype(np.float32) for array in ours]
        ours, our_state = gpu_jax._adam_update(gradients, our_state, ours)
        updates, their_state = adam.update(gradients, their_state, theirs)
        theirs = optax.apply_updates(theirs, updates)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(jax.device_get(mine), jax.device_get(other), rtol=1e-5)


# --- the report -------------------------------------------------------------------------------------------------------


def figure(*medians: float) -> dict[str, Any]:
    rounds = [{"median": m, "least": m / 2, "count": 3} for m in medians]
    return {"median": float(np.median(medians)), "least": min(medians) / 2, "rounds": rounds, "peak_mb": 12.0}


def test_ratios_are_of_the_best_peer() -> None:
    figures = {
        "tfgraph": figure(1, 2, 4), "tfgraph-fed": figure(0.1, 0.1, 0.1), "torch": figure(5, 6, 7),
        "jax": figure(4, 4, 4), "torch-graphed": {"failed": "why", "rounds": []},
    }  # fmt: skip
    assert best_peer(figures) == "jax"
    assert ratio(figures) == (2.0, 1.0, 4.0)
    assert ratio({"tfgraph": figure(1.0)}) is None
    cells = {"mlp/32/tf32": {"flops": 1, "frameworks": figures}}
    text = report({"machine": {"GPU": "a card"}, "cells": cells, "absent": {"jax": "it finds no GPU"}}, pictures=False)
    assert "| mlp, tf32 | **2.00** (1.00–4.00) |" in text
    assert "PyTorch CUDA graph failed: why." in text
    assert "JAX `jit`: it finds no GPU." in text
    assert "| tfgraph | 2000.000; 12 |" in text
    assert "gpu.png" not in text


def test_a_report_of_nothing() -> None:
    assert "Nothing has been measured" in report({}, pictures=True)
    assert gpu_report.NONE == "–"


# --- under compute-sanitizer ------------------------------------------------------------------------------------------


@needs_cxx
def test_what_the_sanitizer_runs() -> None:
    environment = {**os.environ, "TFGRAPH_TEST_CUDA": DRIVER, "TFGRAPH_SHIM_CHECK": "1"}
    command = [sys.executable, "-m", "tests.sanitize_cuda"]
    done = subprocess.run(
        [*command, "compare", "mlp/float32"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" right ") == 2
    done = subprocess.run([*command, "nothing"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "nothing: not one of " in done.stdout
