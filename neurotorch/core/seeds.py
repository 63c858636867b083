"""One seed for a run, and from it independent random streams by name.

The generator of a stream is seeded with SHA-256 of ``"<seed>/<stream>"``: adding a stream, or drawing more from one,
changes no other, and neighbouring seeds share nothing.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from neurotorch.core.checks import check_count


def torch_generator(seed: int, stream: str, *, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a new generator for the stream `stream` of the run with seed `seed`.

    Parameters
    ----------
    seed
        Seed of the run, a whole number of at least 0.
    stream
        What the numbers are for, such as ``"weights"`` or ``"windows"``. The same name gives the same numbers.
    device
        Where the generator lives. Another device gives other numbers.

    Notes
    -----
    The CPU generator of torch keeps 32 bits of its seed, so two given streams coincide with a chance of 1 in 4e9.
    """
    return torch.Generator(device).manual_seed(int.from_bytes(_digest(seed, stream)[:8], "little") >> 1)


def numpy_generator(seed: int, stream: str) -> np.random.Generator:
    """Return a new generator for the stream `stream` of the run with seed `seed`, with all 256 bits of the hash."""
    return np.random.default_rng(int.from_bytes(_digest(seed, stream), "little"))


def _digest(seed: int, stream: str) -> bytes:
    check_count("seed", seed, least=0)
    if not isinstance(stream, str) or not stream:
        raise TypeError(f"`stream` is {stream!r}, but it must be a name such as 'weights'.")
    return hashlib.sha256(f"{int(seed)}/{stream}".encode()).digest()
