"""`tf.einsum`: products of tensors that say with letters which dimensions are multiplied, summed and kept."""

from __future__ import annotations

import re
from typing import Any

from . import array, math
from .convert import convert_to_tensor
from .naming import scope_of
from .tensor import Tensor

__all__ = ["einsum"]

_EQUATION = re.compile(r"^([a-zA-Z]*(?:,[a-zA-Z]*)*)(?:->([a-zA-Z]*))?$")


def einsum(equation: str, *inputs: Any, **kwargs: Any) -> Tensor:
    """The sum over all letters that are not behind the arrow of the products of elements with equal letters.

    "ij,jk->ik" is the product of matrices. Without an arrow the letters that occur once are kept, in alphabetical order.
    Each product of two tensors is one (batched) product of matrices. ValueError for letters that do not fit the inputs, for
    letters that one input repeats, and for "...".
    """
    name = kwargs.pop("name", None)
    if kwargs:
        raise TypeError(f"invalid keyword arguments for this function: {', '.join(kwargs)}")
    match = _EQUATION.match(equation.replace(" ", ""))
    if match is None:
        raise ValueError(f"Indices have incorrect format: {equation}")
    terms = match.group(1).split(",")
    if len(terms) != len(inputs):
        raise ValueError(f"Got {len(inputs)} arguments for equation \"{equation}\", expecting {len(terms)}")
    kept = match.group(2)
    if kept is None:
        every = "".join(terms)
        kept = "".join(sorted(letter for letter in set(every) if every.count(letter) == 1))
    for letters in (*terms, kept):
        if len(set(letters)) != len(letters):
            raise ValueError(f"Subscript not supported: an axis appears more than once: {letters}")
    if not set(kept) <= set("".join(terms)):
        raise ValueError(f"Unknown output axes in {equation}")
    with scope_of(name, "einsum", *inputs):
        factors = [_Factor(convert_to_tensor(x), letters) for x, letters in zip(inputs, terms, strict=True)]
        found = factors[0]
        for position, other in enumerate(factors[1:], 1):
            later = set(kept).union(*(factor.letters for factor in factors[position + 1 :]))
            found = _product(found.summed(later | set(other.letters)), other.summed(later | set(found.letters)), later)
        return found.summed(set(kept)).in_order(kept).tensor


class _Factor:
    """A tensor with a letter for each dimension. ValueError if there are not as many."""

    def __init__(self, tensor: Tensor, letters: str) -> None:
        if tensor.shape.ndims not in (len(letters), None):
            raise ValueError(f"Invalid equation: {tensor.name} has rank {tensor.shape.ndims}, its letters are {letters!r}")
        self.tensor, self.letters = tensor, letters
        known = tensor.shape.as_list() if tensor.shape.ndims is not None else [None] * len(letters)
        self._known = dict(zip(letters, known, strict=True))

    def size(self, letter: str) -> Any:
        """An int, or a scalar tensor where that is known only in a run."""
        known = self._known[letter]
        return array.shape(self.tensor)[self.letters.index(letter)] if known is None else known

    def summed(self, wanted: set[str]) -> _Factor:
        """The sum over all letters that are not wanted."""
        over = [i for i, letter in enumerate(self.letters) if letter not in wanted]
        if not over:
            return self
        return _Factor(math.reduce_sum(self.tensor, over), "".join(letter for letter in self.letters if letter in wanted))

    def in_order(self, letters: str) -> _Factor:
        if letters == self.letters:
            return self
        return _Factor(array.transpose(self.tensor, [self.letters.index(letter) for letter in letters]), letters)


def _product(one: _Factor, other: _Factor, later: set[str]) -> _Factor:
    """The product of two factors, summed over the letters of both that nobody needs later."""
    shared = [letter for letter in one.letters if letter in other.letters]
    batch = [letter for letter in shared if letter in later]
    summed = [letter for letter in shared if letter not in later]
    rows = [letter for letter in one.letters if letter not in shared]
    columns = [letter for letter in other.letters if letter not in shared]
    left = _as_matrices(one, batch, rows, summed)
    right = _as_matrices(other, batch, summed, columns)
    sizes = [*(one.size(letter) for letter in (*batch, *rows)), *(other.size(letter) for letter in columns)]
    product = math.matmul(left, right)
    return _Factor(array.reshape(product, array.stack(sizes) if sizes else []), "".join([*batch, *rows, *columns]))


def _as_matrices(factor: _Factor, batch: list[str], rows: list[str], columns: list[str]) -> Tensor:
    """[batch..., rows, columns], each of the last two the product of its letters."""
    turned = factor.in_order("".join([*batch, *rows, *columns])).tensor
    if len(rows) == 1 and len(columns) == 1:
        return turned
    sizes = [*(factor.size(letter) for letter in batch), _count(factor, rows), _count(factor, columns)]
    return array.reshape(turned, array.stack(sizes))


def _count(factor: _Factor, letters: list[str]) -> Any:
    total: Any = 1
    for letter in letters:
        total = total * factor.size(letter)
    return total
