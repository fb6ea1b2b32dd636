"""`tf.contrib.tensorboard.plugins.projector`: which variables of a checkpoint TensorBoard shows as points in space.

`ProjectorConfig`, `EmbeddingInfo` and `SpriteMetadata` come from the package `tensorboard`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..event_protos import tensorboard_module

__all__ = ["visualize_embeddings"]

_FILE = "projector_config.pbtxt"  # where TensorBoard looks for it
_MESSAGES = ("EmbeddingInfo", "ProjectorConfig", "SpriteMetadata")


def __getattr__(name: str) -> Any:
    if name not in _MESSAGES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
    return getattr(tensorboard_module("tensorboard.plugins.projector.projector_config_pb2", f"projector.{name}"), name)


def visualize_embeddings(summary_writer: Any, config: Any) -> None:
    """Write a ProjectorConfig into the folder of a FileWriter. ValueError if the writer has none."""
    folder = summary_writer.get_logdir()
    if not folder:
        raise ValueError("Summary writer must have a logdir")
    Path(folder, _FILE).write_text(str(config))
