"""Networks of multi-timescale units fitted by least squares, one setting after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neurotorch.connections import ElectricalConnection
from neurotorch.core.vocabulary import Transfer
from neurotorch.data import Recording
from neurotorch.learning.convex import OneStepMoments, OneStepSolution, Shrinkage
from neurotorch.learning.convex.forced import Segment
from neurotorch.network import Network
from neurotorch.neurons import MultiTimescaleRate
from neurotorch.runs.blueprint import Blueprint


@dataclass(frozen=True)
class Timescales:
    """What a one-step fit cannot find: time constants in frames, and the transfer function."""

    filters: tuple[float, ...]
    trace: float
    transfer: Transfer
    # Options are tuples, and those of two classes with the same gain are equal: the name tells them apart.
    function: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "function", type(self.transfer).__name__)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"filters": list(self.filters), "trace": self.trace, "transfer": str(self.transfer)}


@dataclass(frozen=True)
class Setting:
    """One way to fit: time scales and penalties; without connections if the shrinkage of weights is infinite."""

    timescales: Timescales
    shrinkage: Shrinkage

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**self.timescales.to_json(), "shrinkage": plain(self.shrinkage)}


def fit_one_step(
    training: Recording,
    blueprint: Blueprint,
    settings: Sequence[Setting],
    *,
    seed: int,
    connected: bool = True,
    least: float = 0.0,
) -> Iterator[tuple[Setting, Network]]:
    """Yield a network for each setting, fitted to all of a standardized recording; one set of moments per time scales.

    Parameters
    ----------
    training
        Standardized.
    blueprint, seed
        Of the networks.
    settings
        Those with equal time scales best follow each other.
    connected
        Whether the networks have connections; without, they are the refit that says what connections add.
    least
        See `OneStepSolution.write`.
    """
    moments: OneStepMoments | None = None
    measured: Timescales | None = None
    for setting in settings:
        network = _network(training, blueprint, setting.timescales, seed, connected)
        if moments is None or setting.timescales != measured:
            moments, measured = OneStepMoments.of(network, _segments(training)), setting.timescales
        _solution(moments, setting, network).write(network, least=least)
        yield setting, network


def _solution(moments: OneStepMoments, setting: Setting, network: Network) -> OneStepSolution:
    (layer,) = network.named_layers().values()
    connection = layer.recurrent
    if connection is None:
        return moments.alone(setting.shrinkage.own)
    signs = None if connection.dale is None else connection.dale.signs.double().cpu().numpy()
    mask = None if connection.mask is None else connection.mask.cpu().numpy()
    return moments.connected(setting.shrinkage, signs=signs, mask=mask, junctions=_junctions(layer.electrical))


def _junctions(electrical: ElectricalConnection | None) -> NDArray[np.bool_] | None:
    """Return where gap junctions may exist, None if there are none."""
    if electrical is None:
        return None
    if electrical.mask is None:
        return np.ones((electrical.neurons, electrical.neurons), dtype=bool)
    mask: NDArray[np.bool_] = electrical.mask.cpu().numpy()
    return mask


def _network(training: Recording, blueprint: Blueprint, timescales: Timescales, seed: int, connected: bool) -> Network:
    units = MultiTimescaleRate.with_timescales(
        training.dt,
        training.activity.shape[1],
        filters=timescales.filters,
        trace=timescales.trace,
        transfer=timescales.transfer,
    )
    return blueprint.build(training, seed=seed, connected=connected, units=units)


def _segments(recording: Recording) -> list[Segment]:
    activity, inputs = recording.activity, recording.inputs
    return [
        Segment(_tensor(activity[start:stop]), None if inputs is None else _tensor(inputs[start:stop]))
        for start, stop in recording.segments()
    ]


def _tensor(values: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(values.copy())


def plain(shrinkage: Shrinkage) -> dict[str, float | None]:
    """Return the penalties as JSON has them: null is infinite."""
    return {name: finite(value) for name, value in dataclasses.asdict(shrinkage).items()}


def finite(value: float) -> float | None:
    """Return a number as JSON has it: null is infinite."""
    return value if np.isfinite(value) else None
