"""Reads HDF5: datasets under their full names ("group/dataset"), attributes beside them ("group/dataset/fs")."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neurotorch.data.readers.contents import Contents, Entry, Kind, damaged, entry

WHAT = "an HDF5 file"

# What h5py raises on damaged bytes, depending on where the damage is.
FAILURES = (OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError, OverflowError, MemoryError)


def read_hdf5(path: Path) -> Contents:
    """Return the datasets of an HDF5 file, loaded when asked for, and the attributes of its groups and datasets.

    Raises
    ------
    ValueError
        If the file is truncated or damaged.
    """
    import h5py

    contents: dict[str, Entry] = {}

    def visit(name: Any, item: Any) -> None:
        if not isinstance(name, str):
            raise ValueError(f"the name {name!r} is no text")
        if isinstance(item, h5py.Dataset):
            contents[name] = _dataset(path, name, item)
        for attribute in item.attrs:
            value = np.asarray(item.attrs[attribute])
            contents[f"{name}/{attribute}".lstrip("/")] = entry(value.astype(str) if value.dtype.kind == "O" else value)

    try:
        with h5py.File(path, "r") as file:
            visit("", file)
            file.visititems(visit)
    except FAILURES as error:
        raise damaged(path, WHAT, error) from error
    return contents


def _dataset(path: Path, name: str, dataset: Any) -> Entry:
    import h5py

    text = h5py.check_string_dtype(dataset.dtype) is not None

    def load() -> np.ndarray:
        try:
            with h5py.File(path, "r") as file:
                return np.asarray(file[name].asstr()[()] if text else file[name][()])
        except FAILURES as error:
            raise damaged(path, WHAT, error) from error

    kind: Kind = "text" if text else "numbers" if dataset.dtype.kind in "fiub" else "other"
    return Entry(tuple(dataset.shape or ()), kind, load)
