"""Reads MATLAB `.mat`, old (up to v7) and v7.3 (HDF5): variables as MATLAB shows them, that is rows first.

A truncated or foreign file is one clear error. Bytes changed inside an uncompressed old file can crash scipy's parser:
compare checksums of what was downloaded.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from neurotorch.data.readers.contents import Contents, Entry, Kind, damaged
from neurotorch.data.readers.hdf5 import FAILURES

WHAT = "a MATLAB file (.mat)"
NUMERIC = ("double", "single", "logical", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))


def read_mat(path: Path) -> Contents:
    """Return the variables of a MATLAB file; those inside structs of a v7.3 file are named "struct/field".

    Raises
    ------
    ValueError
        If the file is truncated or damaged.
    """
    import h5py

    return _read_v73(path) if h5py.is_hdf5(path) else _read_old(path)


def _read_old(path: Path) -> Contents:
    from scipy.io import whosmat
    from scipy.io.matlab import MatReadError

    # What the parser meets in damaged bytes.
    failures = (*FAILURES, EOFError, NotImplementedError, struct.error, zlib.error, MatReadError)
    try:
        variables = whosmat(str(path))
    except failures as error:
        raise damaged(path, WHAT, error) from error

    def variable(name: str, shape: tuple[int, ...], kind: str) -> Entry:
        def load() -> np.ndarray:
            from scipy.io import loadmat

            try:
                array = np.asarray(loadmat(str(path), variable_names=[name])[name])
            except failures as error:
                raise damaged(path, WHAT, error) from error
            return array if kind != "cell" else _cell_texts(path, name, array)

        read_as: Kind = "numbers" if kind in NUMERIC else "text" if kind == "char" else "other"
        return Entry(tuple(shape), read_as, load)

    return {name: variable(name, shape, kind) for name, shape, kind in variables}


def _cell_texts(path: Path, name: str, cells: np.ndarray) -> np.ndarray:
    texts = [np.ravel(cell) for cell in cells.ravel()]
    if any(text.dtype.kind != "U" or text.size > 1 for text in texts):
        raise ValueError(f"{name!r} in {path} is a cell array of more than texts: store numbers as a matrix.")
    return np.array([str(text[0]) if text.size else "" for text in texts])


def _read_v73(path: Path) -> Contents:
    import h5py

    contents: dict[str, Entry] = {}

    def visit(name: Any, item: Any) -> None:
        if not isinstance(name, str):
            raise ValueError(f"the name {name!r} is no text")
        if isinstance(item, h5py.Dataset) and not name.startswith("#"):
            contents[name] = _v73_variable(path, name, item)

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except FAILURES as error:
        raise damaged(path, WHAT, error) from error
    return contents


def _v73_variable(path: Path, name: str, dataset: Any) -> Entry:
    import h5py

    stored = dataset.attrs.get("MATLAB_class", b"double")
    kind = stored.decode() if isinstance(stored, bytes) else str(stored)

    def load() -> np.ndarray:
        try:
            with h5py.File(path, "r") as file:
                # MATLAB writes columns first, HDF5 reads rows first: the axes come out in reverse order.
                array = np.asarray(file[name][()]).T
        except FAILURES as error:
            raise damaged(path, WHAT, error) from error
        return np.array(["".join(map(chr, row)) for row in array]) if kind == "char" else array

    numeric = kind in NUMERIC and dataset.dtype.kind in "fiub"
    read_as: Kind = "numbers" if numeric else "text" if kind == "char" else "other"
    return Entry(tuple(reversed(dataset.shape or ())), read_as, load)
