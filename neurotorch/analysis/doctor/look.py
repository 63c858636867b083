"""What the doctor looks at: a free run of a network, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from neurotorch.core.checks import check_kind, shown
from neurotorch.core.trees import leaves, transform
from neurotorch.data.windows import Batch
from neurotorch.network.forcing import Forcing
from neurotorch.network.layer import Layer
from neurotorch.network.network import Network
from neurotorch.network.steps import ObservedState

WARM_UP = 0.25  # of the frames of a recording: then the network runs freely, as in a forecast


@dataclass(frozen=True)
class Seen:
    """A layer in a run: what it emitted, its states and its currents, ``(step, sample, neuron)``."""

    layer: Layer
    emitted: Tensor
    states: Any
    currents: Tensor

    @property
    def spiking(self) -> bool:
        """Whether the neurons emit spikes."""
        return self.layer.neuron.emits == "spikes"


@dataclass(frozen=True)
class Look:
    """A run of a network.

    Attributes
    ----------
    layers
        By name.
    warm_up
        Steps that were forced; `layers` hold what came after them.
    exploded
        What the run said when its numbers left all bounds, and the steps up to which it was then looked at; None where
        it did not.
    """

    layers: dict[str, Seen]
    warm_up: int = 0
    exploded: str | None = None


def check_batch(batch: Batch | Tensor | None) -> None:
    """Raise unless it is something that a network can be looked at with."""
    if batch is not None and not isinstance(batch, (Batch, Tensor)):
        raise TypeError(
            f"`batch` is {shown(batch)}, but it must be a Batch, inputs (frame, batch, channel) as a tensor, or None."
        )


def examined(
    network: Network, batch: Batch | Tensor | None, *, frames: int
) -> tuple[Tensor | None, Forcing | None, int]:
    """Return inputs, forcing and frames of the run in which a network is looked at."""
    check_kind("network", network, Network, example="Network({'cortex': layer}, dt=0.001)")
    check_batch(batch)
    if not isinstance(batch, tuple):
        return batch, None, frames if batch is None else len(batch)
    target = batch.target
    last = list(network.named_layers().values())[-1]
    observation = network.observation
    forcible = type(last.neuron).force is not None or (observation is not None and observation.takes_forcing())
    warm_up = int(WARM_UP * len(target))
    forcing = Forcing.warm_up(target, warm_up) if forcible and warm_up else None
    return batch.inputs, forcing, len(target)


@torch.no_grad()
def look(network: Network, batch: Batch | Tensor | None, *, frames: int) -> Look:
    """Run a network; where it explodes, up to the last half of the time that it still has numbers in."""
    inputs, forcing, frames = examined(network, batch, frames=frames)
    held = round(network.frame_dt / network.dt)
    exploded = None
    while True:
        try:
            run = network.run(inputs, frames=frames, forcing=forcing, record=True)
            break
        except FloatingPointError as error:
            exploded = exploded or str(error)
            if frames == 1:
                raise
            frames = frames // 2
            inputs = None if inputs is None else inputs[:frames]
            forcing = None if forcing is None else Forcing(forcing.target[:frames], forcing.strength[:frames])
    warm_up = 0 if forcing is None else min(int((forcing.strength > 0).sum()), frames - 1) * held
    layers = {}
    for (name, layer), found in zip(network.named_layers().items(), run.runs, strict=True):
        states = found.states.neuron if isinstance(found.states, ObservedState) else found.states
        assert found.currents is not None
        kept = transform(states, lambda leaf: leaf[warm_up:])
        layers[name] = Seen(layer, found.emitted[warm_up:], kept, found.currents[warm_up:])
    return Look(layers, warm_up, exploded)


def sizes(seen: Seen) -> Tensor:
    """Return the largest absolute value among the fields of the state, ``(step, neuron)``."""
    return torch.stack([leaf.abs().amax(dim=1) for leaf in leaves(seen.states)]).amax(dim=0)
