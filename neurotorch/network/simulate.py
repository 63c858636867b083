"""Running a network to look at it: simulation and closed-loop forecasts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from neurotorch.core.checks import check_count, check_kind, nearest
from neurotorch.network.initial import warm_up
from neurotorch.network.network import Network, NetworkState
from neurotorch.network.noise import NoiseLike, noise_currents

QUANTITIES = ("observed", "emitted", "states", "currents")


@dataclass(frozen=True)
class Trajectory:
    """What was recorded of a simulation; mappings are by layer name and empty where nothing was asked for.

    Attributes
    ----------
    dt, frame_dt
        Seconds of a step and of a frame.
    observed
        ``(frame, batch, neuron)``, or None.
    emitted, currents
        ``(step, batch, neuron)`` per layer.
    states
        Per layer the tree of states after every step, ``(step, batch, neuron)`` each.
    final
        Where the network ended, to go on from.
    """

    dt: float
    frame_dt: float
    final: NetworkState
    observed: Tensor | None = None
    emitted: Mapping[str, Tensor] = field(default_factory=dict)
    currents: Mapping[str, Tensor] = field(default_factory=dict)
    states: Mapping[str, Any] = field(default_factory=dict)


@torch.no_grad()
def simulate(
    network: Network,
    inputs: Tensor | None = None,
    *,
    frames: int | None = None,
    batch: int = 1,
    state: NetworkState | None = None,
    record: Collection[str] = ("observed",),
    noise: NoiseLike | Mapping[str, NoiseLike] = 0.0,
    generator: torch.Generator | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> Trajectory:
    """Run a network and record what is asked for.

    Parameters
    ----------
    network
        The network.
    inputs
        ``(frame, batch, channel)``, or None.
    frames, batch
        Extent of the simulation, where the inputs do not say.
    state
        Where to start; at rest by default.
    record
        Any of ``"observed"``, ``"emitted"``, ``"states"``, ``"currents"``.
    noise
        A random current: the standard deviation of one that is drawn anew for every step and neuron (a number, or one
        per neuron), `WhiteNoise(...)` or `OrnsteinUhlenbeck(...)`; for all layers, or by their names.
    generator
        Where the noise is drawn from; needed with noise.
    weights
        Effective weights by address, in place of the network's own.
    """
    for quantity in record:
        if quantity not in QUANTITIES:
            raise ValueError(f"Cannot record {quantity!r}; there are {QUANTITIES}.{nearest(quantity, QUANTITIES)}")
    noisy = not isinstance(noise, (int, float)) or noise != 0
    if noisy and generator is None:
        raise ValueError(
            "Noise needs a `generator`, so that the simulation can be repeated: torch.Generator().manual_seed(0)."
        )
    check_kind("network", network, Network, example="Network({'cortex': layer}, dt=0.001)")
    if inputs is not None:
        check_kind("inputs", inputs, Tensor, example="torch.zeros(frames, batch, channels)")
    if state is None:
        state = network.initial_state(batch if inputs is None else inputs.shape[1])
    currents = {}
    if noisy and generator is not None:
        length = check_count("frames", (frames or 0) if inputs is None else inputs.shape[0])
        samples = state[0].history.shape[-2]
        currents = noise_currents(network, noise, frames=length, batch=samples, generator=generator)
    everything = "states" in record or "currents" in record
    run = network.run(inputs, state, frames=frames, weights=weights, noise=currents, record=everything)
    by_name = dict(zip(network.layers, run.runs, strict=True))
    return Trajectory(
        network.dt,
        network.frame_dt,
        run.state,
        run.output if "observed" in record else None,
        {name: r.emitted for name, r in by_name.items()} if "emitted" in record else {},
        {name: r.currents for name, r in by_name.items() if r.currents is not None} if "currents" in record else {},
        {name: r.states for name, r in by_name.items()} if "states" in record else {},
    )


@torch.no_grad()
def forecast(
    network: Network,
    recent: Tensor,
    frames: int,
    *,
    inputs: Tensor | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Continue a recording: force the network on recent frames, then let it run.

    Parameters
    ----------
    network
        The network.
    recent
        ``(frame, batch, neuron)``: the frames up to the origin of the forecast.
    frames
        How many frames to forecast.
    inputs
        ``(frame, batch, channel)`` over the recent frames and the forecast, for a network with inputs.
    weights
        Effective weights by address, in place of the network's own.

    Returns
    -------
    Tensor
        ``(frame, batch, neuron)``: the forecast.
    """
    check_count("frames", frames)
    known = len(recent)
    if inputs is not None and len(inputs) != known + frames:
        raise ValueError(
            f"`inputs` has {len(inputs)} frames, but {known} recent and {frames} forecast frames need {known + frames}."
        )
    state = warm_up(network, recent, inputs=None if inputs is None else inputs[:known], weights=weights)
    output, _ = network(None if inputs is None else inputs[known:], state, frames=frames, weights=weights)
    return output
