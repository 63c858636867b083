"""The pointwise steps that layers hand to an engine: a neuron alone, forced, or seen through an instrument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from neurotorch.neurons.base import NeuronModel


@dataclass(frozen=True)
class NeuronStep:
    """The step of a neuron that is seen directly.

    With a drive ``(target, strength)`` the neuron is forced after it was seen: what is seen is a prediction, what goes
    on is the forced state.
    """

    model: type[NeuronModel]

    def __call__(
        self, coefficients: Any, state: Any, current: Tensor, drive: tuple[Tensor, ...]
    ) -> tuple[Any, Any, Any]:
        """Return ``(emitted, seen, state)``."""
        emitted, state = self.model.step(coefficients, state, current)
        seen = self.model.observe(state, emitted)
        if drive:
            assert self.model.force is not None  # Layer.population checks
            emitted, state = self.model.force(coefficients, state, *drive)
        return emitted, seen, state


class ObservedState(NamedTuple):
    """Neuron and instrument; `total`: the frame's average so far; `innovation`: what the last forcing corrected."""

    neuron: Any
    instrument: Any
    total: Any
    innovation: Any


class ObservedCoefficients(NamedTuple):
    """Those of neuron and instrument; `gain`, `offset`, `nudge` of the observation; `share`: 1 / steps per frame."""

    neuron: Any
    instrument: Any
    gain: Any
    offset: Any
    nudge: Any
    share: Any


class ObservedDrive(NamedTuple):
    """`first`, `last`: 1 at the first and last step of a frame, else 0; `target` and `strength` of a forcing."""

    first: Tensor
    last: Tensor
    target: Tensor | None = None
    strength: Tensor | None = None


@dataclass(frozen=True)
class ObservedStep:
    """The step of a neuron that is seen through an observation, equations in `neurotorch.network.observation`."""

    model: type[NeuronModel]
    instrument: type[NeuronModel] | None

    def __call__(
        self, coefficients: Any, state: Any, current: Tensor, drive: tuple[Tensor, ...]
    ) -> tuple[Any, Any, Any]:
        """Return ``(emitted, seen, state)``."""
        c, at = coefficients, ObservedDrive(*drive)
        emitted, neuron = self.model.step(c.neuron, state.neuron, current + c.nudge * state.innovation)
        signal, instrument = self.model.observe(neuron, emitted), state.instrument
        if self.instrument is not None:
            signal, instrument = self.instrument.step(c.instrument, instrument, signal)
        total = state.total * (1 - at.first) + c.share * signal
        innovation = state.innovation * (1 - at.last)
        if at.target is not None and at.strength is not None:
            wanted = (at.target - c.offset) / c.gain
            innovation = innovation + at.strength * (wanted - total)
            if self.instrument is not None and self.instrument.force is not None:
                _, instrument = self.instrument.force(c.instrument, instrument, wanted, at.strength)
            elif self.model.force is not None:
                emitted, neuron = self.model.force(c.neuron, neuron, wanted, at.strength)
        return emitted, c.offset + c.gain * total, ObservedState(neuron, instrument, total, innovation)
