"""A learned initial state: parameters from which every run of a network starts."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from neurotorch.core.trees import leaves, rebuild
from neurotorch.network.layer import LayerState


class LearnedStart(nn.Module):
    """One state for all samples, trained with the rest of a network.

    Parameters
    ----------
    rest
        The state of each layer at rest, of one sample: where training starts.
    rates
        Of each layer, whether its neurons emit rates: what they emitted in the step before the first is learned then,
        while spikes before the first step are none.
    """

    def __init__(self, rest: Sequence[LayerState], rates: Sequence[bool]) -> None:
        super().__init__()
        self.neurons = nn.ModuleList(
            nn.ParameterList([leaf.detach().clone() for leaf in leaves(state.neuron)]) for state in rest
        )
        self.histories = nn.ParameterDict(
            {
                str(k): state.history.detach().clone()
                for k, (state, rate) in enumerate(zip(rest, rates, strict=True))
                if rate
            }
        )

    def forward(self, rest: Sequence[LayerState]) -> tuple[LayerState, ...]:
        """Return the learned state of as many samples as `rest` has; what is not learned is as there."""
        found = []
        for index, (state, values) in enumerate(zip(rest, self.neurons, strict=True)):
            assert isinstance(values, nn.ParameterList)
            wide = [value.expand_as(leaf) for value, leaf in zip(values, leaves(state.neuron), strict=True)]
            state = state._replace(neuron=rebuild(state.neuron, wide))
            if str(index) in self.histories:
                state = state._replace(history=self.histories[str(index)].expand_as(state.history))
            found.append(state)
        return tuple(found)
