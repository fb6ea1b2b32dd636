"""Integer arithmetic on C texts: joins operands with the brackets that they need and folds what is constant.

An operand is an int or the text of a C expression; the result is text without terms of 0 or factors of 1.
"""

from __future__ import annotations

import re

Operand = int | str

_LOOSE, _SUM, _PRODUCT, _ATOM = range(4)
_LAST_TERM = re.compile(r" ([+-]) (\d+)$")
_LAST_FACTOR = re.compile(r" \* (\d+)$")
_BRACKETS = re.compile(r"\([^()]*\)|\[[^][]*\]")


def _number(operand: Operand) -> int | None:
    if isinstance(operand, int):
        return operand
    return int(operand) if re.fullmatch(r"-?\d+", operand) else None


def _strength(text: str) -> int:
    """How tightly the loosest operator outside brackets binds."""
    bare = text
    while (next_bare := _BRACKETS.sub("", bare)) != bare:
        bare = next_bare
    if re.search(r"[?<>=&|]", bare):
        return _LOOSE
    if re.search(r" [+-] |^-", bare):
        return _SUM
    return _PRODUCT if re.search(r" [*/%] ", bare) else _ATOM


def _at(text: str, strength: int) -> str:
    return text if _strength(text) >= strength else f"({text})"


def plus(*terms: Operand) -> str:
    """The sum of all terms."""
    constant = 0
    texts: list[str] = []
    for term in terms:
        number = _number(term)
        if number is None:
            text = _at(str(term), _SUM)
            trailing = _LAST_TERM.search(text)
            if trailing:
                constant += int(trailing.group(1) + trailing.group(2))
                text = text[: trailing.start()]
            texts.append(text)
        else:
            constant += number
    if not texts:
        return str(constant)
    total = " + ".join(texts).replace("+ -", "- ")
    return total if constant == 0 else f"{total} {'+' if constant > 0 else '-'} {abs(constant)}"


def minus(a: Operand, b: Operand) -> str:
    """a - b"""
    number = _number(b)
    if number is not None:
        return plus(a, -number)
    return f"{plus(a)} - {_at(str(b), _PRODUCT)}" if _number(a) != 0 else f"-{_at(str(b), _PRODUCT)}"


def times(*factors: Operand) -> str:
    """The product of all factors."""
    constant = 1
    texts: list[str] = []
    for factor in factors:
        number = _number(factor)
        if number is None:
            last = _LAST_FACTOR.search(str(factor))
            if last and _strength(str(factor)) == _PRODUCT:
                constant *= int(last.group(1))
                factor = str(factor)[: last.start()]
            # a division may only come first: a * (b / c) is not a * b / c
            divides = re.search(r" [/%] ", str(factor)) is not None and bool(texts)
            texts.append(_at(str(factor), _ATOM if divides else _PRODUCT))
        else:
            constant *= number
    if constant == 0 or not texts:
        return str(constant)
    return " * ".join([*texts, str(constant)] if constant != 1 else texts)


def quotient(a: Operand, b: Operand) -> str:
    """a / b, both not negative."""
    divided, divisor = _number(a), _number(b)
    if divisor == 1 or divided == 0:
        return plus(a)
    if divided is not None and divisor is not None:
        return str(divided // divisor)
    return f"{_at(str(a), _PRODUCT)} / {_at(str(b), _ATOM)}"


def remainder(a: Operand, b: Operand) -> str:
    """a % b, both not negative."""
    divided, divisor = _number(a), _number(b)
    if divisor == 1 or divided == 0:
        return "0"
    if divided is not None and divisor is not None:
        return str(divided % divisor)
    return f"{_at(str(a), _PRODUCT)} % {_at(str(b), _ATOM)}"


def ceil_quotient(a: Operand, b: int) -> str:
    """a / b rounded up, for a that is not negative."""
    return quotient(plus(a, b - 1), b) if b != 1 else plus(a)


def smaller(a: Operand, b: Operand) -> str:
    """The smaller of the two (`tg_smaller` of templates/c/smaller.h.j2)."""
    first, second = _number(a), _number(b)
    return str(min(first, second)) if first is not None and second is not None else f"tg_smaller({a}, {b})"


def larger(a: Operand, b: Operand) -> str:
    """The larger of the two."""
    first, second = _number(a), _number(b)
    return str(max(first, second)) if first is not None and second is not None else f"tg_larger({a}, {b})"
