"""docs/compatibility.md: TensorFlow 1.14's public names and which of them are here. Running this module writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from .names import is_here, names_of_tensorflow

# in the order of the page; "" is `tf` itself
NAMESPACES = (
    "", "nn", "nn.rnn_cell", "train", "layers", "losses", "metrics", "summary", "initializers", "math", "graph_util",
    "gfile", "logging", "test", "app", "errors", "image", "random", "linalg", "debugging",
)  # fmt: skip

# what is here with limits; everything else that is here is complete as far as the conformance suite can tell
PARTLY = {
    "Assert": "runs in Python: before the compiled step if it needs feeds alone, else after it, when variables may differ",
    "ConfigProto": "threads and soft placement have an effect, the rest is kept",
    "Print": "runs in Python after the compiled step",
    "IndexedSlices": "a container; gradients are dense tensors",
    "RunMetadata": "`step_stats` and `partition_graphs` of traced runs on the CPU; `cost_graph` stays empty",
    "RunOptions": "`trace_level` and `output_partition_graphs` have an effect, the rest is kept",
    "SparseTensor": "a container; the ops of `tf.sparse` are not here",
    "boolean_mask": "runs in Python: how many elements are left is known only in a run",
    "device": "kept on the nodes; everything runs on the CPU",
    "float16": "runs in the NumPy interpreter",
    "foldl": "the first dimension must be known; the steps are written out",
    "foldr": "the first dimension must be known; the steps are written out",
    "image.resize": "`BILINEAR` and `NEAREST_NEIGHBOR`; heights and widths must be known in the run",
    "image.resize_bilinear": "heights and widths must be known in the run",
    "image.resize_images": "`BILINEAR` and `NEAREST_NEIGHBOR`; heights and widths must be known in the run",
    "image.resize_nearest_neighbor": "heights and widths must be known in the run",
    "image.rot90": "`k` is a Python number",
    "gather_nd": "without `batch_dims`",
    "gradients": "gradients of `gather` are dense tensors, never IndexedSlices",
    "import_graph_def": "no functions, no loops",
    "layers.batch_normalization": "one axis; no `renorm`, `virtual_batch_size`, `adjustment`",
    "layers.BatchNormalization": "one axis; no `renorm`, `virtual_batch_size`, `adjustment`",
    "map_fn": "the first dimension must be known; the steps are written out",
    "multinomial": "drawn in Python, with what follows it where the logits depend on variables",
    "nn.bidirectional_dynamic_rnn": "the number of time steps must be known; the steps are written out",
    "nn.convolution": "over one or two dimensions",
    "nn.nce_loss": "weights in one part; candidates are drawn in Python, the rest is compiled",
    "nn.pool": "over one or two dimensions, without dilations",
    "nn.sampled_softmax_loss": "weights in one part; candidates are drawn in Python, the rest is compiled",
    "nn.dynamic_rnn": "the number of time steps must be known; the steps are written out",
    "nn.rnn_cell.MultiRNNCell": "states as tuples only",
    "random.categorical": "drawn in Python, with what follows it where the logits depend on variables",
    "random.multinomial": "drawn in Python, with what follows it where the logits depend on variables",
    "random_crop": "`size` is a list of Python numbers",
    "image.random_crop": "`size` is a list of Python numbers",
    "roll": "`shift` and `axis` are Python numbers; sizes along the axes must be known",
    "scan": "the first dimension must be known; the steps are written out",
    "train.MonitoredTrainingSession": "for one process",
    "train.start_queue_runners": "there are no queues, so it starts nothing",
    "train.export_meta_graph": "no `export_scope`; collections of variables, nodes, numbers and strings",
    "variable_scope": "partitioners are kept, not applied",
    "where": "with one argument it runs in Python",
}


def status(path: str) -> tuple[str, str]:
    """(yes, partly or no; what there is to say)."""
    if not is_here(path):
        return "no", ""
    return ("partly", PARTLY[path]) if path in PARTLY else ("yes", "")


def page() -> str:
    """The whole page in Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# TensorFlow 1.14's public names"
    yield ""
    yield "Written by `python -m tfgraph.aliases.compatibility`. **Yes**: it is here. *Partly*: here, with the limits that"
    yield "the note tells. No: not yet; using it raises an error that says so and names the nearest thing there is."
    yield "Namespaces that are not listed are not here, but for `tf.contrib.layers`, `tf.contrib.rnn` and `tf.flags`, which"
    yield "TensorFlow's own list leaves out."
    names = names_of_tensorflow()
    tables = {space: _table(space, names.get(space, ())) for space in NAMESPACES}
    yield ""
    yield "| namespace | yes | partly | no |"
    yield "|---|---:|---:|---:|"
    for space, rows in tables.items():
        counts = [sum(row[1] == kind for row in rows) for kind in ("yes", "partly", "no")]
        yield f"| `{_called(space)}` | {' | '.join(map(str, counts))} |"
    for space, rows in tables.items():
        yield ""
        yield f"## {_called(space)}"
        yield ""
        for kind, title in (("yes", "**Yes**"), ("no", "No")):
            found = [f"`{name}`" for name, one, _ in rows if one == kind]
            if found:
                yield f"{title}: {', '.join(found)}."
                yield ""
        partly = [(name, note) for name, one, note in rows if one == "partly"]
        if partly:
            yield "| *partly* | limits |"
            yield "|---|---|"
            yield from (f"| `{name}` | {note} |" for name, note in partly)


def _called(space: str) -> str:
    return f"tf.{space}" if space else "tf"


def _table(space: str, names: tuple[str, ...]) -> list[tuple[str, str, str]]:
    return [(name, *status(f"{space}.{name}" if space else name)) for name in names]


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/compatibility.md")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page())
