"""Whole training steps as CUDA kernels on the host shim: the CPU's losses, the same bits again, no races, no spills."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import tfgraph as tf
from tests._cuda import trained
from tests._cuda_kernels import needs_cxx, needs_nvcc, ptxas_report
from tests._nets import NETS
from tests._programs import prepared
from tfgraph.codegen.cuda.compile import CudaProgram, compile_cuda_program
from tfgraph.codegen.signature import symbolic


def program_of(name: str) -> CudaProgram:
    """The CUDA program of a net's training step."""
    with tf.Graph().as_default():
        net = NETS[name]()
        shapes = net.batch_shapes(7)
        run = prepared(net.fetches, shapes)
        return compile_cuda_program(run, symbolic(run, [shapes[t] for t in run.feeds])[1], {}, {})


@needs_cxx
@pytest.mark.parametrize("name", NETS)
def test_as_on_the_cpu(name: str) -> None:
    """Losses, metrics and variables of some steps, within float32's rounding; batches of two sizes, so that captured
    steps alternate."""
    found, wanted = trained(NETS[name], cuda=True), trained(NETS[name], cuda=False)
    assert len(found) == len(wanted)
    for got, want in zip(found, wanted, strict=True):
        # 5e-5: what Adam makes of a gradient that is nearly nothing, such as those of convnet's first biases
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=5e-5 if name == "convnet" else 2e-6)


@needs_cxx
@pytest.mark.parametrize("name", ["mlp", "lenet", "batch_norm"])
def test_same_bits_in_every_order(name: str) -> None:
    """Results depend on no order of threads, nor on when a stream gets its work done."""
    first = trained(NETS[name], cuda=True, steps=3)
    for more in ({}, {"TFGRAPH_SHIM_ORDER": "backward"}, {"TFGRAPH_SHIM_ORDER": "7"}, {"TFGRAPH_SHIM_STREAMS": "late"}):
        again = trained(NETS[name], cuda=True, steps=3, **more)
        assert all(a.tobytes() == b.tobytes() for a, b in zip(first, again, strict=True)), more


@needs_cxx
@pytest.mark.parametrize("name", ["mlp", "lenet", "batch_norm", "arrays"])
def test_no_races(name: str) -> None:
    """The shim finds no unsynchronised accesses and none outside of memory."""
    unchecked = trained(NETS[name], cuda=True, steps=1)
    checked = trained(NETS[name], cuda=True, steps=1, TFGRAPH_SHIM_CHECK="1")  # InternalError for each of them
    assert all(np.isfinite(a).all() for a in checked)
    for a, b in zip(checked, unchecked, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@needs_nvcc
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize("name", ["mlp", "lenet", "optimizers"])
def test_compiles_without_spills(name: str, arch: str, tmp_path: Path) -> None:
    said = ptxas_report(program_of(name).source, arch, tmp_path)
    assert "warning" not in said
    spilled = [int(count) for count in re.findall(r"(\d+) bytes spill stores", said)]
    assert spilled
    assert not any(spilled)


def test_an_optimizer_is_one_launch() -> None:
    """The updates of variables whose gradients are there run together."""
    with tf.Graph().as_default():
        variables = [tf.Variable(np.ones(size, np.float32)) for size in (3, 40, 500)]
        gradients = [tf.placeholder(tf.float32, v.shape) for v in variables]
        step = tf.train.AdamOptimizer(0.1).apply_gradients(zip(gradients, variables, strict=True))
        run = prepared([step], gradients)
        program = compile_cuda_program(run, [tuple(t.shape.as_list()) for t in run.feeds], {}, {})
    updates = [k.index for k in program.kernels if any(n.type == "ApplyAdam" for n in k.group.nodes)]
    assert len(updates) == 3
    assert [set(updates) <= set(members) for members in program.launch_kernels].count(True) == 1
    assert all(re.search(rf"\b{launch.function}\b", program.source) for launch in program.launches)


def test_equal_graphs_give_equal_text() -> None:
    assert program_of("lenet").source == program_of("lenet").source
