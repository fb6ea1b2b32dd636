"""Kernels that do the same to other arrays become one function, which each of them calls with its own arrays.

Deep nets repeat their layers. Two kernels are the same if their texts are, but for the names of local variables and the
addresses of arrays. The 111 kernels of a chain of 26 layers and its training (1,000 operations) take gcc 12 2.7 s of
processor time each for itself and 1.0 s so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .emitted import Shared
from .render import render

SHORTEST = 1_000  # characters; calling takes as much text as a shorter kernel

_COMMENT = re.compile(r"/\*.*?\*/\n?|//[^\n]*", re.DOTALL)
_FUNCTION = re.compile(
    r"(?P<before>(?:\s|/\*.*?\*/)*)^static void (?P<name>\w+)\((?P<parameters>const tg_step \*s, [^)]*)\)\n"
    r"\{\n(?P<body>.*?)^\}\n?",
    re.MULTILINE | re.DOTALL,
)
_LAUNCHED = "const tg_step *s, int64_t chunk"
# the comment that names the nodes of a kernel: its last line is the kind, type and dimensions
_NODES = re.compile(r"/\*\n(?: \* [^\n]*\n)* \* \w+, \w* \[[^\n]*\n \*/\n")
# where an array is: an address that depends on the step alone
_PLACE = re.compile(
    r"^    (?P<type>(?:const )?\w+ \*)restrict (?P<name>\w+) = "
    r"(?P<address>(?:\((?:const )?\w+ \*\))?\(?s->\w+(?:\[\d+\])?(?: \+ [\dN* +]+)?\)?);\n",
    re.MULTILINE,
)
_DECLARED = re.compile(r"\b(?:float|double|bool|char|u?int\d+_t|tg_\w+) (?:\*(?:const )?(?:restrict )?)?([A-Za-z_]\w*)")
_WORD = re.compile(r"(?<!->)(?<![.\w])[A-Za-z_]\w*")  # no member of a structure
_BATCH = "    const int64_t N = s->N;\n"


@dataclass(frozen=True)
class _Function:
    """One function of a kernel."""

    before: str  # comments
    name: str
    parameters: str
    body: str

    @property
    def places(self) -> list[re.Match[str]]:
        """The arrays that it declares and where they are."""
        return list(_PLACE.finditer(self.body))


@dataclass(frozen=True)
class _Array:
    """An array of a shared function: its type and name in C, and where each kernel has it."""

    type: str
    name: str
    addresses: tuple[str, ...]


def share_repeats(kernels: Sequence[str]) -> tuple[list[str], list[Shared]]:
    """The texts of `kernels`, where those that repeat one another only call functions, and these functions."""
    texts, shared = list(kernels), list[Shared]()
    alike: dict[str, list[int]] = {}
    parsed = [_functions(text) for text in kernels]
    for i, functions in enumerate(parsed):
        if functions:
            alike.setdefault(_canonical(functions), []).append(i)
    for members in alike.values():
        arrays = _arrays([parsed[i] for i in members])
        if not arrays:
            continue
        own = parsed[members[0]]
        stem = own[-1].name
        shared += _shared(stem, own, arrays, [parsed[i][-1].name for i in members])
        for at, i in enumerate(members):
            texts[i] = _calls(stem, own, arrays, at, parsed[i])
    return texts, shared


# --- which kernels are the same -----------------------------------------------------------------------------------


def _functions(kernel: str) -> tuple[_Function, ...]:
    """The functions of a kernel; none if it is short, or if there is anything else in its text."""
    if len(kernel) < SHORTEST or _FUNCTION.sub("", kernel).strip():
        return ()
    return tuple(_Function(**found.groupdict()) for found in _FUNCTION.finditer(kernel))


def _canonical(functions: Sequence[_Function]) -> str:
    """The text of a kernel with its own names numbered, without the addresses of its arrays."""
    own = {function.name: f"@function{i}" for i, function in enumerate(functions)}
    return "\n".join(_numbered(function, own) for function in functions)


def _numbered(function: _Function, own: dict[str, str]) -> str:
    text = _PLACE.sub(r"    \g<type> \g<name>;\n", function.body)
    text = f"{function.name}({function.parameters})\n{_COMMENT.sub('', text)}"
    declared = {*_DECLARED.findall(text), *(place["name"] for place in function.places)}
    numbers = dict(own)

    def number(found: re.Match[str]) -> str:
        word = found[0]
        return numbers.setdefault(word, f"@{len(numbers)}") if word in declared or word in own else word

    lines = [line if line.lstrip().startswith("#") else _WORD.sub(number, line) for line in text.splitlines()]
    return "\n".join(lines)


def _arrays(members: Sequence[Sequence[_Function]]) -> list[_Array]:
    """The arrays that are not the same for all members, by their names in the first."""
    found: dict[str, _Array] = {}
    for functions in zip(*members, strict=True):
        for places in zip(*(function.places for function in functions), strict=True):
            array = _Array(places[0]["type"], places[0]["name"], tuple(place["address"] for place in places))
            if found.setdefault(array.name, array) != array:
                return []  # a name for two arrays: no kernel of ours
    return [array for array in found.values() if len(set(array.addresses)) > 1]


# --- what is written of them --------------------------------------------------------------------------------------


def _shared(
    stem: str, functions: Sequence[_Function], arrays: Sequence[_Array], users: Sequence[str]
) -> tuple[Shared, Shared]:
    """The type of the arrays, and the functions of the first kernel for any arrays."""
    names = {array.name for array in arrays}
    bodies = [_on_arrays(stem, function, functions, names) for function in functions]
    type_ = Shared(f"{stem}_arrays", render("c/repeated.h.j2", name=f"{stem}_arrays", arrays=arrays, users=users))
    return type_, Shared(f"{stem}_on", "\n\n".join(bodies))


def _on_arrays(stem: str, function: _Function, functions: Sequence[_Function], names: set[str]) -> str:
    """One function that finds its arrays in `tg_arrays`."""

    def declaration(place: re.Match[str]) -> str:
        if place["name"] not in names:
            return place[0]
        return f"    {place['type']}restrict {place['name']} = tg_arrays->{place['name']};\n"

    body = _PLACE.sub(declaration, function.body)
    for other in functions:
        body = re.sub(rf"\b{other.name}\(", f"{other.name}_on(tg_arrays, ", body)
    if not re.search(r"\bN\b", body.replace(_BATCH, "")):
        body = body.replace(_BATCH, "")
    unused = [name for name in ("tg_arrays", "s") if not re.search(rf"\b{name}\b", body)]
    body = "".join(f"    (void){name};\n" for name in unused) + body
    linkage = "static TG_ALONE" if function.parameters == _LAUNCHED else "static"
    head = f"{linkage} void {function.name}_on(const {stem}_arrays *tg_arrays, {function.parameters})"
    return f"{_NODES.sub('', function.before).lstrip()}{head}\n{{\n{body}}}"


def _calls(stem: str, own: Sequence[_Function], arrays: Sequence[_Array], at: int, functions: Sequence[_Function]) -> str:
    """The kernel `at` of those that the arrays tell apart: functions of its own that call the shared ones."""
    calls = []
    for function, target in zip(functions, own, strict=True):
        if function.parameters == _LAUNCHED:
            needed = _needed(target, own)
            fields = [(array.name, array.addresses[at]) for array in arrays if array.name in needed]
            uses_batch = any(re.search(r"\bN\b", address) for _, address in fields)
            calls.append({"name": function.name, "target": target.name, "fields": fields, "uses_batch": uses_batch})
    nodes = [found for function in functions for found in _NODES.findall(function.before)]
    return render("c/repeated_call.c.j2", nodes="".join(nodes), type=f"{stem}_arrays", calls=calls)


def _needed(function: _Function, functions: Sequence[_Function]) -> set[str]:
    """The arrays that a function declares, or that those declare which it calls."""
    called = [other for other in functions if re.search(rf"\b{other.name}\(", function.body)]
    return {place["name"] for place in function.places}.union(*(_needed(other, functions) for other in called))
