"""Safe storage: every write is atomic, tensors are safetensors, the rest is strict JSON, and nothing is ever pickled.

A process that is killed, or a disk that is full, leaves what was there before or what was to be written, never a part.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import math
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import safetensors
import safetensors.torch
import torch

PathLike: TypeAlias = str | os.PathLike[str]

STATE_FORMAT = "neurotorch-state-1"
_TEMPORARY = "writing"
_FULL_DISK = (errno.ENOSPC, errno.EDQUOT)

logger = logging.getLogger(__name__)


def write_atomically(path: PathLike, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to the disk and rename it to `path`.

    Parameters
    ----------
    path
        The file to write. Missing folders are made; a file that exists is replaced in one step.
    write
        Called with the path of the temporary file, which has the suffix of `path`.

    Raises
    ------
    OSError
        If anything could not be written; it names `path`. The temporary file is gone and what was there is unchanged.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.stem}.{secrets.token_hex(4)}.{_TEMPORARY}{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            fix = "Free space there" if error.errno in _FULL_DISK else "Check the folder and its permissions"
            reason = error.strerror or error
            text = f"Could not write ({reason}); what was there is unchanged. {fix}, or write elsewhere"
            raise OSError(error.errno, text, str(path)) from error
        raise
    _flush_folder(target.parent)


def save_tensors(path: PathLike, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write named tensors to a safetensors file, atomically.

    Views, transposes and tensors that share memory are stored by value, each on its own, without their gradients.
    """
    data = _serialize(tensors)
    write_atomically(path, lambda temporary: temporary.write_bytes(data))


def load_tensors(path: PathLike) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file, on the CPU."""
    return _deserialize(Path(path), Path(path).read_bytes())


def save_json(path: PathLike, value: Any, *, non_finite_as_null: bool = False) -> None:
    """Write `value` as strict JSON, atomically. Numpy scalars and arrays become numbers and lists.

    Parameters
    ----------
    path
        The file to write.
    value
        Nested mappings with string keys, sequences, None, bool, int, float, str, numpy scalars and arrays.
    non_finite_as_null
        JSON has no NaN and no infinity. By default they are an error that names their place; with True they are
        written as null (and are None when they are read back).
    """
    text = json.dumps(_plain(value, "value", non_finite_as_null), allow_nan=False, indent=2)
    write_atomically(path, lambda temporary: temporary.write_text(text + "\n", encoding="utf-8"))


def load_json(path: PathLike) -> Any:
    """Return the value of a strict JSON file."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except ValueError as error:
        raise ValueError(f"`{path}` is not a JSON file that can be read: {error}.") from error


def save_state(folder: PathLike, nested: Any) -> None:
    """Publish a nested state in `folder`, in one step.

    The tensors go to a file named by their content, ``state-<hash>.safetensors``; everything else goes to
    ``state.json``, which names that file. Replacing ``state.json`` is the one moment at which the old state becomes the
    new one; the tensors of the old state are removed afterwards. Killed at any moment, the folder holds one complete
    state.

    Parameters
    ----------
    folder
        Made if it is missing. Other files in it are left alone.
    nested
        Dicts (keys may be str, int, float, bool or None), lists, tuples, None, bool, int, float, str and tensors. All
        come back as they were, non-finite floats and integer keys included; mappings come back as dicts, parameters
        as tensors, and all tensors on the CPU.
    """
    folder = Path(folder)
    if has_state(folder):
        _state_document(folder)
    tensors: dict[str, torch.Tensor] = {}
    value = _encode(nested, "state", tensors)
    data = _serialize(tensors)
    digest = hashlib.sha256(data).hexdigest()
    name = f"state-{digest[:16]}.safetensors"
    try:
        write_atomically(folder / name, lambda temporary: temporary.write_bytes(data))
        save_json(folder / "state.json", {"format": STATE_FORMAT, "tensors": name, "sha256": digest, "value": value})
    finally:
        _sweep(folder)


def load_state(folder: PathLike) -> Any:
    """Return the state that `save_state` published in `folder`, checked against its hash."""
    folder = Path(folder)
    if not has_state(folder):
        raise FileNotFoundError(f"`{folder}` holds no saved state (no state.json): check the path of the folder.")
    document = _state_document(folder)
    path = folder / Path(document["tensors"]).name
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != document["sha256"]:
        raise ValueError(f"`{path}` is damaged: its SHA-256 is not the one that state.json names. Use another copy.")
    return _decode(document["value"], _deserialize(path, data))


