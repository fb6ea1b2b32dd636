"""PyTorch on a GPU: eager in either memory format, compiled, and with the whole step captured as one CUDA graph.

Captured and compiled steps take images in channels_last where tensor cores compute (tf32, bf16), which is where cuDNN's
kernels are faster so. Without a GPU everything but the captured steps runs on the CPU, to try the code.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from ..models import Net
from .pytorch import BUILDERS, set_parameters

WARM_UP = 4  # steps before a capture: cuDNN chooses its kernels, torch.compile compiles


class Trainer:
    """Builds the net, sets its weights, trains it step by step on a batch that is on the GPU already."""

    def __init__(
        self, variant: str, net: Net, parameters: list[np.ndarray], data: list[np.ndarray], threads: int, precision: str
    ) -> None:
        torch.set_num_threads(threads)
        _set_precision(precision)
        on_gpu = torch.cuda.is_available()
        self._device = torch.device("cuda" if on_gpu else "cpu")
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        variants = variant.split("+")
        is_image = len(net.image) == 3 and net.layers[0].places > 1
        channels_last = is_image and ("channels_last" in variants or (variants != ["eager"] and precision != "float32"))
        model = BUILDERS[net.name]()
        set_parameters(model, parameters)
        self._model = model.to(self._device, memory_format=torch.channels_last if channels_last else torch.preserve_format)
        x, y = data
        images = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x).to(self._device)
        self._x = images.contiguous(memory_format=torch.channels_last) if channels_last else images
        self._y = (torch.from_numpy(y.argmax(1)) if net.classes else torch.from_numpy(y)).to(self._device)
        captured = "graphed" in variants
        self._optimizer = torch.optim.Adam(self._model.parameters(), lr=1e-3, fused=True, capturable=captured)
        self._criterion = nn.CrossEntropyLoss() if net.classes else nn.MSELoss()
        self._autocast = precision == "bf16"
        self._loss: Callable[[], torch.Tensor] = self._plain_loss
        if "compiled" in variants:
            torch._dynamo.reset()  # every cell is compiled for its own shapes
            self._loss = torch.compile(self._plain_loss, dynamic=False)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._captured_loss = torch.zeros(())
        if captured:
            self._capture()

    def without_dropout(self) -> Trainer:
        """This trainer, with dropout switched off."""
        self._model.eval()
        return self

    def _plain_loss(self) -> torch.Tensor:
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast):
            out = self._model(self._x)
        return self._criterion(out.float(), self._y)

    def _train(self) -> torch.Tensor:
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._loss()
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def _capture(self) -> None:
        """Train as many steps as it takes for everything to be chosen, then capture one. The weights are put back."""
        if self._device.type != "cuda":
            raise RuntimeError("CUDA graphs need a GPU")
        weights = [parameter.detach().clone() for parameter in self._model.parameters()]
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM_UP):
                self._train()
        torch.cuda.current_stream().wait_stream(beside)
        torch.cuda.synchronize()
        self._optimizer.zero_grad(set_to_none=True)  # so that the gradients are in the graph's own memory
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._captured_loss = self._train()
        with torch.no_grad():
            for parameter, weight in zip(self._model.parameters(), weights, strict=True):
                parameter.copy_(weight)
            for state in self._optimizer.state.values():
                for value in state.values():
                    value.zero_()

    def step(self) -> float:
        """One training step; the loss before it."""
        if self._graph is None:
            return self._train().item()
        self._graph.replay()
        return self._captured_loss.item()

    def peak_bytes(self) -> int:
        """The most device memory that tensors have taken."""
        return torch.cuda.max_memory_allocated() if self._device.type == "cuda" else 0

    def close(self) -> None:
        """Give the memory back."""
        del self._graph, self._captured_loss, self._optimizer, self._model, self._loss, self._x, self._y
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _set_precision(precision: str) -> None:
    """float32 is float32: tensor cores only where they are asked for."""
    tensor_cores = precision != "float32"
    torch.backends.cuda.matmul.allow_tf32 = tensor_cores
    torch.backends.cudnn.allow_tf32 = tensor_cores
    torch.backends.cudnn.benchmark = True  # cuDNN tries its kernels and takes the fastest


def device() -> str:
    """The GPU's name; empty where there is none."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""
