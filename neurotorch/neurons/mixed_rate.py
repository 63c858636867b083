"""A population of rate neurons of several models."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.mixed import Mixed
from neurotorch.neurons.parts import MixedState, force_parts, step_of_parts


class MixedRate(Mixed):
    r"""Rate neurons of several models or constants in one population, such as excitatory and inhibitory ones.

    Neuron *j* of part *p* does one step of the model of its part, and shows what that model shows::

        r_j  = r_p(h_j, I_j)
        h_j' = h_p(h_j, I_j)

    The population has one recurrent connection and one Dale's law. A step costs as much as the steps of all parts for
    all neurons: what a part makes of neurons of another is thrown away.

    Parameters
    ----------
    parts
        Name to model, all of which emit rates and can be forced. A constant per neuron has one value for every
        neuron *of the part*.
    members
        The name of the part of every neuron of the population, as in
        ``["excitatory"] * 80 + ["inhibitory"] * 20``.

    Raises
    ------
    ValueError
        If a part emits spikes or has no neuron, or `members` names something else.

    References
    ----------
    Wilson & Cowan 1972, doi:10.1016/S0006-3495(72)86068-5, whose excitatory and inhibitory cells have constants of
    their own.
    """

    emits = "rates"

    @staticmethod
    def _check_part(name: str, model: NeuronModel) -> None:
        if model.emits != "rates" or type(model).force is None:
            raise ValueError(
                f"Part {name!r} is a {type(model).__name__}, which does not emit rates or cannot be forced: put "
                "spiking neurons into a MixedSpiking of their own, in another layer."
            )

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the rates and the state after one step."""
        emitted, shown, states = step_of_parts(coefficients, state, current)
        return emitted, MixedState(parts=states, shown=shown)

    @staticmethod
    def observe(state: Any, emitted: Any) -> Any:
        """Return what each neuron shows."""
        return state.shown

    @staticmethod
    def force(coefficients: Any, state: Any, target: Any, strength: Any) -> tuple[Any, Any]:
        """Pull what each neuron shows towards `target`, by the model of its part."""
        emitted, shown, states = force_parts(coefficients, state, target, strength)
        return emitted, MixedState(parts=states, shown=shown)

    def initial_state(self, batch: int, like: Tensor) -> MixedState:
        """Return rest, that of each part."""
        zeros = like.new_zeros(batch, like.shape[-1])
        return MixedState(parts=self.population.initial_state(batch, like), shown=zeros)

    def limits(self) -> tuple[float, float] | None:
        """Return the range that all parts have, None where there is no such."""
        ranges = {model.limits() for model in self.parts.values()}
        return ranges.pop() if len(ranges) == 1 else None
