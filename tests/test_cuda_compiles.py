"""Every CUDA kernel compiles for real architectures, by nvcc or NVRTC: the op cases, and the nets at each precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._cuda_kernels import needs_nvcc
from tests._nets import NETS
from tests._programs import prepared
from tests.test_ops import AREAS, _run_area
from tfgraph.codegen.cuda.compile import compile_cuda_program
from tfgraph.codegen.signature import symbolic
from tfgraph.runtime.cuda.images import cubin

pytestmark = needs_nvcc


class _Stop(Exception):
    """The program of an area is compiled: its values are no question here."""


def image(fetches: Sequence[Any], shapes: Mapping[Any, tuple[int, ...]], arch: str) -> Path:
    """The compiled program of one run; from the cache of the tests if its text has been compiled before."""
    run = prepared(list(fetches), shapes)
    program = compile_cuda_program(run, symbolic(run, [shapes[t] for t in run.feeds])[1], {}, {})
    return cubin(program.source, arch)


# the text of an area is the same for both architectures
@pytest.mark.parametrize(("dtype", "arch"), [("float32", "sm_80"), ("float64", "sm_90")])
@pytest.mark.parametrize("area", AREAS)
def test_op_cases(area: str, dtype: str, arch: str) -> None:
    """All rows of an area, as one program."""

    def compile_only(fetches: Sequence[Any], feeds: Mapping[Any, np.ndarray]) -> list[np.ndarray]:
        assert image(fetches, {t: array.shape for t, array in feeds.items()}, arch).stat().st_size > 1000
        raise _Stop

    with pytest.raises(_Stop):
        _run_area(AREAS[area], 9, dtype, compile_only)


# products and convolutions of each precision for each architecture: test_cuda_matmul.py, test_cuda_conv2d.py
@pytest.mark.parametrize(("precision", "arch"), [("float32", "sm_90"), ("tf32", "sm_80"), ("bf16", "sm_90")])
@pytest.mark.parametrize("name", NETS)
def test_nets(name: str, precision: str, arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CUDA_PRECISION", precision)
    with tf.Graph().as_default():
        net = NETS[name]()
        assert image(net.fetches, net.batch_shapes(7), arch).stat().st_size > 1000
