"""Where a network starts, if neither at rest nor learned: at random, or inferred from a warm-up."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from neurotorch.core.checks import check_count, check_kind
from neurotorch.network.forcing import Forcing
from neurotorch.network.network import Network, NetworkState
from neurotorch.network.noise import NoiseLike, noise_currents


def warm_up(
    network: Network,
    recent: Tensor,
    *,
    inputs: Tensor | None = None,
    state: NetworkState | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> NetworkState:
    """Return the state in which a network is after it was forced on a recording: the one that the data tell.

    Gradients flow through it, except under `torch.no_grad`.

    Parameters
    ----------
    network
        The network.
    recent
        ``(frame, batch, neuron)``: the frames before the one to start at.
    inputs
        ``(frame, batch, channel)`` over these frames, for a network with inputs.
    state
        Where the warm-up starts; at rest by default.
    weights
        Effective weights by address, in place of the network's own.
    """
    check_kind("network", network, Network, example="Network({'cortex': layer}, dt=0.001)")
    check_kind("recent", recent, Tensor, example="torch.zeros(frames, batch, neurons)")
    _, after = network(inputs, state, forcing=Forcing.full(recent), weights=weights)
    return after


@torch.no_grad()
def random_state(
    network: Network,
    batch: int,
    *,
    noise: NoiseLike | Mapping[str, NoiseLike],
    generator: torch.Generator,
    frames: int = 100,
) -> NetworkState:
    """Return a random state for each of `batch` samples: one that the network itself visits under noise.

    It runs by itself from rest, `frames` frames long, every sample under noise of its own. So all fields of a state fit
    each other, whatever the model. For another distribution, build the states: they are NamedTuples of tensors.

    Parameters
    ----------
    network
        The network.
    batch
        How many.
    noise
        A standard deviation, `WhiteNoise(...)` or `OrnsteinUhlenbeck(...)`, for all layers or by their names.
    generator
        Where the noise is drawn from.
    frames
        How long; several of the longest time constants.
    """
    frames, batch = check_count("frames", frames), check_count("batch", batch)
    currents = noise_currents(network, noise, frames=frames, batch=batch, generator=generator)
    return network.run(None, network.initial_state(batch), frames=frames, noise=currents).state
