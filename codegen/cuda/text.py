"""The words of C texts as CUDA takes them, and what a kernel's functions declare first."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..emitted import PROLOGUE, used_lines
from .launches import MOST_BLOCKS, THREADS, CudaLaunch

WARP = 32
GEOMETRY = frozenset("block blocks team teams lane chunk".split())
"""Names that every kernel text may use for its place in the grid."""

CPP_WORDS = frozenset(
    (
        "alignas alignof and and_eq asm bitand bitor catch class compl const_cast constexpr decltype delete dynamic_cast "
        "explicit export false friend mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected "
        "public reinterpret_cast static_assert static_cast template this throw true try typeid typename using virtual "
        "wchar_t xor xor_eq concept requires"
    ).split()
)
"""What C takes for names and C++ does not."""

NO_FAILURE = "if (*s.failed != TG_NONE)\n        return;"
"""A failed check ends a step before the next kernel: nothing may be written after it."""

_WORDS = (
    (re.compile(r"\bs->"), "s."),
    (re.compile(r"\brestrict\b"), "__restrict__"),
    (re.compile(r"^[ \t]*#pragma (?!unroll).*\n", re.MULTILINE), ""),
    (
        re.compile(r"^static void (\w+)\(const tg_step \*s, int64_t chunk\)", re.MULTILINE),
        r'extern "C" __global__ void \1(const tg_step s)',
    ),
)
_FUNCTION_WORDS = (
    (re.compile(r"\bstatic (TG_ALONE|inline) "), "static __device__ __forceinline__ "),
    (re.compile(r"^#include <.*>\n", re.MULTILINE), ""),  # the prelude has them
    (re.compile(r"^static const ", re.MULTILINE), "static __device__ const "),  # a table
    (re.compile(r"int sign;\n *return lgamma_r\(x, &sign\)"), "return lgamma(x)"),  # a device has no sign to share
    (re.compile(r"\b__builtin_(?!memcpy)"), ""),
    (re.compile(r"\b__builtin_memcpy\b"), "memcpy"),
    (re.compile(r"\b(inff?)\(\)"), lambda found: "INFINITY" if found[1] == "inff" else "HUGE_VAL"),
)
_BEGINNING = re.compile(r'^(extern "C" __global__ void [^{]*\{\n)', re.MULTILINE)
_KERNEL = re.compile(r"__global__ void (\w+)\(")


@dataclass(frozen=True)
class Shape:
    """How the threads of a kernel share its items: `lanes` threads, a power of two, to each of `items` (a C expression).

    With `strides` a team goes on to further items; without, the grid is as large as there are items.
    """

    items: str
    lanes: int = 1
    threads: int = THREADS
    strides: bool = True

    @property
    def teams(self) -> int:
        """Items that a block works on at a time."""
        return self.threads // self.lanes

    @property
    def blocks(self) -> str:
        """The blocks as a C expression."""
        needed = f"tg_chunks({self.items}, {self.teams})"
        return f"tg_least({needed}, {MOST_BLOCKS})" if self.strides else needed

    def launch(self, function: str) -> CudaLaunch:
        """The launch of a function of this shape."""
        return CudaLaunch(function, (self.blocks, "1", "1"), self.threads)

    def lines(self, is_part: bool = False) -> tuple[str, ...]:
        """Declarations of a thread's place; `is_part`: `block` and `blocks` are parameters."""
        own = () if is_part else ("const unsigned block = blockIdx.x;", "const unsigned blocks = gridDim.x;")
        within = "threadIdx.x" if self.lanes == 1 else f"threadIdx.x / {self.lanes}"
        team = "(int64_t)block" if self.teams == 1 else f"(int64_t)block * {self.teams} + {within}"
        teams = "blocks" if self.teams == 1 else f"(int64_t)blocks * {self.teams}"
        lane = "threadIdx.x" if self.teams == 1 else f"threadIdx.x % {self.lanes}"
        return (
            *own,
            f"const int64_t team = {team};",
            f"const int64_t teams = {teams};",
            f"const int lane = {lane};",
        )


def lanes_for(size: int) -> int:
    """How many threads share a row of `size` elements: a power of two of up to a warp, or a whole block for long rows."""
    if size > 16 * WARP:
        return THREADS
    lanes = 1
    while lanes < min(size, WARP):
        lanes *= 2
    return lanes


def kernel_text(text: str) -> str:
    """A kernel's C text with CUDA's words."""
    for pattern, replacement in _WORDS:
        text = pattern.sub(replacement, text)
    return text


def function_text(text: str) -> str:
    """The C text of functions that kernels call, as device functions."""
    for pattern, replacement in _FUNCTION_WORDS:
        text = pattern.sub(replacement, text)
    return kernel_text(text)


def guarded(source: str) -> str:
    """A kernel whose functions do nothing after a check has failed, unless they make checks themselves."""
    first, *functions = _BEGINNING.split(source)
    result = first
    for head, body in zip(functions[::2], functions[1::2], strict=True):
        result += head + ("" if "tg_fail(" in body else f"    {NO_FAILURE}\n") + body
    return result


def insert_prologue(text: str, lines: Sequence[str], shapes: Mapping[str, Shape] | None = None) -> str:
    """`text` with the declarations that each kernel needs in the place of its `@prologue@` line.

    `shapes` of the functions say how their threads share the work.
    """
    first, *bodies = re.split(rf"^[ \t]*{PROLOGUE}\n", kernel_text(text), flags=re.MULTILINE)
    result, before = first, first
    for body in bodies:
        own = re.split(r'\n(?:extern "C"|static) ', body, maxsplit=1)[0]
        name = _KERNEL.findall(before)[-1]
        shape = (shapes or {}).get(name)
        declared = list(map(kernel_text, lines))
        if shape is not None:
            chunk = ["const int64_t chunk = team;", f"if (chunk >= {shape.items})\n    return;"]
            declared = [declared[0], *shape.lines(), *(chunk if re.search(r"\bchunk\b", own) else []), *declared[1:]]
        needed = used_lines(declared, own)
        result += "".join(f"    {part}\n" for line in needed for part in line.split("\n")) + body
        before = body
    return result
