"""Nested tuples of tensors: what states and coefficients are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor


def leaves(tree: Any) -> list[Tensor]:
    """Return the tensors of `tree`, depth first. What is neither tensor nor tuple is an option and has no leaves."""
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, tuple):
        return [leaf for branch in tree for leaf in leaves(branch)]
    return []


def rebuild(tree: Any, tensors: Sequence[Tensor]) -> Any:
    """Return `tree` with its tensors replaced by `tensors`, in the order of `leaves`."""
    return _take(tree, iter(tensors))


def transform(tree: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Return `tree` with `function` applied to every tensor."""
    return rebuild(tree, [function(leaf) for leaf in leaves(tree)])


def _take(tree: Any, tensors: Iterator[Tensor]) -> Any:
    if isinstance(tree, Tensor):
        return next(tensors)
    if isinstance(tree, tuple):
        branches = [_take(branch, tensors) for branch in tree]
        return type(tree)(*branches) if hasattr(tree, "_fields") else tuple(branches)
    return tree


def combine(function: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    """Return `function` of every pair of leaves of two trees of one form; symbols that stand for tensors are leaves."""
    if not isinstance(one, tuple):
        return function(one, other)
    branches = [combine(function, *pair) for pair in zip(one, other, strict=True)]
    return type(one)(*branches) if hasattr(one, "_fields") else tuple(branches)
