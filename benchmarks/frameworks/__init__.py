"""The frameworks that train the nets: how each is called, imported and told to behave. Nothing is imported here."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Framework:
    """One way of training a net; `module` in this folder has the `Trainer` that does."""

    label: str
    module: str
    variant: str
    imports: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    cache: str = ""  # the variable that names the folder in which it keeps compiled code, if it does
    images_only: bool = False  # differs from another one only on nets with convolutions

    def missing(self) -> list[str]:
        """What it needs and is not installed."""
        roots = dict.fromkeys(name.partition(".")[0] for name in self.imports)
        return [name for name in roots if importlib.util.find_spec(name) is None]


FRAMEWORKS = {
    "tfgraph": Framework("tfgraph", "sessions", "tfgraph", ("tfgraph",), cache="TFGRAPH_CACHE"),
    "tfgraph-direct": Framework(
        "tfgraph, `TFGRAPH_CONV=direct`",
        "sessions",
        "tfgraph",
        ("tfgraph",),
        {"TFGRAPH_CONV": "direct"},
        cache="TFGRAPH_CACHE",
        images_only=True,
    ),
    "tensorflow": Framework(
        "TensorFlow `compat.v1`",
        "sessions",
        "tensorflow.compat.v1",
        ("tensorflow.compat.v1",),
        {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
    ),
    "torch": Framework("PyTorch eager, NCHW", "pytorch", "nchw", ("torch",)),
    "torch-nhwc": Framework("PyTorch eager, channels_last", "pytorch", "channels_last", ("torch",), images_only=True),
    "torch-compiled": Framework(
        "PyTorch `torch.compile`", "pytorch", "compiled", ("torch",), cache="TORCHINDUCTOR_CACHE_DIR"
    ),
    "jax": Framework(
        "JAX `jit` + optax",
        "jax_optax",
        "jit",
        ("jax", "optax"),
        {
            "JAX_PLATFORMS": "cpu",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        },
        cache="JAX_COMPILATION_CACHE_DIR",
    ),
}

OURS = ("tfgraph", "tfgraph-direct")

# --- on a GPU ---------------------------------------------------------------------------------------------------------

_JAX_GPU = {
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # the others need memory, too
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def _torch_gpu(label: str, variant: str, images_only: bool = False) -> Framework:
    cache = "TORCHINDUCTOR_CACHE_DIR" if "compiled" in variant else ""
    return Framework(f"PyTorch {label}", "gpu_pytorch", variant, ("torch",), cache=cache, images_only=images_only)


GPU_FRAMEWORKS = {
    "tfgraph": Framework("tfgraph", "gpu_sessions", "resident", ("tfgraph",), cache="TFGRAPH_CACHE"),
    "tfgraph-fed": Framework("tfgraph, batch fed from the host", "gpu_sessions", "fed", ("tfgraph",), cache="TFGRAPH_CACHE"),
    "torch": _torch_gpu("eager", "eager"),
    "torch-nhwc": _torch_gpu("eager, channels_last", "eager+channels_last", images_only=True),
    "torch-compiled": _torch_gpu("`torch.compile`", "compiled"),
    "torch-graphed": _torch_gpu("CUDA graph", "graphed"),
    "torch-compiled-graphed": _torch_gpu("`torch.compile`, CUDA graph", "compiled+graphed"),
    "jax": Framework("JAX `jit`", "gpu_jax", "jit", ("jax",), _JAX_GPU, cache="JAX_COMPILATION_CACHE_DIR"),
}
"""On a GPU every framework has the batch there already, but for `tfgraph-fed`."""

OURS_ON_GPU = ("tfgraph", "tfgraph-fed")
