"""Pure functions on arrays whose first axis is time: what `Recording` is made of."""

from __future__ import annotations

import math

import numpy as np

# Beyond four standard deviations a Gaussian kernel holds less than 1e-4 of its mass.
KERNEL_RADIUS = 4.0

# Relative to a neuron's largest value: below this, differences between frames are rounding and not activity.
CONSTANT_TOLERANCE = 1e-12


def runs(trials: tuple[tuple[int, int], ...], missing: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Return the longest runs of frames that cross no trial border and no missing frame.

    Parameters
    ----------
    trials : tuple of (start, stop)
        Half-open frame ranges.
    missing : ndarray of bool, (time,)
        Frames that were not recorded.

    Returns
    -------
    tuple of (start, stop)
        Half-open frame ranges, in order of time.
    """
    found: list[tuple[int, int]] = []
    for start, stop in trials:
        present = np.concatenate(([False], ~missing[start:stop], [False]))
        borders = np.flatnonzero(present[1:] != present[:-1]) + start
        found += [(int(first), int(last)) for first, last in borders.reshape(-1, 2)]
    return tuple(found)


def clipped(trials: tuple[tuple[int, int], ...], start: int, stop: int) -> tuple[tuple[int, int], ...]:
    """Return the parts of `trials` inside frames `start` to `stop`, counted from `start`; those outside are gone."""
    return tuple(
        (max(first, start) - start, min(last, stop) - start)
        for first, last in trials
        if max(first, start) < min(last, stop)
    )


def gaussian_smooth(activity: np.ndarray, sigma_frames: float, *, causal: bool) -> np.ndarray:
    """Smooth along time with a Gaussian that is normalised at the borders.

    ``y[t] = sum_k w[k] x[t - k] / sum_k w[k]`` with ``w[k] = exp(-k^2 / (2 sigma^2))``, over the lags `k` whose frame
    ``t - k`` exists: ``k = 0 .. 4 sigma`` if causal, ``k = -4 sigma .. 4 sigma`` if not.

    Parameters
    ----------
    activity : ndarray, (time, neuron)
        One uninterrupted stretch of finite values.
    sigma_frames : float
        Standard deviation, in frames.
    causal : bool
        Whether frame `t` is made of frames up to `t` only. A causal kernel delays the signal by about 0.8 sigma.

    Returns
    -------
    ndarray, (time, neuron)
    """
    from scipy.ndimage import convolve1d

    radius = math.ceil(KERNEL_RADIUS * sigma_frames)
    lags = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (lags / sigma_frames) ** 2)
    if causal:
        kernel[lags < 0] = 0.0
    mass = convolve1d(np.ones((len(activity), 1)), kernel, axis=0, mode="constant")
    return np.asarray(convolve1d(activity, kernel, axis=0, mode="constant") / mass)


def block_means(array: np.ndarray, ratio: int) -> np.ndarray:
    """Average each `ratio` frames of a (time, neuron) array; frames beyond the last whole block are left out."""
    blocks = len(array) // ratio
    return np.asarray(array[: blocks * ratio].reshape(blocks, ratio, -1).mean(axis=1))


def constant_neurons(activity: np.ndarray) -> np.ndarray:
    """Return, for each neuron of a (time, neuron) array, whether it never changes beyond rounding; NaN is looked past.

    A neuron that holds nothing but NaN is not constant.
    """
    known = ~np.isnan(activity)
    highest = np.where(known, activity, -np.inf).max(axis=0)
    lowest = np.where(known, activity, np.inf).min(axis=0)
    recorded = known.any(axis=0)
    spread = np.where(recorded, highest, 0.0) - np.where(recorded, lowest, 0.0)
    largest = np.where(known, np.abs(activity), 0.0).max(axis=0)
    return np.asarray(recorded & (spread <= CONSTANT_TOLERANCE * largest))


def zscore(activity: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return ``(activity - mean) / std`` with the (neuron,) statistics given, so that they may come from elsewhere."""
    return np.asarray((activity - mean) / std)
