"""Reads `.npz`: the arrays under the names they were saved with. Never through pickle."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from neurotorch.data.readers.contents import Contents, Entry, damaged, entry
from neurotorch.data.readers.npy import FAILURES

WHAT = "a NumPy archive (.npz)"


def read_npz(path: Path) -> Contents:
    """Return the arrays of a `.npz` file; one that holds Python objects is listed and cannot be loaded.

    Raises
    ------
    ValueError
        If the file is truncated or damaged.
    """
    if not zipfile.is_zipfile(path):
        raise damaged(path, WHAT, ValueError("no zip directory at its end"))
    contents: dict[str, Entry] = {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            for name in archive.files:
                contents[name] = _member(path, archive, name)
    except (*FAILURES, NotImplementedError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise damaged(path, WHAT, error) from error
    return contents


def _member(path: Path, archive: np.lib.npyio.NpzFile, name: str) -> Entry:
    try:
        return entry(np.asarray(archive[name]))
    except ValueError as error:
        if "Object arrays" not in str(error):
            raise

    def refuse() -> np.ndarray:
        raise ValueError(f"{name!r} in {path} holds Python objects, which only pickle can read: save plain numbers.")

    return Entry((), "other", refuse)
