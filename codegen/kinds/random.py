"""Kernels of random numbers: any chunk of the output follows from the seeds, the counter and its position alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...shapes import element_count
from ..emitted import Launch
from ..ir import Value
from ..problems import NotCompilable
from ..scalar import size_text
from . import Context, Written
from .arrays import chunks, no_scratch, operand, scalar_operand, scribe_of, written
from .pointwise import header

# a multiple of the 64 outputs that the generators make at once; normal numbers take some 10 ns each
CHUNK_OUTPUTS = 4096

_FLOAT = {"float32": "f32", "float64": "f64"}
_INTEGER = {"int32": "i32", "int64": "i64"}
GENERATORS = {
    "RandomUniform": ("uniform", _FLOAT),
    "RandomUniformInt": ("uniform", _INTEGER),
    "RandomStandardNormal": ("normal", _FLOAT),
    "TruncatedNormal": ("truncated_normal", _FLOAT),
}


@dataclass(frozen=True)
class RandomText:
    """The context of templates/c/random.c.j2."""

    name: str
    comment: tuple[str, ...]
    y: str
    count: str
    block: int
    generator: str  # of c/philox.h.j2
    bounds: tuple[str, ...]  # minval and maxval of integers
    seed: int  # places of the node's seed, seed2 and counter in the step's table
    seed2: int
    counter: int
    fail: str  # what happens to bounds without a number between them, "" if they are known to be right


def random(context: Context) -> Written:
    """RandomUniform, RandomUniformInt, RandomStandardNormal, TruncatedNormal."""
    scribe, node = scribe_of(context), context.kernel.group.nodes[0]
    output = node.outputs[0]
    stem, suffixes = GENERATORS[node.type]
    dtype = output.dtype.base_dtype.name
    if dtype not in suffixes:
        raise NotCompilable(f"{node.label} makes random numbers of dtype {dtype}")
    count, number = size_text(element_count(output.dims)), 3 * context.randoms.index(node)
    bounds = tuple(scalar_operand(scribe, v) for v in node.data_inputs())
    text = RandomText(
        name=context.kernel.name,
        comment=header(scribe),
        y=operand(scribe, output),
        count=count,
        block=CHUNK_OUTPUTS,
        generator=f"{stem}_{suffixes[dtype]}",
        bounds=bounds,
        seed=number,
        seed2=number + 1,
        counter=number + 2,
        fail="" if _are_right(node.data_inputs()) else scribe.fail(node),
    )
    launch = Launch(text.name, chunks(count, CHUNK_OUTPUTS))
    return written(scribe, "c/random.c.j2", text, (launch,), random=(text.generator,))


def _are_right(bounds: Sequence[Value]) -> bool:
    """True if the interval of the bounds is known not to be empty, or there are none."""
    known = [v.known() for v in bounds]
    return not bounds or (known[0] is not None and known[1] is not None and int(known[0]) < int(known[1]))


TABLE = {"random": (random, no_scratch)}
