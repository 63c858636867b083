"""A population of spiking neurons of several models."""

from __future__ import annotations

from typing import Any

from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.mixed import Mixed
from neurotorch.neurons.parts import MixedState, step_of_parts


class MixedSpiking(Mixed):
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

    emits = "spikes"

    @staticmethod
    def _check_part(name: str, model: NeuronModel) -> None:
        if model.emits != "spikes" or type(model).observe is not NeuronModel.observe:
            raise ValueError(
                f"Part {name!r} is a {type(model).__name__}, which does not emit and show spikes: put rate neurons "
                "into a MixedRate of their own, in another layer."
            )

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the spikes and the state after one step."""
        emitted, _, states = step_of_parts(coefficients, state, current)
        return emitted, MixedState(parts=states)
