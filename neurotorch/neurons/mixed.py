"""What populations of several models have in common."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Self

from torch import Tensor

from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.parts import MixedCoefficients, MixedState, Parts, by_sign


class Mixed(NeuronModel):
    """A population of several models, which emit alike; see `MixedSpiking` and `MixedRate`."""

    State = MixedState
    Coefficients = MixedCoefficients

    def __init__(self, parts: Mapping[str, NeuronModel], members: Sequence[str]) -> None:
        super().__init__()
        self.population = Parts(parts, members)
        self.members = self.population.members
        for name, model in parts.items():
            self._check_part(name, model)

    @staticmethod
    @abc.abstractmethod
    def _check_part(name: str, model: NeuronModel) -> None:
        """Raise if a model cannot be part of such a population."""

    @property
    def parts(self) -> Mapping[str, NeuronModel]:
        """Name to model."""
        return dict(self.population.models.items())  # type: ignore[arg-type]

    @classmethod
    def from_signs(cls, signs: Tensor | Sequence[float], *, excitatory: NeuronModel, inhibitory: NeuronModel) -> Self:
        """Return a population whose neurons have the model of their type, such as ``dale.signs``: 1 or -1 for each."""
        return cls({"excitatory": excitatory, "inhibitory": inhibitory}, by_sign(signs))

    def coefficients(self, dt: float) -> MixedCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        return self.population.coefficients(dt)

    @classmethod
    def for_frames(cls, dt: float, neurons: int) -> NoReturn:
        """Refuse: nothing says which neurons are of which part."""
        del dt, neurons
        raise TypeError(f"A {cls.__name__} is not made for a recording by itself: build its parts, and the network.")

    def initial_state(self, batch: int, like: Tensor) -> Any:
        """Return rest, that of each part."""
        return MixedState(parts=self.population.initial_state(batch, like))

    def largest_dt(self) -> float:
        """Return the smallest of the parts'."""
        return self.population.largest_dt()

    def project_(self, dt: float) -> None:
        """Move learned constants of all parts back into the range where a step of `dt` seconds is stable."""
        self.population.project_(dt)

    def check_neurons(self, neurons: int) -> None:
        """Raise unless the population has `neurons`, and each part the constants of its own."""
        self.population.check_neurons(neurons)
