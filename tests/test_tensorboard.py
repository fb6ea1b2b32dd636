"""The real TensorBoard in a headless Chromium: what a person sees of a training that tfgraph has logged."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._browser import TEXTS, chromium, tensorboard
from tests._compiled import COMPILER

pytest.importorskip("tensorboard", reason="needs the package tensorboard: pip install tensorboard")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
pytestmark = pytest.mark.xdist_group("browser")

STEPS, BATCH, PROFILED = 12, 50, 9
TRIES = 8
SCALES = {"B": 1, "KB": 1024, "MB": 1024**2}


@dataclass(frozen=True)
class Shown:
    """A log folder in a TensorBoard in a browser, and what was logged."""

    address: str
    page: Any
    losses: list[float]
    run_metadata: Any

    def tab(self, name: str) -> Any:
        self.page.goto("about:blank")  # an address that differs after the # alone is not loaded again
        self.page.goto(f"{self.address}/#{name}")
        return self.page

    def data(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.address}/data/plugin/{path}", timeout=180) as answer:
            return json.load(answer)


def train(folder: Path) -> tuple[list[float], Any]:
    """Log a training of a small network; the loss of each step, and the RunMetadata of one."""
    x = tf.placeholder(tf.float32, [None, 8, 8, 1], name="x")
    y = tf.placeholder(tf.int64, [None], name="y")
    with tf.name_scope("net"), tf.device("/cpu:0"):
        hidden = tf.layers.conv2d(x, 4, 3, activation=tf.nn.relu, name="conv")
        logits = tf.layers.dense(tf.layers.flatten(tf.layers.max_pooling2d(hidden, 2, 2)), 10, name="fc")
    with tf.name_scope("loss"):
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
    tf.negative(loss, name="not_run")
    train_op = tf.train.AdamOptimizer(0.01).minimize(loss)
    tf.summary.scalar("cross_entropy", loss)
    tf.summary.histogram("logits", logits)
    tf.summary.image("digit", x, 2)
    tf.summary.text("note", tf.constant("a *small* network"))
    fetches = [train_op, loss, tf.summary.merge_all()]
    rng = np.random.default_rng(0)
    losses, metadata = [], tf.RunMetadata()
    with tf.Session() as sess, tf.summary.FileWriter(folder, sess.graph) as writer:
        sess.run(tf.global_variables_initializer())
        for step in range(STEPS):
            feeds = {x: rng.random((BATCH, 8, 8, 1)), y: rng.integers(0, 10, BATCH)}
            if step == PROFILED:
                options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE, output_partition_graphs=True)
                _, value, summary = sess.run(fetches, feeds, options=options, run_metadata=metadata)
                writer.add_run_metadata(metadata, f"step{step}", step)
                tf.summary.FileWriter(folder.parent / "kernels", graph_def=metadata.partition_graphs[0]).close()
            else:
                _, value, summary = sess.run(fetches, feeds)
            losses.append(float(value))
            writer.add_summary(summary, step)
    return losses, metadata


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    logs = tmp_path_factory.mktemp("logs")
    with chromium() as page, tf.Graph().as_default():
        losses, metadata = train(logs / "run")
        with tensorboard(logs) as address:
            yield Shown(address, page, losses, metadata)


def test_scalars(shown: Shown) -> None:
    page = shown.tab("scalars")
    card = page.locator("tf-scalar-card")
    line = card.locator("path.line").first
    line.wait_for(state="attached")
    assert "cross_entropy" in card.evaluate(TEXTS)
    page.wait_for_function("path => path.getAttribute('d')", arg=line.element_handle())
    assert len(re.findall("[ML]", line.get_attribute("d"))) == STEPS  # a corner of the curve for each step
    found = shown.data("scalars/scalars?run=run&tag=cross_entropy")
    assert [step for _, step, _ in found] == list(range(STEPS))
    np.testing.assert_allclose([value for _, _, value in found], shown.losses, rtol=1e-6)


def test_histograms(shown: Shown) -> None:
    page = shown.tab("histograms")
    slices = page.locator("vz-histogram-timeseries g.histogram")
    slices.first.wait_for(state="attached")
    assert slices.count() == STEPS
    assert "logits" in page.locator("tf-histogram-loader").evaluate(TEXTS)
    found = shown.data("histograms/histograms?run=run&tag=logits")
    for _, _, buckets in found:
        assert sum(count for _, _, count in buckets) == pytest.approx(BATCH * 10)


def test_images(shown: Shown) -> None:
    page = shown.tab("images")
    picture = page.locator("tf-image-loader img").first
    picture.wait_for()
    page.wait_for_function("picture => picture.naturalWidth === 8", arg=picture.element_handle())
    texts = page.locator("tf-image-loader").first.evaluate(TEXTS)
    assert "digit/image/0" in "".join(texts)


def test_texts(shown: Shown) -> None:
    page = shown.tab("text")
    emphasis = page.locator("tf-text-loader em").first
    emphasis.wait_for()
    assert emphasis.evaluate(TEXTS) == ["small"]


# --- the graph --------------------------------------------------------------------------------------------------------


def graph_page(shown: Shown, run: str, tag: str) -> Any:
    """The Graph tab with the choice of a graph: the whole one of `run`, by `tag` also with what a run has told."""
    page = shown.tab("graphs")
    menus = page.locator("tf-graph-controls paper-dropdown-menu")
    for place, wanted in enumerate((run, tag)):
        chosen(page, menus.nth(place), wanted)
    only_in_whole = page.locator('g.node[data-name="not_run"]')
    only_in_whole.wait_for(state="attached" if run == "run" else "detached")
    page.locator('g.node[data-name="net"]').wait_for(state="attached")
    return page


def until(happened: Callable[[], Any], act: Callable[[], Any], page: Any) -> Any:
    """What `happened` gives, after as many tries of `act` as it takes: a graph that is just being drawn misses clicks."""
    for tried in range(TRIES):
        act()
        for _ in range(10 * (tried + 1)):  # where drawing takes longer than a try waits, the next try would undo it
            page.wait_for_timeout(300)
            found = happened()
            if found:
                return found
    raise AssertionError(f"nothing has come of it in {TRIES} tries")


def chosen(page: Any, menu: Any, wanted: str) -> None:
    """Choose an item of a menu, if it is not the chosen one."""
    item = menu.locator("paper-item").get_by_text(wanted, exact=True)
    until(
        lambda: menu.evaluate("(menu, wanted) => menu.value === wanted", wanted),
        lambda: item.dispatch_event("click"),  # a click on the menu may be missed, or close what it has opened
        page,
    )


def opened(page: Any, *scopes: str) -> None:
    """Open name scopes, from the outermost."""
    for scope in scopes:
        shape = page.locator(f'g.node[data-name="{scope}"] > .nodeshape').first
        until(
            lambda scope=scope: page.locator(f'g.node[data-name^="{scope}/"]').count(),
            lambda shape=shape: shape.dispatch_event("dblclick"),
            page,
        )


def card(page: Any, node: str) -> list[str]:
    """What the card of a node says."""
    shape = page.locator(f'g.node[data-name="{node}"] > .nodeshape').first
    info = page.locator("tf-node-info")

    def texts() -> list[str] | None:
        found = info.first.evaluate(TEXTS) if info.count() else []
        return found if "".join(found).startswith(node) else None

    return until(texts, lambda: shape.dispatch_event("click"), page)


def after(texts: list[str], title: str) -> str:
    return texts[texts.index(title) + 1]


def test_scopes_shapes_and_devices(shown: Shown) -> None:
    page = graph_page(shown, "run", "Default")
    nodes = page.locator("g.node").evaluate_all("nodes => nodes.map(node => node.dataset.name)")
    assert {"x", "net", "loss", "gradients", "Adam"} <= set(nodes)
    assert not any(name.startswith("net/") for name in nodes)
    opened(page, "net", "net/conv")
    nodes = page.locator("g.node").evaluate_all("nodes => nodes.map(node => node.dataset.name)")
    assert {"net/conv/Conv2D", "net/conv/BiasAdd", "net/conv/Relu", "net/fc"} <= set(nodes)
    texts = card(page, "net/conv/Conv2D")
    assert after(texts, "Operation:") == "Conv2D"
    assert after(texts, "Device") == "/device:CPU:0"
    assert (after(texts, "x"), after(texts, "net/conv/BiasAdd")) == ("?×8×8×1", "?×6×6×4")


@needs_compiler
def test_time_and_memory(shown: Shown) -> None:
    page = graph_page(shown, "run", f"step{PROFILED}")
    page.locator("tf-graph-controls paper-radio-button").filter(has_text="Compute time").first.click()
    (device,) = shown.run_metadata.step_stats.dev_stats
    stats = [one for one in device.node_stats if one.node_name.startswith("net/")]
    begin = min(one.all_start_micros for one in stats if one.all_end_rel_micros)
    end = max(one.all_start_micros + one.all_end_rel_micros for one in stats if one.all_end_rel_micros)
    held = sum(memory.total_bytes for one in stats for memory in one.memory)
    texts = card(page, "net")
    assert after(texts, "Compute Time") == spoken(end - begin)
    number, unit = after(texts, "Memory").split()
    assert float(number) * SCALES[unit] == pytest.approx(held, rel=0.01)
    assert held > BATCH * 10 * 4  # of the logits at least
    opened(page, "net", "net/conv")
    assert "Compute Time" in card(page, "net/conv/Conv2D")
    fused = card(page, "net/conv/Relu")
    assert "Compute Time" not in fused  # it is fused into the convolution
    assert after(fused, "Tensor Output Sizes") == f"[{BATCH}, 6, 6, 4]"


@needs_compiler
def test_kernels_as_clusters(shown: Shown) -> None:
    page = graph_page(shown, "kernels", "Default")
    page.locator("tf-graph-controls paper-radio-button").filter(has_text="XLA cluster").first.click()
    named = {node.name: node.attr["_XlaCluster"].s.decode() for node in shown.run_metadata.partition_graphs[0].node}
    opened(page, "net", "net/conv")
    texts = page.locator("tf-graph-controls").first.evaluate(TEXTS)
    assert named["net/conv/Conv2D"] == named["net/conv/Relu"] != named["net/fc/MatMul"]
    assert {named["net/conv/Conv2D"], named["net/fc/MatMul"]} <= set(texts)
    nodes = ("net/conv/Conv2D", "net/conv/BiasAdd", "net/conv/Relu")
    stops = [page.locator(f'linearGradient[id="xla-{node}"] stop').first for node in nodes]
    (colour,) = {stop.evaluate("stop => getComputedStyle(stop).stopColor") for stop in stops}
    assert colour.startswith("rgb")


def spoken(microseconds: int) -> str:
    """A time as TensorBoard writes it, with three digits."""
    number, unit = (microseconds, "µs") if microseconds < 1000 else (microseconds / 1000, "ms")
    return f"{float(f'{number:.3g}'):g} {unit}"
