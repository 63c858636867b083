"""A recording as a pair of tensors and JSON, for run folders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from neurotorch.data import Recording


def recording_tensors(recording: Recording) -> dict[str, torch.Tensor]:
    """Return the arrays of a recording as tensors."""
    tensors = {
        "activity": torch.from_numpy(recording.activity.copy()),
        "missing": torch.from_numpy(recording.missing.copy()),
    }
    if recording.inputs is not None:
        tensors["inputs"] = torch.from_numpy(recording.inputs.copy())
    return tensors


def recording_json(recording: Recording) -> dict[str, Any]:
    """Return everything else that a recording holds."""
    return {
        "dt": recording.dt,
        "neurons": list(recording.neurons),
        "trials": [list(trial) for trial in recording.trials],
        "kind": recording.kind,
        "provenance": _plain(recording.provenance),
    }


def stored_recording(tensors: Mapping[str, torch.Tensor], described: Mapping[str, Any]) -> Recording:
    """Return the recording that was taken apart."""
    return Recording(
        tensors["activity"].numpy(),
        described["dt"],
        neurons=tuple(described["neurons"]),
        trials=tuple((int(start), int(stop)) for start, stop in described["trials"]),
        inputs=tensors["inputs"].numpy() if "inputs" in tensors else None,
        kind=described["kind"],
        missing=tensors["missing"].numpy(),
        provenance=described["provenance"],
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
