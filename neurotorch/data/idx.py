"""Reads idx, the format of MNIST: one array of numbers behind a header with its type and shape, gzipped or not.

The file holds two zero bytes, a byte for the type, a byte for the number of axes, one big-endian 32-bit whole number
for each axis, and the values, big-endian, last axis fastest (LeCun, Cortes & Burges, yann.lecun.com/exdb/mnist).
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from neurotorch.data.readers.contents import damaged

WHAT = "an idx file"
GZIP = b"\x1f\x8b"
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Return the array of an idx file, in the byte order of this machine.

    Parameters
    ----------
    path
        The file; that it is gzipped is seen from its first bytes, not from its name.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is truncated or damaged, no idx file, or longer or shorter than its header says.
    """
    return parse_idx(read_unpacked(path), Path(path))


def read_unpacked(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a file, decompressed if they are gzipped.

    Raises
    ------
    ValueError
        If the compressed bytes are truncated or damaged.
    """
    stored = Path(path).read_bytes()
    if not stored.startswith(GZIP):
        return stored
    try:
        return gzip.decompress(stored)
    except (EOFError, OSError, zlib.error) as error:
        raise damaged(Path(path), "gzip", error) from error


def parse_idx(data: bytes, path: Path) -> np.ndarray:
    """Return the array in the uncompressed bytes `data` of the file `path`, which errors name."""
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in TYPES:
        raise damaged(path, WHAT, ValueError(f"it begins with {data[:4].hex(' ') or 'nothing'}"))
    axes, dtype = data[3], np.dtype(TYPES[data[2]])
    start = 4 + 4 * axes
    if len(data) < start:
        raise damaged(path, WHAT, ValueError(f"its header announces {axes} axes and ends before them"))
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", axes, 4))
    announced, there = math.prod(shape) * dtype.itemsize, len(data) - start
    if announced != there:
        raise ValueError(
            f"The header of {path} announces values of shape {shape}, that is {announced} bytes, but {there} bytes "
            "follow it: the file is truncated, or its header is wrong. Download it again."
        )
    try:
        return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
    except ValueError as error:  # more axes than numpy knows, or axes of no length beside immense ones
        raise damaged(path, WHAT, error) from error
