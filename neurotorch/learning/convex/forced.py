"""What a network of multi-timescale units holds at every frame while it is forced on a recording."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neurotorch.core.checks import check_finite
from neurotorch.network.forcing import Forcing
from neurotorch.network.network import Network
from neurotorch.neurons.multi_timescale_rate import MultiTimescaleRate

Array = NDArray[np.float64]

SETTLING = 20
"""Frames at the start of a segment that only fill the filters; a quarter of a segment that is shorter than 80."""


class Segment(NamedTuple):
    """An unbroken piece of a recording: `target` ``(frame, neuron)``, and `inputs` ``(frame, channel)`` or None."""

    target: Tensor
    inputs: Tensor | None = None


def checked(network: Network) -> MultiTimescaleRate:
    """Return the neurons of a network that a one-step fit can be made of."""
    layers = list(network.named_layers().values())
    neuron = layers[-1].neuron
    if not isinstance(neuron, MultiTimescaleRate):
        raise TypeError(
            f"The neurons are of {type(neuron).__name__}, but the one-step fit of own filters and connections is for "
            "MultiTimescaleRate: for other models there is `warm_start(network, target)`."
        )
    if len(layers) > 1 or network.feedback:
        raise ValueError(f"The network has {len(layers)} layers, but a one-step fit takes a single population.")
    observation, layer = network.observation, layers[-1]
    if observation is not None and not observation.is_direct():
        raise ValueError("A one-step fit needs neurons that are observed directly, one step per frame.")
    for connection, soonest in ((layer.inputs, 0), (layer.recurrent, 1)):
        if connection is not None and connection.lags(network.dt, soonest=soonest) != [soonest]:
            raise ValueError(
                "A one-step fit takes connections without delays: leave them out, or train with BPTT or EProp."
            )
    if neuron.own.value.shape[1:] != (layer.neurons,) or layer.bias is None or layer.bias.value.dim() != 1:
        raise ValueError(
            f"A one-step fit finds filter weights and a bias for each neuron: build the units with `own` of shape "
            f"(filter, {layer.neurons}) and the layer with bias=learned(torch.zeros({layer.neurons}))."
        )
    return neuron


def forced_rows(network: Network, segment: Segment) -> tuple[Array, Array, Array, Array]:
    """Return own features ``(neuron, row, own)``, activity and potentials ``(1, row, pre)``, and the next frame."""
    check_finite("target", segment.target)
    like = next(network.parameters())
    target = segment.target.to(like)
    inputs = None if segment.inputs is None else segment.inputs.to(like)
    with torch.no_grad():
        shown = None if inputs is None else inputs[:, None]
        run = network.run(shown, forcing=Forcing.full(target[:, None]), record=True).runs[-1]
    first = min(SETTLING, len(target) // 4)
    features = [filtered[first:-1, 0] for filtered in run.states.bank]
    following = target[first + 1 :]
    if inputs is not None:
        features += [channel[:, None].expand(following.shape) for channel in inputs[first + 1 :].T]
    own = torch.stack([*features, torch.ones_like(following)], dim=-1).transpose(0, 1)
    emitted, potential = run.emitted[first:-1, 0][None], run.states.x[first:-1, 0][None]
    parts = (own, emitted, potential, following.T)
    return tuple(part.double().cpu().numpy() for part in parts)  # type: ignore[return-value]
