"""Texts of several instruction sets as one: what is equal in all of them once, the rest between `#if` and `#endif`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import networkx

from .isas import Isa

Parts = Mapping[str, str]
"""Texts by name; those of one name stand in each other's place."""


def merged(parts: Mapping[str, Parts], isas: Sequence[Isa]) -> str:
    """The parts of all instruction sets (by their names), each set's in its own order, with blank lines between."""
    names = _common_order([list(parts[isa.name]) for isa in isas])
    if names is None:  # the sets disagree about the order: each has a section of its own
        parts = {isa.name: {"": "\n\n".join(text.strip("\n") for text in parts[isa.name].values())} for isa in isas}
        names = [""]
    pieces: list[tuple[tuple[tuple[str, ...], ...], list[list[str]]]] = []
    for name in names:
        by_text: dict[str, list[str]] = {}
        for isa in isas:
            if name in parts[isa.name]:
                by_text.setdefault(parts[isa.name][name], []).append(isa.name)
        who = tuple(map(tuple, by_text.values()))
        if not pieces or pieces[-1][0] != who:
            pieces.append((who, [[] for _ in who]))
        for texts, text in zip(pieces[-1][1], by_text, strict=True):
            texts.append(text.strip("\n"))
    return "\n\n".join(_piece(who, texts, isas) for who, texts in pieces)


def _common_order(sequences: Sequence[Sequence[str]]) -> list[str] | None:
    """All names in an order that keeps that of every sequence; None if there is none."""
    first_seen: dict[str, int] = {}
    graph = networkx.DiGraph()
    for sequence in sequences:
        for name in sequence:
            first_seen.setdefault(name, len(first_seen))
        networkx.add_path(graph, sequence)
    try:
        return list(networkx.lexicographical_topological_sort(graph, key=first_seen.__getitem__))
    except networkx.NetworkXUnfeasible:
        return None


def _piece(who: tuple[tuple[str, ...], ...], texts: Sequence[Sequence[str]], isas: Sequence[Isa]) -> str:
    joined = ["\n\n".join(group) for group in texts]
    everybody = sum(len(names) for names in who) == len(isas)
    if everybody and len(who) == 1:
        return joined[0]
    lines = []
    for i, (names, text) in enumerate(zip(who, joined, strict=True)):
        is_last = everybody and i == len(who) - 1
        condition = " || ".join(f"defined(TG_FOR_{name.upper()})" for name in names)
        lines.append(f"#else /* {', '.join(names)} */" if is_last else f"#{'if' if i == 0 else 'elif'} {condition}")
        lines += ["", text, ""]
    return "\n".join([*lines, "#endif"])
