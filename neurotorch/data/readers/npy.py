"""Reads `.npy`: one array, called "array". Never through pickle."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError

import numpy as np

from neurotorch.data.readers.contents import Contents, damaged, entry

# What numpy raises on damaged bytes: its header is a Python literal, so even errors of Python's own parser.
FAILURES = (
    ValueError, TypeError, KeyError, IndexError, EOFError, OSError, OverflowError, MemoryError, RecursionError,
    SyntaxError, TokenError,
)  # fmt: skip


def read_npy(path: Path) -> Contents:
    """Return the array of a `.npy` file.

    Raises
    ------
    ValueError
        If the file is truncated or damaged, or holds Python objects, which only pickle could read.
    """
    try:
        with path.open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except FAILURES as error:
        if "Object arrays" in str(error):
            raise ValueError(
                f"{path} holds Python objects, which only pickle can read, and pickle can run any code: save a plain "
                "array of numbers instead, for example `np.save(path, array.astype(float))`."
            ) from None
        raise damaged(path, "a NumPy array (.npy)", error) from error
    return {"array": entry(array)}
