"""Digests of files and bytes, written as "md5:..." or "sha256:..."."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

CHUNK = 1 << 20


def hasher(digest: str) -> Any:
    """Return a fresh hash of the kind of `digest`."""
    return hashlib.new(digest.partition(":")[0], usedforsecurity=False)


def matches(hashed: Any, digest: str) -> bool:
    """Return whether what was hashed has this digest."""
    return bool(hashed.hexdigest() == digest.partition(":")[2])


def bytes_match(data: bytes, digest: str) -> bool:
    """Return whether `data` have this digest."""
    hashed = hasher(digest)
    hashed.update(data)
    return matches(hashed, digest)


def file_matches(path: Path, digest: str) -> bool:
    """Return whether the bytes of a file have this digest."""
    hashed = hasher(digest)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hashed.update(chunk)
    return matches(hashed, digest)
