"""The examples with `--device gpu`, on the host shim: the losses that they print for the CPU."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests._cuda import DRIVER
from tests._cuda_kernels import needs_cxx

pytest.importorskip("matplotlib", reason="the examples draw with matplotlib: pip install '.[examples]'")
pytest.importorskip("sklearn", reason="the digits are scikit-learn's: pip install '.[examples]'")

from tfgraph.examples import digits, keypoints
from tfgraph.runtime.cuda.step import CudaStep

CASES = [
    pytest.param(digits, ["--epochs", "1", "--batch", "400"], id="digits"),
    pytest.param(keypoints, ["--model", "hidden", "--faces", "20", "--epochs", "2", "--batch", "8"], id="keypoints"),
]


@needs_cxx
@pytest.mark.parametrize(("example", "arguments"), CASES)
def test_trains_as_on_the_cpu(
    example: Any,
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []
    call = CudaStep._call

    def counted(step: Any, binding: Any, arrays: Any) -> Any:
        calls.append(binding.n)
        return call(step, binding, arrays)

    monkeypatch.setattr(CudaStep, "_call", counted)
    curves = {}
    for device, driver in (("gpu", DRIVER), ("cpu", "off")):
        monkeypatch.setenv("TFGRAPH_CUDA", driver)
        assert example.main([*arguments, "--device", device, "--output", str(tmp_path / device)]) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
        curves[device] = [[float(number) for number in re.findall(r"(?:loss|RMSE) +(\d+\.\d+)", line)] for line in lines]
    assert calls, "nothing ran on the GPU"
    assert curves["gpu"]
    for found, wanted in zip(curves["gpu"], curves["cpu"], strict=True):
        assert found == pytest.approx(wanted, rel=2e-3)
