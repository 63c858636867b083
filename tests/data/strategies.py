"""Recordings with every awkwardness at once: several trials, gaps between them, missing frames, inputs or none."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from neurotorch.data import Recording


@st.composite
def recordings(draw, *, most_frames=40):
    """A recording whose value is its frame number plus a hundred times its neuron number."""
    frames = draw(st.integers(2, most_frames))
    neurons = draw(st.integers(1, 4))
    borders = sorted(draw(st.sets(st.integers(0, frames), min_size=2, max_size=8)))
    borders = borders[: len(borders) // 2 * 2]
    trials = tuple(zip(borders[::2], borders[1::2], strict=True))
    inside = [frame for start, stop in trials for frame in range(start, stop)]
    kept = draw(st.sampled_from(inside))  # at least one frame is valid
    missing = np.zeros(frames, dtype=bool)
    missing[sorted(draw(st.sets(st.integers(0, frames - 1), max_size=frames // 2)) - {kept})] = True
    activity = np.arange(frames)[:, None] + 100.0 * np.arange(neurons)[None, :]
    inputs = draw(st.sampled_from([None, np.arange(frames)[:, None] * 2.0]))
    return Recording(activity, 0.5, trials=trials, missing=missing, inputs=inputs)


def frame_numbers(recording):
    """The original frame numbers that a part of such a recording still holds; -1 where missing."""
    return np.where(recording.missing, -1, np.nan_to_num(recording.activity[:, 0])).astype(int)
