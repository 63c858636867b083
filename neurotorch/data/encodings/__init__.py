"""Encodings: how numbers, signals and events become currents and spikes over time."""

from neurotorch.data.encodings.base import Encoding
from neurotorch.data.encodings.bin_spikes import BinSpikes
from neurotorch.data.encodings.delta import Delta
from neurotorch.data.encodings.direct_current import DirectCurrent
from neurotorch.data.encodings.latency import Latency
from neurotorch.data.encodings.linear_latency import LinearLatency
from neurotorch.data.encodings.linear_periods import LinearPeriods
from neurotorch.data.encodings.poisson import Poisson
from neurotorch.data.encodings.population import Population
from neurotorch.data.encodings.rate import Rate

__all__ = [
    "BinSpikes",
    "Delta",
    "DirectCurrent",
    "Encoding",
    "Latency",
    "LinearLatency",
    "LinearPeriods",
    "Poisson",
    "Population",
    "Rate",
]
