"""What a recording may hold: each function returns the checked, read-only value or raises one clear error."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from neurotorch.core.checks import check_positive, nearest
from neurotorch.data.dead import listed

SHORTEST_FRAME = 1e-6
LONGEST_FRAME = 3600.0


def numbers(name: str, values: Any) -> np.ndarray:
    """Return a float64 copy of `values`, or raise a TypeError if they are not real numbers."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"`{name}` has dtype {array.dtype}, but it must hold real numbers.")
    return array.astype(np.float64)


def checked_activity(values: Any) -> np.ndarray:
    """Return activity (time, neuron) as float64, or raise if its shape cannot be a recording."""
    activity = numbers("activity", values)
    if activity.ndim == 3:
        raise ValueError(
            f"`activity` has shape {activity.shape}, but it must be (time, neuron): put trials one after the other "
            "along time and pass their borders as `trials=((0, stop), ...)`."
        )
    if activity.ndim != 2:
        raise ValueError(
            f"`activity` has shape {activity.shape}, but it must be (time, neuron): for a single neuron pass "
            "`activity[:, None]`."
        )
    frames, neurons = activity.shape
    if neurons == 0:
        raise ValueError(f"`activity` has shape {activity.shape}, that is {frames} frames of zero neurons.")
    if frames < 2:
        raise ValueError(
            f"`activity` has shape {activity.shape}: {frames} frame{'' if frames == 1 else 's'} of {neurons} neurons, "
            "but a recording needs at least 2. Time is axis 0: transpose it if these are really frames."
        )
    return activity


def checked_dt(dt: float) -> float:
    """Return the frame duration in seconds, or raise if it is not positive or cannot be meant in seconds."""
    seconds = check_positive("dt", dt, "s")
    if not SHORTEST_FRAME <= seconds <= LONGEST_FRAME:
        raise ValueError(
            f"`dt` is {seconds:g} s, but a frame lasts {SHORTEST_FRAME:g} to {LONGEST_FRAME:g} s: `dt` is in seconds, "
            "not in milliseconds or hertz."
        )
    return seconds


def checked_missing(missing: Any, activity: np.ndarray) -> np.ndarray:
    """Return which frames are missing (time,): those marked, and those in which no neuron has a value."""
    marked = np.asarray(missing)
    empty = np.isnan(activity).all(axis=1)
    if marked.size:
        if marked.dtype != np.bool_ or marked.shape != (len(activity),):
            raise ValueError(
                f"`missing` has shape {marked.shape} and dtype {marked.dtype}, but it must hold one bool per frame: "
                f"shape ({len(activity)},)."
            )
        empty = empty | marked
    return empty


def check_some_valid(segments: tuple[tuple[int, int], ...], frames: int) -> None:
    """Raise if no frame lies inside a trial without being missing."""
    if not segments:
        raise ValueError(
            f"Of {frames} frames all are missing or outside every trial: a recording needs at least one that is not."
        )


def check_no_infinity(activity: np.ndarray, neurons: tuple[str, ...]) -> None:
    """Raise if a frame that is not missing holds an infinite value."""
    infinite = np.isinf(activity)
    if infinite.any():
        frame, neuron = (int(i) for i in np.argwhere(infinite)[0])
        names = tuple(neurons[i] for i in np.flatnonzero(infinite.any(axis=0)))
        raise ValueError(
            f"`activity` holds {int(infinite.sum())} infinite values, the first in frame {frame} of neuron "
            f"{neurons[neuron]!r} (in all: {listed(names)}). Set them to NaN and then choose `drop_dead()` or "
            "`mark_missing()`."
        )


def checked_names(names: Iterable[Any], neurons: int) -> tuple[str, ...]:
    """Return one distinct name per neuron, "0", "1", ... where none are given."""
    if isinstance(names, str):
        raise TypeError(f"`neurons` is the text {names!r}, but it must be a sequence with one name per neuron.")
    given = tuple(str(name) for name in names)
    if not given:
        return tuple(str(index) for index in range(neurons))
    if len(given) != neurons:
        raise ValueError(f"`neurons` holds {len(given)} names, but `activity` holds {neurons} neurons: give one each.")
    twice = tuple(name for name, count in Counter(given).items() if count > 1)
    if twice:
        raise ValueError(
            f"`neurons` holds names more than once: {listed(twice)}. Every neuron needs a name of its own."
        )
    return given


def checked_trials(trials: Sequence[Sequence[int]], frames: int) -> tuple[tuple[int, int], ...]:
    """Return trials as ordered half-open frame ranges, one over everything where none are given."""
    borders: list[tuple[int, int]] = []
    for trial in trials:
        try:
            start, stop = trial
            whole = int(start) == start and int(stop) == stop
        except (TypeError, ValueError):
            raise TypeError(f"`trials` holds {trial!r}, but each trial is a pair of frames (start, stop).") from None
        if not whole or not 0 <= start < stop <= frames:
            raise ValueError(
                f"Trial ({start}, {stop}) does not fit a recording of {frames} frames: trials are half-open ranges of "
                "whole frames with 0 <= start < stop <= frames."
            )
        if borders and start < borders[-1][1]:
            raise ValueError(
                f"Trial ({start}, {stop}) overlaps the one before, {borders[-1]}, or comes earlier: trials must be "
                "in order of time and share no frame."
            )
        borders.append((int(start), int(stop)))
    return tuple(borders) or ((0, frames),)


def checked_inputs(inputs: Any, missing: np.ndarray) -> np.ndarray | None:
    """Return inputs (time, channel) as float64, or raise if they do not go with the frames."""
    if inputs is None:
        return None
    array = numbers("inputs", inputs)
    frames = len(missing)
    if array.ndim != 2:
        raise ValueError(
            f"`inputs` has shape {array.shape}, but it must be (time, channel): for a single channel pass "
            "`inputs[:, None]`."
        )
    if len(array) != frames:
        raise ValueError(
            f"`inputs` has {len(array)} frames, but `activity` has {frames}: both need the same, time on axis 0."
        )
    bad = ~np.isfinite(array) & ~missing[:, None]
    if bad.any():
        frame, channel = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"`inputs` holds {int(bad.sum())} NaN or infinite values, the first in frame {frame} of channel {channel}, "
            "but an input must be known in every frame that is not missing."
        )
    return array


def check_kind(kind: str, kinds: tuple[str, ...]) -> None:
    """Raise if `kind` is not one of `kinds`."""
    if kind not in kinds:
        raise ValueError(f"`kind` is {kind!r}, but it must be one of {', '.join(kinds)}.{nearest(str(kind), kinds)}")


def whole_ratio(dt: float, frame: float) -> int:
    """Return how many frames of `frame` seconds make one of `dt` seconds, or raise if that is no whole number."""
    seconds = check_positive("dt", dt, "s")
    ratio = round(seconds / frame)
    if ratio < 1 or not math.isclose(seconds, ratio * frame, rel_tol=1e-6):
        below = max(1, math.floor(seconds / frame))
        raise ValueError(
            f"`dt` is {seconds:g} s, but frames of {frame:g} s can only be averaged by whole numbers: the nearest "
            f"possible are {below * frame:g} s and {(below + 1) * frame:g} s."
        )
    return ratio
