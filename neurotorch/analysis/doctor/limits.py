"""The least and the most that neurons can emit, found by asking them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from neurotorch.network.layer import Layer

LARGE, LARGER = 1e3, 1e4
STEPS = 2000


class Limits(NamedTuple):
    """Floor and ceiling of what each neuron emits ``(neuron,)``; NaN where it has none."""

    floor: Tensor
    ceiling: Tensor


@torch.no_grad()
def limits_of(layer: Layer, *, dt: float) -> Limits:
    """Return what the neurons of a layer emit per step, in the long run, under currents that are too large for them.

    What does not differ between a large current and one ten times larger is a limit. Spiking neurons have the floor 0,
    and the ceiling 1 unless a refractory period keeps it lower.
    """
    reached = {current: _settled(layer, current, dt) for current in (-LARGER, -LARGE, LARGE, LARGER)}
    if layer.neuron.emits == "spikes":
        rate = reached[LARGE]
        return Limits(torch.zeros_like(rate), torch.where((rate > 0) & (rate <= 1), rate, 1.0))
    near = [torch.isclose(reached[s * LARGE], reached[s * LARGER], rtol=1e-3, atol=1e-6) for s in (-1, 1)]
    floor = torch.where(near[0], reached[-LARGER], torch.nan)
    return Limits(floor, torch.where(near[1], reached[LARGER], torch.nan))


def _settled(layer: Layer, current: float, dt: float) -> Tensor:
    """Return what is emitted under a constant current: of rates where they come to rest, of spikes the mean."""
    like = layer.like()
    state = layer.neuron.initial_state(1, like.new_empty(1, layer.neurons))
    coefficients = layer.neuron.coefficients(dt)
    held = like.new_full((1, layer.neurons), current)
    spiking, emitted = layer.neuron.emits == "spikes", []
    for step in range(100 if spiking else STEPS):
        emission, state = layer.neuron.step(coefficients, state, held)
        emitted.append(emission)
        if not spiking and step and bool(torch.isclose(emitted[-1], emitted[-2], rtol=1e-6, atol=1e-9).all()):
            break
    return torch.stack(emitted[50:]).mean((0, 1)) if spiking else emitted[-1][0]
