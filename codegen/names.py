"""C identifiers and comments from the user's node names. A user's text never becomes code."""

from __future__ import annotations

import re

_LOOP = re.compile(r"^(i|j|k|o|e|r|row)\d*_?\d*$")  # the names of loop variables
_RESERVED = frozenset(
    (
        "auto break case char const continue default do double else enum extern float for goto if inline int long "
        "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while "
        "asm typeof linux unix "  # what gnu11 adds
        "alignas alignof and and_eq bitand bitor catch class compl concept const_cast consteval constexpr constinit "  # C++
        "co_await co_return co_yield decltype delete dynamic_cast explicit export friend mutable namespace new noexcept "
        "not not_eq nullptr operator or or_eq private protected public reinterpret_cast requires static_assert "
        "static_cast template this thread_local throw try typeid typename using virtual wchar_t xor xor_eq "
        "errno near far small interface "  # macros of headers, here and on Windows
        "batch fixed feeds fetches variables constants random pool failed "  # the fields of a step
        "bool true false N s chunk first last row column acc part parts scratch main NAN INFINITY "
        "item items blocks start stop from to size "
        "tan asin acos atan atan2 sinh cosh asinh acosh atanh "  # called in libm under these very names
        "int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t size_t"
    ).split()
)


class Names:
    """Unique identifiers within one kernel."""

    def __init__(self, taken: frozenset[str] = frozenset()) -> None:
        self._taken: dict[str, int] = dict.fromkeys(taken, 0)

    def unique(self, label: str) -> str:
        """An identifier after the last part of a node name: `conv1/Relu` -> `relu`, then `relu_1`."""
        stem = identifier(label)
        count = self._taken.get(stem)
        if count is None:
            self._taken[stem] = 0
            return stem
        while True:
            count += 1
            candidate = f"{stem}_{count}"
            if candidate not in self._taken:
                self._taken[stem] = count
                self._taken[candidate] = 0
                return candidate


def identifier(label: str) -> str:
    """A valid lower-case C identifier after the last part of a node name that says something."""
    parts = [p for p in label.split("/") if p]
    stem = parts[-1] if parts else "value"
    if stem in ("read", "x", "y", "a", "b") and len(parts) > 1:
        stem = parts[-2] if stem == "read" else f"{parts[-2]}_{stem}"
    stem = re.sub(r"[^A-Za-z0-9]+", "_", stem).strip("_").lower()[:24] or "value"
    if stem[0].isdigit():
        stem = "v" + stem
    return stem + "_" if stem in _RESERVED or _LOOP.match(stem) or stem.startswith("tg_") else stem


def comment(text: str) -> str:
    """`text` safe inside a C comment of either form."""
    return re.sub(r"[^A-Za-z0-9_./:>,\[\]()*+ -]", "?", text).replace("*/", "* /").replace("/*", "/ *")[:200]
