"""What a file may say about itself, by the names of its fields.

Fields are looked for beside the activity and in every folder above it: for "session/dff" first "session/dff/dt" (an
attribute of the dataset), then "session/dt", then "dt".

- `dt`: seconds per frame. `frame_rate`, `sampling_rate`, `fs`: frames per second, in hertz.
- `time`, `time_s`, `t`: the time of each frame in seconds, in equal steps.
- `neurons`, `neuron`, `names`, `labels`: one distinct text per neuron.
- `axes`: the text "time,neuron" or "neuron,time".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from neurotorch.data.readers.contents import Contents

AXES = ("time,neuron", "neuron,time")
RATES = ("frame_rate", "sampling_rate", "fs")
TIMES = ("time", "time_s", "t")
NAMES = ("neurons", "neuron", "names", "labels")

# The longest over the shortest step: a real clock jitters (1.25 in the worm of Atanas & Kim 2023), and a missing frame
# makes it 2.
UNEVEN = 1.5
AGREEMENT = 0.01


def checked_axes(axes: str | Sequence[str]) -> str:
    """Return axes as "time,neuron" or "neuron,time", from a text or a pair of texts."""
    parts = axes.split(",") if isinstance(axes, str) else list(axes)
    text = ",".join(str(part).strip() for part in parts)
    if text not in AXES:
        raise ValueError(f"`axes` is {axes!r}, but it must be 'time,neuron' or 'neuron,time'.")
    return text


def axes_in_file(contents: Contents, key: str) -> str | None:
    """Return what a field `axes` says, or None."""
    for name in _found(contents, key, ("axes",)):
        if contents[name].kind == "text" and int(np.prod(contents[name].shape)) == 1:
            return checked_axes(_texts(contents[name].load())[0])
    return None


def dt_in_file(contents: Contents, key: str, axes: str) -> tuple[float, str] | None:
    """Return the frame duration that the file states, in seconds, and the name of the field, or None.

    Raises
    ------
    ValueError
        If two fields disagree, the times have unequal steps, or they belong to the other axis of the activity.
    """
    stated: list[tuple[float, str]] = []
    for name in _found(contents, key, ("dt", *RATES)):
        if contents[name].kind == "numbers" and int(np.prod(contents[name].shape)) == 1:
            value = float(contents[name].load().item())
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f"The field {name!r} is {value:g}, but it must be a finite number above 0.")
            stated.append((value if name.split("/")[-1] == "dt" else 1 / value, name))
    shape = contents[key].shape
    frames, neurons = shape if axes == "time,neuron" else shape[::-1]
    for name in _found(contents, key, TIMES):
        size = int(np.prod(contents[name].shape))
        if contents[name].kind == "numbers" and size == max(contents[name].shape, default=0):
            if size == frames:
                stated.append((_uniform_step(name, contents[name].load().ravel()), name))
            elif size == neurons:
                raise ValueError(
                    f"{name!r} holds {size} times, but with axes='{axes}' there are {frames} frames of {neurons} "
                    f"neurons: pass axes='{AXES[1 - AXES.index(axes)]}'."
                )
    for value, name in stated[1:]:
        if not np.isclose(value, stated[0][0], rtol=AGREEMENT, atol=0):
            raise ValueError(
                f"The file disagrees with itself: {stated[0][1]!r} means frames of {stated[0][0]:g} s, {name!r} of "
                f"{value:g} s. Correct it, or save the activity alone."
            )
    return stated[0] if stated else None


def names_in_file(contents: Contents, key: str, axes: str, neurons: int) -> tuple[tuple[str, ...], str] | None:
    """Return one distinct name per neuron and the name of the field that holds them, or None."""
    table = "column names" if axes == "time,neuron" else "row names"
    for field in _found(contents, key, (table, *NAMES)):
        item = contents[field]
        if item.kind == "text" and neurons == max(item.shape, default=0) == int(np.prod(item.shape)):
            names = _texts(item.load())
            if len(set(names)) == neurons:
                return names, field
    return None


def names_under(contents: Contents, field: str) -> tuple[str, ...]:
    """Return the texts or numbers of a field as names."""
    return _texts(contents[field].load())


def _found(contents: Contents, key: str, names: Sequence[str]) -> Iterator[str]:
    folders = key.split("/")
    for depth in range(len(folders), -1, -1):
        for name in names:
            path = "/".join((*folders[:depth], name))
            if path in contents and path != key:
                yield path


def _texts(array: np.ndarray) -> tuple[str, ...]:
    return tuple((item.decode() if isinstance(item, bytes) else str(item)).strip() for item in array.ravel().tolist())


def _uniform_step(name: str, times: np.ndarray) -> float:
    seconds = times.astype(np.float64)
    steps = np.diff(seconds)
    if not (len(steps) and np.isfinite(steps).all() and 0 < steps.max() < UNEVEN * steps.min()):
        raise ValueError(
            f"{name!r} holds {len(times)} times with steps from {steps.min(initial=np.inf):g} to "
            f"{steps.max(initial=-np.inf):g} s, but frames must follow each other in equal steps: put rows of NaN "
            "where frames are missing, or bring the recording to equal steps first."
        )
    return float((seconds[-1] - seconds[0]) / len(steps))
