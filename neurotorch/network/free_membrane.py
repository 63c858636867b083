"""A start from data: input weights at which the membrane would come as far as the threshold."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from neurotorch.core.checks import check_positive
from neurotorch.network.layer import Layer
from neurotorch.network.network import Network
from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant


@torch.no_grad()
def start_at_threshold_(network: Network, inputs: Tensor, *, deviation: float = 1.0) -> None:
    """Scale input weights in place so that the free membrane varies by the threshold on `inputs`.

    Layer by layer, for each neuron `j` that has a potential ``v`` and a threshold::

        W_in[j, :] <- W_in[j, :] deviation threshold_j / std_tb v_j(t, b)

    where ``v_j`` is what the neuron's potential would be without spikes and without recurrent connections: then some
    neurons fire and some are silent at once, and gradients pass. Signs and masks stay. Other layers are left as they
    are, and so is a neuron whose input does not vary.

    Parameters
    ----------
    network
        Its first layer takes `inputs`.
    inputs
        A few hundred samples of the training data, ``(step, batch, channel)``.
    deviation
        Of the free potential, in units of the threshold.
    """
    check_positive("deviation", deviation)
    activity = inputs
    for name, layer in network.named_layers().items():
        neuron = _never_firing(layer.neuron)
        if layer.inputs is not None and neuron is not None:
            free = Network({name: Layer(neuron, layer.neurons, inputs=layer.inputs)}, dt=network.dt)
            potential = free.run(activity, record=True).runs[0].states.v
            spread = potential.std((0, 1))
            wanted = deviation * _threshold(layer.neuron).value
            scale = torch.where(spread > 0, wanted / torch.where(spread > 0, spread, 1.0), 1.0)
            layer.inputs.set_weight(layer.inputs.weight() * scale.unsqueeze(-1))
        activity, _ = layer(activity, dt=network.dt)


def _threshold(neuron: NeuronModel) -> Constant:
    constant = dict(neuron.named_children())["threshold"]
    assert isinstance(constant, Constant)
    return constant


def _never_firing(neuron: NeuronModel) -> NeuronModel | None:
    """Return a copy that no potential makes fire; None for a model without a potential `v` and a `threshold`."""
    fields = neuron.State._fields
    if "v" not in fields or "threshold" not in dict(neuron.named_children()):
        return None
    silent = copy.deepcopy(neuron)
    constant = _threshold(silent)
    constant.assign(torch.full_like(constant.value, 1e30))
    return silent
