"""Classes of nested NamedTuples by the names of their fields: parameters and states of other libraries."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any

from neurotorch.core.checks import nearest


def is_tuple(kind: Any) -> bool:
    """Return whether `kind` is a class of NamedTuples."""
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


def paths(kind: Any, start: str = "") -> Iterator[str]:
    """Yield the names of the fields of a NamedTuple class, those within others as ``"outer/inner"``."""
    hints = typing.get_type_hints(kind)
    for field in kind._fields:
        if is_tuple(hints[field]):
            yield from paths(hints[field], f"{start}{field}/")
        else:
            yield f"{start}{field}"


def flatten(tree: Any, start: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of a NamedTuple under the names of `paths`."""
    for field, value in zip(tree._fields, tree, strict=True):
        if isinstance(value, tuple):
            yield from flatten(value, f"{start}{field}/")
        else:
            yield f"{start}{field}", value


def make(kind: Any, values: Mapping[str, Any], start: str = "") -> Any:
    """Return a NamedTuple of the class `kind` with `values` by the names of `paths`, and defaults for the rest."""
    hints, fields = typing.get_type_hints(kind), {}
    for field in kind._fields:
        if is_tuple(hints[field]):
            fields[field] = make(hints[field], values, f"{start}{field}/")
        elif start + field in values:
            fields[field] = values[start + field]
        elif field not in kind._field_defaults:
            raise ValueError(f"{kind.__name__} needs a value of {start + field!r}, for which there is no default.")
    return kind(**fields)


def check_names(function: str, given: Mapping[str, Any], kind: Any) -> None:
    """Raise if `given` has a name that is none of the fields of `kind`; `function` is named."""
    known = list(paths(kind))
    for name in given:
        if name not in known:
            raise ValueError(f"{function} has no {name!r}; there are {known}.{nearest(name, known)}")
