"""What every reader returns: the named arrays of a file, loaded when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

Kind = Literal["numbers", "text", "other"]


class Entry(NamedTuple):
    """One array of a file.

    Parameters
    ----------
    shape : tuple of int
        As the program that wrote the file would show it.
    kind : "numbers", "text" or "other"
        Whether the values are real numbers, text, or anything else (objects, cells, structs).
    load : callable
        Reads the array; raises a ValueError that names the file if its bytes are damaged.
    """

    shape: tuple[int, ...]
    kind: Kind
    load: Callable[[], np.ndarray]


Contents = Mapping[str, Entry]


def entry(array: np.ndarray) -> Entry:
    """Return the entry of an array that is loaded already."""
    kinds: dict[str, Kind] = {**dict.fromkeys("fiub", "numbers"), **dict.fromkeys("UST", "text")}
    return Entry(array.shape, kinds.get(array.dtype.kind, "other"), lambda: array)


def listing(contents: Contents) -> str:
    """Return the names and shapes of all arrays as one text, the kind too where it is not numbers."""
    return ", ".join(
        f"{name!r} {item.shape}" + ("" if item.kind == "numbers" else f" ({item.kind})")
        for name, item in contents.items()
    )


def damaged(path: Path, what: str, error: BaseException) -> ValueError:
    """Return the error for a file that is not, or no longer, what its name says."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return ValueError(
        f"{path} cannot be read as {what}: it is truncated, damaged or of another format ({reason}). Copy or download "
        "it again, or give it the ending of its real format."
    )
