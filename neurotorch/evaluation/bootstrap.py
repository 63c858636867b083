r"""Intervals for ratios of summed errors, by a block bootstrap over time.

Errors of neighbouring frames are alike, so frames are not independent draws; blocks of neighbouring frames nearly are.
The statistic is ``S = 1 - sum_t a_t / sum_t b_t``: a skill, with ``b`` the error of a baseline, or an ``R^2``, with
``b`` the squared deviation from a given mean. Both sums take the same resampled frames, so that hard moments hit both.

References: Politis & Romano (1992), A circular block-resampling procedure for stationary data, in Exploring the Limits
of Bootstrap; Kuensch (1989), doi:10.1214/aos/1176347265; Sokal (1997), doi:10.1007/978-1-4899-0319-8_6, section 3
(autocorrelation time and its window).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurotorch.core.checks import check_count, check_finite

LEAST_BLOCKS = 5
"""An interval from fewer blocks would be a guess; the block length is capped so that there are as many."""


@dataclass(frozen=True)
class Interval:
    """A percentile interval.

    Attributes
    ----------
    low, high
        The bounds.
    level
        The share of resampled values between them, 0..1.
    block
        Length of the blocks, in frames.
    """

    low: float
    high: float
    level: float
    block: int


def autocorrelation_time(series: ArrayLike) -> float:
    r"""Return the integrated autocorrelation time ``tau = 1 + 2 sum_{k=1}^{M} rho_k``, in frames; 1 for white noise.

    ``M`` is the first lag with ``M >= 5 tau(M)`` (Sokal's window): beyond it the sum gathers noise. Never below 1.
    """
    x = np.asarray(series, dtype=np.float64)
    x = x - x.mean()
    n = len(x)
    spectrum = np.abs(np.fft.rfft(x, 2 * n)) ** 2  # padded with zeros: no correlation around the end
    covariance = np.fft.irfft(spectrum)[:n]
    if n < 2 or covariance[0] <= 0:
        return 1.0
    tau = 2 * np.cumsum(covariance / covariance[0]) - 1
    window = np.arange(n) >= 5 * tau
    return max(1.0, float(tau[np.argmax(window)] if window.any() else tau.max()))


def block_length(error: ArrayLike, reference: ArrayLike, *, horizon: int) -> int:
    r"""Return the length of the blocks: ``horizon + ceil(4 tau)`` frames, but at most a fifth of the frames.

    ``tau`` is the autocorrelation time of ``d_t = a_t - (1 - S) b_t``, to which the sampling error of ``S`` is
    proportional to first order. Forecasts over ``h`` frames share ``h - 1`` of them with their neighbour, hence the
    horizon.

    Percentile intervals from few independent frames are too narrow. On simulated losses with nominal 95 %, the true
    ratio lay inside for 91 % (177 frames, autoregressive coefficient of the underlying errors 0.5), 86 % (177 frames,
    0.9) and 91 % (849 frames, 0.9); with two ``tau`` instead of four it was up to 3 % less.

    Parameters
    ----------
    error, reference
        ``a`` and ``b``, ``(frame,)``.
    horizon
        Frames ahead.
    """
    a, b = np.asarray(error, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    tau = autocorrelation_time(a - a.sum() / b.sum() * b)
    return max(1, min(check_count("horizon", horizon) + math.ceil(4 * tau), len(a) // LEAST_BLOCKS))


def ratio_interval(
    error: ArrayLike,
    reference: ArrayLike,
    *,
    generator: np.random.Generator,
    horizon: int = 1,
    block: int | None = None,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    r"""Return the percentile interval of ``1 - sum_t a_t / sum_t b_t`` by a circular moving block bootstrap.

    Each resample draws blocks with replacement, uniformly over all starting frames, wrapping around the end, until it
    holds as many frames as came (the last block is cut). Frames are taken in the order given; a block may span a gap
    between segments.

    Parameters
    ----------
    error, reference
        ``a`` and ``b``, summed squared errors per frame, ``(frame,)``, in the order of time.
    generator
        Where the draws come from.
    horizon
        Frames ahead, for the block length.
    block
        Length of the blocks in frames; by default `block_length`.
    level
        Share of the resampled values inside the interval.
    resamples
        Number of resamples.

    Raises
    ------
    ValueError
        If the shapes differ, there are fewer than ten frames, a value is not finite, or `reference` sums to 0.
    """
    a, b = np.asarray(error, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"`error` has the shape {a.shape} and `reference` {b.shape}, but both are (frame,), paired.")
    check_finite("error", a)
    check_finite("reference", b)
    if len(a) < 2 * LEAST_BLOCKS:
        raise ValueError(f"{len(a)} frames are too few for an interval: at least {2 * LEAST_BLOCKS} are needed.")
    if b.sum() <= 0:
        raise ValueError("`reference` sums to 0: the ratio to it means nothing.")
    if not 0 < level < 1:
        raise ValueError(f"`level` is {level:g}, but it must lie between 0 and 1, such as 0.95.")
    length = block_length(a, b, horizon=horizon) if block is None else check_count("block", block)
    length = min(length, len(a))
    sums_a, sums_b = _resampled_sums(a, b, length, check_count("resamples", resamples), generator)
    drawn = sums_b > 0  # frames of b that are all 0 give no ratio
    low, high = np.quantile(1 - sums_a[drawn] / sums_b[drawn], [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, length)


def _resampled_sums(
    a: NDArray[np.float64], b: NDArray[np.float64], length: int, resamples: int, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sums of `a` and of `b` over each resample, ``(resample,)``, from sums over all blocks."""
    frames = len(a)
    whole, rest = divmod(frames, length)
    starts = generator.integers(frames, size=(resamples, whole + (rest > 0)))

    def sums(x: NDArray[np.float64]) -> NDArray[np.float64]:
        running = np.concatenate([[0.0], np.cumsum(np.concatenate([x, x]))])
        first = np.arange(frames)
        total: NDArray[np.float64] = (running[first + length] - running[first])[starts[:, :whole]].sum(axis=1)
        return total + (running[first + rest] - running[first])[starts[:, -1]] if rest else total

    return sums(a), sums(b)
