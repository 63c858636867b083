"""Data sets for classification by name: found on this machine or downloaded, checked, and opened.

A file is looked for

1. in the `folder` that is handed in,
2. in the subfolder of the card in the folder that the environment variable ``NEUROTORCH_DATA`` names,
3. in the cache, ``$XDG_CACHE_HOME/neurotorch/data`` (``~/.cache`` unless set),

and otherwise downloaded into the cache. Where a digest is known, it is checked whenever a file is opened: a damaged
file in the cache is deleted, one elsewhere is named and left alone.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Literal, overload

from neurotorch.core.checks import nearest
from neurotorch.data.cards import CARDS, Card, DataFile
from neurotorch.data.digests import bytes_match, file_matches
from neurotorch.data.download import download
from neurotorch.data.idx import read_unpacked
from neurotorch.data.images import Images, images_from
from neurotorch.data.labels import Part
from neurotorch.data.sequences import Sequences, read_braille
from neurotorch.data.spike_trains import SpikeTrains, read_spike_trains

VARIABLE = "NEUROTORCH_DATA"
# The Braille letters have no official parts: of the 50 repetitions of each letter every fifth is for testing.
BRAILLE_TEST = 5

PathLike = str | os.PathLike[str]


def names() -> tuple[str, ...]:
    """Return the names of the data sets."""
    return tuple(card.name for card in CARDS)


def card(name: str) -> Card:
    """Return what is known of a data set: official address, digests, licence, citation, files.

    Raises
    ------
    ValueError
        If there is no data set of this name.
    """
    for each in CARDS:
        if each.name == name:
            return each
    raise ValueError(
        f"There is no data set {name!r}.{nearest(name, names())} There are {', '.join(map(repr, names()))}."
    )


@overload
def open(name: Literal["mnist", "fashion-mnist"], part: Part, *, folder: PathLike | None = None) -> Images: ...


@overload
def open(
    name: Literal["heidelberg", "speech-commands", "spoken-digits"], part: Part, *, folder: PathLike | None = None
) -> SpikeTrains: ...


@overload
def open(name: Literal["braille"], part: Part, *, folder: PathLike | None = None) -> Sequences: ...


@overload
def open(name: str, part: Part, *, folder: PathLike | None = None) -> Images | SpikeTrains | Sequences: ...


def open(name: str, part: Part, *, folder: PathLike | None = None) -> Images | SpikeTrains | Sequences:
    """Return a part of a data set, downloaded if it is not on this machine.

    Parameters
    ----------
    name
        One of `names`.
    part
        "train" or "test"; of the Spiking Speech Commands also "validation". Score the test part once, at the end: what
        comes back says ``part="test"``, and splits and training refuse it.
    folder
        Where the files are; nowhere else is then looked.

    Raises
    ------
    ValueError
        If there is no such data set or part, or a file is damaged or has another digest.
    FileNotFoundError
        If a file is not on this machine and cannot be downloaded; the text says where to put it.
    """
    about = card(name)
    if part not in about.parts:
        raise ValueError(f"{about.title} has no part {part!r}, but {' and '.join(map(repr, about.parts))}.")
    files = about.of(part)
    paths = [locate(about, file, folder=folder) for file in files]
    if about.kind == "images":
        data = [(path, _checked_bytes(path, file)) for path, file in zip(paths, files, strict=True)]
        return replace(images_from(*data, classes=about.classes, name=name), part=part)
    for path, file in zip(paths, files, strict=True):
        if file.digest is not None and not file_matches(path, file.digest):
            raise _damaged(path, file)
    if about.kind == "spike trains":
        return read_spike_trains(paths[0], classes=about.classes, name=name, part=part)
    letters = read_braille(paths[0])
    assert letters.groups is not None  # their repetition
    held = letters.groups % BRAILLE_TEST == BRAILLE_TEST - 1
    return replace(letters.select(held if part == "test" else ~held), name=name, part=part)


def locate(about: Card, file: DataFile, *, folder: PathLike | None = None) -> Path:
    """Return the path of a file of a data set on this machine, after a download if need be.

    Raises
    ------
    FileNotFoundError
        If it is not there and cannot be downloaded; the text says where to put it.
    ValueError
        If what was downloaded is damaged.
    """
    endings = ("", ".gz") if about.kind == "images" else ("",)
    if folder is not None:
        places = [Path(folder)]
    else:
        local = os.environ.get(VARIABLE)
        places = [*([Path(local) / about.folder] if local else []), cache_folder() / about.folder]
    for place in places:
        for ending in endings:
            path = place / f"{file.name}{ending}"
            if path.is_file():
                return path
    if folder is not None:
        raise FileNotFoundError(
            f"There is no {file.name} in {folder}, which was handed in as `folder`. Leave `folder` out to have it "
            "looked for elsewhere, and downloaded."
        )
    advice = (
        f"Put it at {Path(about.folder) / file.name} in a folder that the environment variable {VARIABLE} names"
        f"{'' if os.environ.get(VARIABLE) else ' (it is not set)'}, or at {places[-1] / file.name}. {about.title}: "
        f"{about.address}"
    )
    if file.address is None:
        raise FileNotFoundError(f"{file.name} is not on this machine and cannot be downloaded. {advice}")
    try:
        return download(file.address, places[-1] / file.name, digest=file.digest, archive_digest=file.archive_digest)
    except OSError as error:
        raise FileNotFoundError(f"{file.name} is not on this machine. {error} {advice}") from error


def cache_folder() -> Path:
    """Return the folder that downloads go to."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "neurotorch" / "data"


def _checked_bytes(path: Path, file: DataFile) -> bytes:
    try:
        data = read_unpacked(path)
    except ValueError:
        _delete_cached(path)
        raise
    if file.digest is not None and not bytes_match(data, file.digest):
        raise _damaged(path, file)
    return data


def _damaged(path: Path, file: DataFile) -> ValueError:
    fate = (
        "it was deleted from the cache and will be downloaded again"
        if _delete_cached(path)
        else "copy or download it again, or read another file with `read_images` or `read_spike_trains`"
    )
    return ValueError(f"{path} is damaged or another file: it does not have the digest {file.digest}; {fate}.")


def _delete_cached(path: Path) -> bool:
    """Delete a file if it is in the cache."""
    cached = path.resolve().is_relative_to(cache_folder().resolve())
    if cached:
        path.unlink()
    return cached
