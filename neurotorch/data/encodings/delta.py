"""Events where a signal changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neurotorch.core.checks import check_positive
from neurotorch.data.encodings.base import Encoding


@dataclass(frozen=True)
class Delta(Encoding):
    """Events whenever a signal has moved by `threshold` from where the last event left it (send on delta).

    With the reference ``r = x(0)`` at first, at each step::

        n = trunc((x - r) / threshold),   on = max(n, 0),   off = max(-n, 0),   r' = r + n threshold

    so that `r` follows the signal to less than one threshold and can be had back from the events.

    Parameters
    ----------
    threshold
        Change of an event.
    binary
        0 and 1 (any event) instead of the number of thresholds that a step crosses; `r` follows all the same.

    References
    ----------
    Miskowicz 2006, doi:10.3390/s6010049; two channels as in Lichtsteiner et al. 2008, doi:10.1109/JSSC.2007.914337.
    """

    threshold: float
    binary: bool = False
    fractions: ClassVar[bool] = False
    time_series: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_positive("threshold", self.threshold)

    def encode(self, values: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return signals (batch, time, channel) as events (time, batch, 2 channel): what rises, then what falls."""
        del generator
        reference = values[:, 0]
        crossed = []
        for value in values.unbind(1):
            count = torch.trunc((value - reference) / self.threshold)
            reference = reference + count * self.threshold
            crossed.append(count)
        counts = torch.stack(crossed)
        events = torch.cat((counts.clamp(min=0), (-counts).clamp(min=0)), dim=-1)
        return events.clamp(max=1) if self.binary else events
