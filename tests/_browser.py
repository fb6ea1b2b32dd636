"""A headless Chromium that looks at web pages, and TensorBoard as a server to look at."""

from __future__ import annotations

import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "chromium-headless-shell")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
START_SECONDS = 180  # TensorBoard imports TensorFlow where that is installed
WINDOW = {"width": 1400, "height": 1000}

# the visible text of an element, that of shadow roots included, as a list
TEXTS = """
root => {
  const hidden = ["STYLE", "SCRIPT", "TEMPLATE", "DOM-IF", "DOM-REPEAT"], found = [];
  const walk = node => {
    if (node.nodeType === Node.TEXT_NODE && node.textContent.trim()) found.push(node.textContent.trim());
    if (node.nodeType === Node.ELEMENT_NODE && (hidden.includes(node.nodeName) || getComputedStyle(node).display === "none"))
      return;
    [...(node.shadowRoot ? [node.shadowRoot] : []), ...node.childNodes].forEach(walk);
  };
  walk(root);
  return found;
}
"""


@contextmanager
def chromium() -> Iterator[Any]:
    """A page of a headless Chromium. Skips where there is none."""
    driver = pytest.importorskip("playwright.sync_api", reason="needs the package playwright: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium on the path: apt-get install chromium")
    with driver.sync_playwright() as playwright:
        # --no-sandbox: the sandbox refuses to run as root, and the only pages are our own
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport=WINDOW)
            page.set_default_timeout(180_000)
            yield page
        finally:
            browser.close()


@contextmanager
def tensorboard(folder: Path) -> Iterator[str]:
    """The address of a TensorBoard that shows `folder`."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--host", "127.0.0.1", "--port", "0"]
    options = ["--load_fast", "false", "--reload_interval", "1"]
    server = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    lines: queue.Queue[str] = queue.Queue()
    # the pipe is read to its end, so that the server is never held up by it
    reader = threading.Thread(target=lambda: [lines.put(line) for line in server.stderr or ()], daemon=True)
    reader.start()
    try:
        yield _address(lines, server)
    finally:
        server.terminate()
        server.wait(timeout=60)
        reader.join(timeout=60)


def _address(lines: queue.Queue[str], server: Any) -> str:
    said: list[str] = []
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and (server.poll() is None or not lines.empty()):
        try:
            said.append(lines.get(timeout=1))
        except queue.Empty:
            continue
        match = re.search(r"TensorBoard .* at (http://\S+?)/? ", said[-1])
        if match:
            return match[1]
    raise AssertionError(f"TensorBoard did not start: {''.join(said)[-3000:]}")
