"""Downloads that go on where they were cut off, are checked, and never leave a wrong file behind.

What has arrived stays beside the target in a hidden file that ends in ``.part`` until it is complete. Only what was
unpacked and has its digest gets the name of the target, by a rename.
"""

from __future__ import annotations

import gzip
import http.client
import logging
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, cast

from tqdm import tqdm

from neurotorch.core.storage import write_atomically
from neurotorch.data.digests import CHUNK, file_matches, hasher, matches

TIMEOUT = 30.0  # seconds without a byte
ATTEMPTS = 50  # each of which must bring something: some servers break off again and again
AGENT = "neurotorch"

logger = logging.getLogger(__name__)


def download(address: str, target: Path, *, digest: str | None = None, archive_digest: str | None = None) -> Path:
    """Fetch the file at `address`, unpack it if its name ends in ``.gz`` or ``.zip``, and return `target`.

    Parameters
    ----------
    address
        Where the file is, by http or https.
    target
        The name of the uncompressed file; missing folders are made.
    digest
        What the uncompressed bytes must have, such as "md5:...".
    archive_digest
        What the bytes at `address` must have.

    Raises
    ------
    OSError
        If the server cannot be reached, refuses, or breaks off again and again; what has arrived is kept for next time.
    ValueError
        If the file is damaged or has another digest; then nothing of it is kept.
    """
    part = target.with_name(f".{target.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    resumed = part.exists()
    _fetch(address, part)
    try:
        _publish(address, part, target, digest=digest, archive_digest=archive_digest)
    except ValueError:
        part.unlink()
        if not resumed:
            raise
        # What was left of an earlier download may have been of another version of the file.
        logger.info("what was left of an earlier download of %s does not fit: starting again", address)
        return download(address, target, digest=digest, archive_digest=archive_digest)
    part.unlink()
    return target


def _fetch(address: str, part: Path) -> None:
    for attempt in range(ATTEMPTS):
        before = part.stat().st_size if part.exists() else 0
        try:
            if _receive(address, part):
                return
            reason: Exception | str = "the connection ended early"
        except urllib.error.HTTPError as error:
            error.close()
            raise OSError(f"{address} cannot be had: the server answers {error.code} {error.reason}.") from error
        except (OSError, http.client.HTTPException) as error:
            reason = error
        after = part.stat().st_size if part.exists() else 0
        if after <= before or attempt + 1 == ATTEMPTS:
            kept = f" {after} bytes have arrived and are kept; the next try goes on from there." if after else ""
            raise OSError(f"{address} could not be fetched: {getattr(reason, 'reason', reason)}.{kept}") from (
                reason if isinstance(reason, Exception) else None
            )
        logger.info("%s broke off after %d bytes: going on", address, after)


def _receive(address: str, part: Path) -> bool:
    """Ask for what is missing and append it; return whether the file is complete."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"User-Agent": AGENT})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        error.close()
        if error.headers.get("Content-Range", "").rpartition("/")[2] == str(have):
            return True
        part.unlink()
        return _receive(address, part)
    with response:
        ranged = response.status == http.HTTPStatus.PARTIAL_CONTENT
        if ranged and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise OSError(f"asked for bytes from {have}, the server sent {response.headers.get('Content-Range')!r}")
        start = have if ranged else 0  # a server that knows no ranges sends all of it
        length = response.headers.get("Content-Length")
        total = None if length is None else start + int(length)
        _append(response, part, start, total)
    return total is None or part.stat().st_size >= total


def _append(response: Any, part: Path, start: int, total: int | None) -> None:
    name = part.name.removeprefix(".").removesuffix(".part")
    with (
        part.open("ab" if start else "wb") as file,
        # No bar where nobody watches.
        tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=name, disable=None) as bar,
    ):
        while chunk := response.read(CHUNK):
            file.write(chunk)
            bar.update(len(chunk))


def _publish(address: str, part: Path, target: Path, *, digest: str | None, archive_digest: str | None) -> None:
    if archive_digest is not None and not file_matches(part, archive_digest):
        raise _wrong(address, archive_digest)

    def write(temporary: Path) -> None:
        hashed = None if digest is None else hasher(digest)
        try:
            with _unpacker(address)(part, target.name) as source, temporary.open("wb") as file:
                while chunk := source.read(CHUNK):
                    file.write(chunk)
                    if hashed is not None:
                        hashed.update(chunk)
        except (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(
                f"What {address} sent cannot be unpacked ({error}): it was deleted. Try again, or get it "
                "from elsewhere."
            ) from error
        if digest is not None and not matches(hashed, digest):
            raise _wrong(address, digest)

    write_atomically(target, write)


def _wrong(address: str, digest: str) -> ValueError:
    return ValueError(
        f"What {address} sent does not have the digest {digest}: it was deleted. Try again, or get the file from "
        "elsewhere."
    )


def _unpacker(address: str) -> Callable[[Path, str], AbstractContextManager[IO[bytes]]]:
    if address.endswith(".gz"):
        return lambda path, _: cast(IO[bytes], gzip.open(path, "rb"))
    if address.endswith(".zip"):
        return _open_member
    return lambda path, _: path.open("rb")


def _open_member(path: Path, name: str) -> AbstractContextManager[IO[bytes]]:
    with zipfile.ZipFile(path) as archive:  # what is opened below keeps the file open
        members = [member for member in archive.namelist() if Path(member).name == name]
        if len(members) != 1:
            raise zipfile.BadZipFile(f"it holds {archive.namelist()} and not {name!r} once")
        return archive.open(members[0])
