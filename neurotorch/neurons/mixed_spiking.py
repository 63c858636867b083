"""A population of spiking neurons of several models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Self

from torch import Tensor

from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.parts import MixedCoefficients, MixedState, Parts, by_sign, step_of_parts


class MixedSpiking(NeuronModel):
    r"""Spiking neurons of several models in one population, such as adaptive excitatory and fast inhibitory ones.

    Neuron *j* of part *p* does one step of the model of its part::

        z_j  = z_p(h_j, I_j)
        h_j' = h_p(h_j, I_j)

    The population has one recurrent connection and one Dale's law. A step costs as much as the steps of all parts for
    all neurons: what a part makes of neurons of another is thrown away.

    Parameters
    ----------
    parts
        Name to model, all of which emit spikes. A constant per neuron has one value for every neuron *of the part*.
    members
        The name of the part of every neuron of the population, as in
        ``["excitatory"] * 80 + ["inhibitory"] * 20``.

    Raises
    ------
    ValueError
        If a part emits rates or has no neuron, or `members` names something else.

    References
    ----------
    Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, whose recurrent networks mix LIF and adaptive LIF neurons.
    """

    State = MixedState
    Coefficients = MixedCoefficients
    emits = "spikes"

    def __init__(self, parts: Mapping[str, NeuronModel], members: Sequence[str]) -> None:
        super().__init__()
        self.population = Parts(parts, members)
        self.members = self.population.members
        for name, model in parts.items():
            if model.emits != "spikes" or type(model).observe is not NeuronModel.observe:
                raise ValueError(
                    f"Part {name!r} is a {type(model).__name__}, which does not emit and show spikes: put rate neurons "
                    "into a MixedRate of their own, in another layer."
                )

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

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the spikes and the state after one step."""
        emitted, _, states = step_of_parts(coefficients, state, current)
        return emitted, MixedState(parts=states)

    @classmethod
    def for_frames(cls, dt: float, neurons: int) -> NoReturn:
        """Refuse: nothing says which neurons are of which part."""
        del dt, neurons
        raise TypeError("A MixedSpiking is not made for a recording by itself: build its parts, and the network.")

    def initial_state(self, batch: int, like: Tensor) -> MixedState:
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
