"""Files of the formats for classification, written as their specifications say and not with our code."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import h5py
import numpy as np

IDX_CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx_bytes(array: np.ndarray) -> bytes:
    """The bytes of an idx file."""
    header = struct.pack(">BBBB", 0, 0, IDX_CODES[array.dtype.str[1:]], array.ndim)
    header += struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_idx(path: Path, array: np.ndarray, *, compressed: bool = False) -> Path:
    """Write an idx file."""
    data = idx_bytes(array)
    path.write_bytes(gzip.compress(data, mtime=0) if compressed else data)
    return path


def write_spikes(
    path: Path, times: list, units: list, labels: list, *, speakers=None, keys=None, time_dtype: str = "float16"
) -> Path:
    """Write an HDF5 file in the layout of the Spiking Heidelberg Digits."""
    with h5py.File(path, "w") as file:
        for name, values, dtype in (("times", times, time_dtype), ("units", units, "uint16")):
            data = file.create_dataset(f"spikes/{name}", (len(values),), dtype=h5py.vlen_dtype(np.dtype(dtype)))
            for row, value in enumerate(values):
                data[row] = np.asarray(value, dtype=dtype)
        file["labels"] = np.asarray(labels, dtype="uint16")
        if speakers is not None:
            file["extra/speaker"] = np.asarray(speakers, dtype="uint16")
        if keys is not None:
            file["extra/keys"] = np.asarray(keys, dtype="S")
    return path
