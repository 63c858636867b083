"""What forecasts: the contract, the frames to forecast from, and the past that may be seen from there."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurotorch.data.recording import Recording

HORIZONS: Final = (1, 4, 8, 16)
"""Frames ahead at which every fit is scored, unless a user asks for others."""


class Forecaster(Protocol):
    """Anything that predicts the activity after a frame from the activity up to it."""

    def forecast(
        self, recording: Recording, origins: NDArray[np.intp], steps: int
    ) -> NDArray[np.float64]:  # pragma: no cover
        """Return ``(origin, step, neuron)``: from origin frame ``o``, the activity of ``o+1 .. o+steps``.

        It may use frames ``<= o`` of the segment of ``o`` and nothing else, in the unit of `recording`. The frames it
        predicts may lie beyond the end of the recording. A step it does not offer is NaN.
        """
        ...


def origins_between(recording: Recording, start: int, stop: int, *, horizon: int) -> NDArray[np.intp]:
    """Return every frame ``o >= start`` whose target ``o + horizon < stop`` lies in the same segment as ``o``."""
    pieces = [np.arange(max(first, start), min(last, stop) - horizon) for first, last in recording.segments()]
    return np.concatenate([np.empty(0, dtype=np.intp), *pieces]).astype(np.intp)


def segment_starts(recording: Recording, frames: ArrayLike) -> NDArray[np.intp]:
    """Return the first frame of the segment that holds each of `frames`.

    Raises
    ------
    ValueError
        If a frame lies in no segment: it is missing, or outside of the recording.
    """
    wanted = np.asarray(frames, dtype=np.intp)
    segments = np.asarray(recording.segments(), dtype=np.intp).reshape(-1, 2)
    index = np.searchsorted(segments[:, 0], wanted, side="right") - 1
    inside = (index >= 0) & (wanted < segments[index, 1]) if len(segments) else np.zeros(wanted.shape, dtype=bool)
    if not inside.all():
        raise ValueError(
            f"frame {int(wanted[~inside][0])} is missing or outside of the recording of {recording.frames} "
            "frames, and cannot be an origin: take origins from `origins_between(recording, start, stop, horizon=...)`."
        )
    return segments[index, 0]


def past(recording: Recording, origins: ArrayLike, *, lags: int, fill: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the last `lags` frames up to each origin, newest first, ``(origin, lag, neuron)``.

    Frames before the start of the origin's segment are unknown; they are filled with `fill` ``(neuron,)``, the
    training mean: to a linear model in deviations from that mean, a shortened history.
    """
    last = np.asarray(origins, dtype=np.intp)
    frames = last[:, None] - np.arange(lags)
    known = frames >= segment_starts(recording, last)[:, None]
    values = recording.activity[np.maximum(frames, 0)]
    if not known.all():
        values[~known] = fill
    return values


def check_causal(
    forecaster: Forecaster, recording: Recording, *, origins: ArrayLike, steps: int, tolerance: float = 1e-9
) -> None:
    """Raise if `forecaster` forecasts differently when the recording ends at the origin: it saw the future.

    Parameters
    ----------
    forecaster, recording
        What is under suspicion, and a recording that goes on after the origins.
    origins
        A few frames to try.
    steps
        Frames ahead.
    tolerance
        Largest allowed difference, relative to the largest forecast; above rounding for single precision: 1e-4.

    Raises
    ------
    ValueError
        Naming the first origin at which the two forecasts differ.
    """
    frames = np.asarray(origins, dtype=np.intp)
    whole = forecaster.forecast(recording, frames, steps)
    for origin, expected in zip(frames, whole, strict=True):
        alone = forecaster.forecast(recording.window(0, int(origin) + 1), np.asarray([origin], dtype=np.intp), steps)[0]
        scale = np.nanmax(np.abs(expected), initial=0.0)
        if not np.allclose(alone, expected, rtol=0, atol=tolerance * max(scale, 1e-300), equal_nan=True):
            raise ValueError(
                f"the forecast of {type(forecaster).__name__} from frame {int(origin)} changes by "
                f"{np.nanmax(np.abs(alone - expected)):.3g} when the frames after {int(origin)} are taken away: it "
                "looks at the future it should predict."
            )
