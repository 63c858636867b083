"""One sample of spikes as a list of events, its checks, and how it is binned."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from neurotorch.core.checks import check_count, check_positive

Beyond: TypeAlias = Literal["error", "drop"]


class SpikeTrain(NamedTuple):
    """The spikes of one sample: a list of events. A silent sample, without any spike, is legal.

    Parameters
    ----------
    times : Tensor, (spike,), floating
        Seconds from the beginning of the sample, in any order.
    units : Tensor, (spike,), int64
        The channel of each spike.
    label : int
        Index of the class.
    """

    times: Tensor
    units: Tensor
    label: int


def check_spikes(times: np.ndarray, units: np.ndarray, *, channels: int, where: str) -> None:
    """Raise if times and units of a sample are no list of events on `channels` channels.

    Raises
    ------
    ValueError
        If they differ in length, a time is negative, NaN or infinite, or a unit is outside of the channels.
    """
    if times.ndim != 1 or times.shape != units.shape:
        raise ValueError(
            f"{where} has times of shape {times.shape} and units of shape {units.shape}: one time and one unit for "
            "each spike."
        )
    if times.dtype.kind not in "fiu" or units.dtype.kind not in "iu":
        raise ValueError(
            f"{where} has times of dtype {times.dtype} and units of dtype {units.dtype}, but times are numbers and "
            "units are whole numbers."
        )
    wrong = np.flatnonzero(~(np.isfinite(times) & (times >= 0)))
    if len(wrong):
        raise ValueError(
            f"{where} has a spike at {times[wrong[0]]} s, and {len(wrong)} in all whose times are negative, NaN or "
            "infinite: times are seconds from its beginning."
        )
    wrong = np.flatnonzero((units < 0) | (units >= channels))
    if len(wrong):
        raise ValueError(
            f"{where} has a spike in unit {units[wrong[0]]}, but units are 0..{channels - 1}: give the number of "
            "`channels` of these data, or correct the units."
        )


def check_bins(dt: float, steps: int, channels: int, pool: int) -> None:
    """Raise if spikes on `channels` channels cannot be counted in `steps` bins of `dt`, `pool` channels together."""
    check_positive("dt", dt, "s")
    check_count("steps", steps)
    if check_count("channels", channels) % check_count("pool", pool):
        divisors = ", ".join(str(n) for n in range(1, channels + 1) if channels % n == 0)
        raise ValueError(f"`pool` is {pool}, but it must divide the {channels} channels: one of {divisors}.")


def bin_spikes(
    times: np.ndarray,
    units: np.ndarray,
    *,
    dt: float,
    steps: int,
    channels: int,
    pool: int = 1,
    beyond: Beyond = "error",
    where: str = "The sample",
) -> np.ndarray:
    """Return the number of spikes in each bin, (time, channel // pool).

    ``counts[t, c] = number of spikes with floor(time / dt) = t and floor(unit / pool) = c``, computed in float64.

    Raises
    ------
    ValueError
        If a spike comes at or after ``steps * dt`` and `beyond` is not "drop".
    """
    bins = np.floor(times.astype(np.float64) / dt)
    inside = bins < steps
    if not inside.all():
        if beyond != "drop":
            latest = float(times.max())
            raise ValueError(
                f"{where} has {int((~inside).sum())} spikes beyond the window of {steps} steps of {dt:g} s, the last "
                f"at {latest:g} s: use at least {np.floor(latest / dt) + 1:.15g} steps, or pass `beyond='drop'`."
            )
        bins, units = bins[inside], units[inside]
    width = channels // pool
    places = bins.astype(np.int64) * width + units.astype(np.int64) // pool
    return np.bincount(places, minlength=steps * width).reshape(steps, width)


def own_bin(times: np.ndarray, steps: int) -> float:
    """Return the width of bins of which `steps` reach just beyond the last spike; 1 where there is none."""
    last = float(times.max(initial=0))
    return last * (1 + 1e-9) / steps if last > 0 else 1.0  # the last spike belongs to the last bin


def as_counts(counts: np.ndarray, dtype: torch.dtype, *, binary: bool) -> Tensor:
    """Return counts as a tensor of `dtype`, or 0 and 1 if `binary`.

    Raises
    ------
    ValueError
        If a count does not fit into `dtype`.
    """
    if binary:
        return torch.from_numpy(np.minimum(counts, 1)).to(dtype)
    largest = int(counts.max(initial=0))
    if not dtype.is_floating_point and largest > torch.iinfo(dtype).max:
        raise ValueError(
            f"A bin holds {largest} spikes, more than {dtype} can: pass `dtype=torch.int32` or `torch.float32`, "
            "shorter steps or `binary=True`."
        )
    return torch.from_numpy(counts).to(dtype)
