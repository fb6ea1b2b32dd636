"""The instruction sets that one file may hold kernels for, and how C tells them apart."""

from __future__ import annotations

from dataclasses import dataclass

from ..target import TARGETS


@dataclass(frozen=True)
class Isa:
    """An instruction set: `condition` is true while the compiler may use it, `supported` where the program runs on it."""

    name: str
    condition: str
    supported: str

    @property
    def macro(self) -> str:
        return self.name.upper()


def _supports(*features: str) -> str:
    return "\n        && ".join(f'__builtin_cpu_supports("{feature}")' for feature in features)


_AVX2 = ("avx2", "fma", "bmi", "bmi2")
_AVX512 = ("avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl")

_CHOSEN = {
    "avx512": Isa(
        "avx512",
        "defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__)",
        _supports(*_AVX512, *_AVX2),
    ),
    "avx2": Isa("avx2", "defined(__AVX2__) && defined(__FMA__)", _supports(*_AVX2)),
}

BASELINES = tuple(name for name in TARGETS if name not in _CHOSEN)
"""Targets that are there on every processor of their architecture."""

DEFAULT_X86 = ("sse2", "avx2", "avx512")


def isa(name: str) -> Isa:
    """The instruction set of a target of codegen. ValueError if there is none."""
    if name not in TARGETS:
        raise ValueError(f"isas may hold {', '.join(TARGETS)} and native, not {name!r}")
    return _CHOSEN.get(name) or Isa(name, "", "")


def ordered(names: tuple[str, ...]) -> tuple[Isa, ...]:
    """Instruction sets from the least to the most; ValueError if one file cannot hold them together."""
    found = [isa(name) for name in dict.fromkeys(names)]
    if not found:
        raise ValueError("isas must name one instruction set at least")
    found.sort(key=lambda item: DEFAULT_X86.index(item.name) if item.name in DEFAULT_X86 else -1)
    if len(found) > 1 and any(item.name not in DEFAULT_X86 for item in found):
        raise ValueError(f"one library cannot hold {' and '.join(item.name for item in found)}: compile one for each")
    return tuple(found)
