"""Ops that exist only inside the compiler: feeds and variable reads."""

from __future__ import annotations

from typing import Any

from ..dtypes import ALL
from ..opdef import REQUIRED, Call, pointwise, primitive


@primitive("_Feed", "-> output: dtype", "feed", lambda call: [call.attr("dims")], effect="feed",
           dtype=ALL, dims=REQUIRED, index=REQUIRED)  # fmt: skip
def feed(call: Call) -> Any:
    """The array fed at position `index`."""
    raise LookupError("a feed has no value before a run")


@primitive("_Read", "ref: Ref(T) -> output: T", "read", lambda call: [call.shape("ref")], T=ALL, version=REQUIRED)
def read(call: Call, ref: Any) -> Any:
    """A variable's value after `version` writes of this run."""
    return ref


@pointwise("_Copy", "x: T -> y: T", T=ALL)
def copy(m: Any, x: Any) -> Any:
    """x, in memory of its own"""
    return x


@pointwise("_Snapshot", "x: T -> y: T", T=ALL)
def snapshot(m: Any, x: Any) -> Any:
    """A variable's value kept for readers that come after the next write"""
    return x