def has_state(folder: PathLike) -> bool:
    """Tell whether `folder` holds a ``state.json``."""
    return (Path(folder) / "state.json").is_file()


def _state_document(folder: Path) -> dict[str, Any]:
    document = load_json(folder / "state.json")
    if not isinstance(document, dict) or document.get("format") != STATE_FORMAT:
        raise ValueError(
            f"`{folder / 'state.json'}` is not a state of this version ({STATE_FORMAT}): use another folder."
        )
    return document


def _sweep(folder: Path) -> None:
    """Remove the tensors that state.json does not name, and what killed writers left."""
    try:
        kept = _state_document(folder)["tensors"] if has_state(folder) else None
        leftovers = [path for path in folder.glob("state-*.safetensors") if path.name != kept]
        for path in [*leftovers, *folder.glob(f".state*.{_TEMPORARY}.*")]:
            path.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("could not remove old files in %s: %s", folder, error)


def _encode(value: Any, place: str, tensors: dict[str, torch.Tensor]) -> Any:
    """Turn a nested state into JSON with tagged objects; tensors are collected in `tensors`."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, torch.Tensor):
        key = f"{len(tensors)}:{place}"
        tensors[key] = value
        return {"$tensor": key}
    if isinstance(value, list):
        return [_encode(item, f"{place}/{i}", tensors) for i, item in enumerate(value)]
    if type(value) is tuple:
        return {"$tuple": [_encode(item, f"{place}/{i}", tensors) for i, item in enumerate(value)]}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: _encode(item, f"{place}/{key}", tensors) for key, item in value.items()}
        if all(key is None or isinstance(key, (bool, int, float, str)) for key in value):
            pairs = [[_encode(key, place, tensors), _encode(v, f"{place}/{key}", tensors)] for key, v in value.items()]
            return {"$dict": pairs}
    raise TypeError(
        f"`{place}` is a {type(value).__qualname__}, which a state cannot hold: give dicts with plain keys, lists, "
        "plain tuples, None, bool, int, float, str or tensors."
    )


def _decode(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"$float": text}:
            return float(text)
        case {"$tensor": key}:
            return tensors[key]
        case {"$tuple": items}:
            return tuple(_decode(item, tensors) for item in items)
        case {"$dict": pairs}:
            return {_decode(key, tensors): _decode(item, tensors) for key, item in pairs}
    return {key: _decode(item, tensors) for key, item in value.items()}


def _plain(value: Any, place: str, non_finite_as_null: bool) -> Any:
    """Turn `value` into what the json module writes as strict JSON, or raise naming the place of what is not."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        if non_finite_as_null:
            return None
        raise ValueError(f"`{place}` is {value}, which JSON cannot hold: replace it or pass `non_finite_as_null=True`.")
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{place}[{i}]", non_finite_as_null) for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"`{place}` has the key {key!r}, but JSON keys are strings: use {str(key)!r}.")
        return {key: _plain(item, f"{place}[{key!r}]", non_finite_as_null) for key, item in value.items()}
    kind = type(value).__qualname__
    raise TypeError(f"`{place}` is a {kind}, which JSON cannot hold: give numbers, texts, lists or mappings.")


def _refuse_constant(token: str) -> None:
    raise ValueError(f"it holds the token {token}, which is not JSON")


def _serialize(tensors: Mapping[str, torch.Tensor]) -> bytes:
    # A copy of each, because safetensors refuses views and shared memory.
    values = {}
    for name, tensor in tensors.items():
        if tensor.layout is not torch.strided or tensor.is_quantized:
            raise TypeError(f"tensor `{name}` is {tensor.layout}, but only dense tensors are stored: `.to_dense()`.")
        values[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format).resolve_conj().resolve_neg()
    try:
        return safetensors.torch.save(values)
    except KeyError as error:
        raise TypeError(f"safetensors cannot store the dtype {error}: convert the tensor first.") from error


def _deserialize(path: Path, data: bytes) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise ValueError(f"`{path}` is truncated or not a safetensors file ({error}): use another copy.") from error


def _flush_folder(folder: Path) -> None:
    """Make a rename in `folder` durable; only POSIX lets a folder be flushed."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
