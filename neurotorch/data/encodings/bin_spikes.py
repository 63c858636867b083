"""Events as numbers of spikes in bins of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from neurotorch.data.spike_train import Beyond, SpikeTrain, as_counts, bin_spikes, check_bins, check_spikes


@dataclass(frozen=True)
class BinSpikes:
    """The number of spikes in each bin: a transform from a `SpikeTrain` to (time, channel // pool).

    ``counts[t, c] = number of spikes with floor(time / dt) = t and floor(unit / pool) = c``. (Of whole data sets:
    `SpikeTrains.bin`.)

    Parameters
    ----------
    steps
        Number of bins.
    dt
        Seconds of a bin.
    channels
        Number of channels of the spike trains; 700.
    pool
        Neighbouring channels counted together; it divides their number; 1.
    binary
        0 and 1 (any spike) instead of counts.
    beyond
        What becomes of spikes at or after ``steps * dt``: "error", or "drop".
    dtype
        Of the result; float32.
    """

    steps: int
    dt: float
    channels: int = field(default=700, kw_only=True)
    pool: int = field(default=1, kw_only=True)
    binary: bool = field(default=False, kw_only=True)
    beyond: Beyond = field(default="error", kw_only=True)
    dtype: torch.dtype = field(default=torch.float32, kw_only=True)

    def __post_init__(self) -> None:
        check_bins(self.dt, self.steps, self.channels, self.pool)

    def __call__(self, sample: SpikeTrain) -> Tensor:
        """Return one spike train as (time, channel // pool).

        Raises
        ------
        ValueError
            If it holds a spike that it may not hold, or one beyond the window.
        """
        times, units = sample.times.numpy(), sample.units.numpy()
        check_spikes(times, units, channels=self.channels, where="The sample")
        counts = bin_spikes(
            times,
            units,
            dt=self.dt,
            steps=self.steps,
            channels=self.channels,
            pool=self.pool,
            beyond=self.beyond,
        )
        return as_counts(counts, self.dtype, binary=self.binary)

    def batch(self, samples: Sequence[SpikeTrain]) -> Tensor:
        """Return spike trains as (time, batch, channel // pool)."""
        return torch.stack([self(sample) for sample in samples], dim=1)
