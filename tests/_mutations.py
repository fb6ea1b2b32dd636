"""Files as a stranger might change them: bytes, numbers, names that point elsewhere, under checksums that fit again."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

from tests._checkpoint_files import TF_DATA, TF_INDEX
from tests._damaged_checkpoints import changed_bytes
from tfgraph.checkpoint.table import read_table, write_table

# what stands where a name or a path is expected
NAMES = (
    "../../outside", "/tmp/outside", "..", ".", "", "/", "a/../../../b", "C:\\x", "~/x", "\0", "a\0b", "\n", "é",
    "'; import os; os", "*/ int main(void) { } /*", "%s%n", "${HOME}", "`id`", "a" * 5000, "</svg><script>", "__class__",
    "w:0", "^w", "-1",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 7, 127, 128, 255, 256, 65535, 1 << 31, (1 << 31) - 1, -(1 << 31), (1 << 63) - 1, -(1 << 63), 1 << 40)


def changed_text(content: bytes, generator: random.Random) -> bytes:
    """A string, a number or a word of a text replaced, or a line of it left out or doubled."""
    text = content.decode("utf-8", "surrogateescape")
    what = generator.randrange(5)
    if what <= 1:
        spans = [m.span(1) for m in re.finditer(r'"((?:[^"\\]|\\.)*)"', text)]
        new = generator.choice(NAMES).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\0", "\\000")
    elif what == 2:
        spans = [m.span(1) for m in re.finditer(r"(?<=: )(-?[0-9][0-9.e+-]*)", text)]
        new = str(generator.choice(NUMBERS))
    elif what == 3:
        spans = [m.span(0) for m in re.finditer(r"[A-Za-z_]\w+", text)]
        new = generator.choice(("name", "op", "value", "DT_INT32", "DT_STRING", "true", "x", "list { i: 1 }", "type: 3"))
    else:
        spans = [m.span(0) for m in re.finditer(r"[^\n]*\n", text)]
        new = generator.choice(("", "}\n", "{\n", "\\\n"))
    if not spans:
        return changed_bytes(content, generator)
    start, end = generator.choice(spans)
    if what == 4 and generator.random() < 0.5:
        new = text[start:end] * generator.choice((2, 30))
    return (text[:start] + new + text[end:]).encode("utf-8", "surrogateescape")


def changed_names(content: bytes, generator: random.Random) -> bytes:
    """A name inside a binary message replaced by another of the same length, so that the rest still fits."""
    spans = [m.span() for m in re.finditer(rb"[A-Za-z_/0-9.]{3,}", content)]
    start, end = generator.choice(spans)
    name = generator.choice(NAMES).encode("utf-8", "surrogateescape")[: end - start]
    return content[:start] + name.ljust(end - start, generator.choice((b"x", b"/", b"\0"))) + content[end:]


def changed_index(content: bytes, generator: random.Random) -> bytes:
    """Another key or entry in the table of a checkpoint, under right checksums."""
    rows = read_table(content)
    at = generator.randrange(len(rows))
    key, value = rows[at]
    if generator.random() < 0.4:
        rows[at] = (generator.choice(NAMES).encode("utf-8", "surrogateescape"), value)
        rows.sort()
    else:
        rows[at] = (key, changed_bytes(value, generator))
    return write_table(rows)


Change = Callable[[bytes, random.Random], bytes]


def mutations(content: bytes, changes: tuple[Change, ...], count: int, seed: int) -> Iterator[bytes]:
    """`count` changed files, none of them as `content` is; a quarter has been changed twice."""
    generator = random.Random(seed)
    while count:
        changed = generator.choice(changes)(content, generator)
        if generator.random() < 0.25:
            changed = changed_bytes(changed, generator)
        if changed != content:
            count -= 1
            yield changed


CHECKPOINT = {"ck.index": TF_INDEX, "ck.data-00000-of-00001": TF_DATA}
