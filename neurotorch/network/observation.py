"""What the instrument sees of a population."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from neurotorch.core.checks import check_count, check_kind
from neurotorch.network.forcing import Forcing
from neurotorch.network.steps import ObservedCoefficients, ObservedState
from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, check_per_neuron, constant


class Observation(nn.Module):
    r"""From a population to the frames of a recording: an instrument, an average over a frame, an affine map.

    With ``o`` the quantity that the neuron shows (its rate, or its spikes) and ``k`` steps per frame::

        f  = instrument(o)                       a pointwise filter, or o itself
        y  = offset + gain * mean of f over the k steps of a frame

    Forcing to the data ``d`` with a strength ``s`` acts at the end of a frame, after ``y`` was seen::

        w = (d - offset) / gain
        the instrument (without one: the neuron) is pulled to w by s
        the current of the next frame gains nudge * s * (w - mean of f)

    The nudge tells a spiking neuron, whose own state cannot be read from the data, what the instrument has missed.

    Parameters
    ----------
    instrument
        A pointwise filter such as `Calcium(tau)`, or `LeakyIntegrator(tau)` as a low-pass; none by default.
    gain, offset
        Of the affine map, for all neurons or per neuron; `gain` is positive.
    nudge
        Current per missed unit of ``f``.
    steps_per_frame
        Network steps in one frame of the recording.
    """

    def __init__(
        self,
        instrument: NeuronModel | None = None,
        *,
        gain: float | Tensor | Learned | Constant = 1.0,
        offset: float | Tensor | Learned | Constant = 0.0,
        nudge: float | Tensor | Learned | Constant = 0.0,
        steps_per_frame: int = 1,
    ) -> None:
        super().__init__()
        if instrument is not None:
            check_kind("instrument", instrument, NeuronModel, example="Calcium(1.0)")
        self.instrument = instrument
        self.gain = constant("gain", gain, positive=True)
        self.offset = constant("offset", offset)
        self.nudge = constant("nudge", nudge)
        self.steps_per_frame = check_count("steps_per_frame", steps_per_frame)

    def check_neurons(self, neurons: int) -> None:
        """Raise if a constant given per neuron does not fit a population of `neurons`."""
        check_per_neuron("the observed layer", self.named_children(), neurons)
        if self.instrument is not None:
            self.instrument.check_neurons(neurons)

    def takes_forcing(self) -> bool:
        """Return whether forcing acts on a neuron whose own state cannot be forced: by the instrument, or the nudge."""
        instrument = self.instrument is not None and type(self.instrument).force is not None
        return instrument or self.nudge.learned or bool((self.nudge.value != 0).any())

    def is_direct(self) -> bool:
        """Return whether the neurons are seen at every step and without an instrument: only an affine map is left."""
        nudged = self.nudge.learned or bool((self.nudge.value != 0).any())
        return self.instrument is None and self.steps_per_frame == 1 and not nudged

    def outward(self, shown: Tensor) -> Tensor:
        """Return what is seen, in the unit of the recording, of a direct observation."""
        return self.offset() + self.gain() * shown

    def inward(self, seen: Tensor) -> Tensor:
        """Return the quantity that the neurons show, where `seen` is seen of it: the inverse of `outward`."""
        return (seen - self.offset()) / self.gain()

    def coefficients(self, neuron: Any, dt: float) -> ObservedCoefficients:
        """Return the coefficients of an observed step; `neuron` holds those of the neuron."""
        instrument = () if self.instrument is None else self.instrument.coefficients(dt)
        gain = self.gain()
        share = torch.full_like(gain.detach(), 1 / self.steps_per_frame)
        return ObservedCoefficients(neuron, instrument, gain, self.offset(), self.nudge(), share)

    def initial_state(self, neuron: Any, batch: int, like: Tensor) -> ObservedState:
        """Return the state at rest around the state `neuron`."""
        zeros = like.new_zeros(batch, like.shape[-1])
        instrument = () if self.instrument is None else self.instrument.initial_state(batch, like)
        return ObservedState(neuron, instrument, zeros, zeros)

    def drive(self, frames: int, forcing: Forcing | None, like: Tensor) -> tuple[Tensor, ...]:
        """Return the fields of an `ObservedDrive` over `frames` frames, without the absent ones."""
        steps = self.steps_per_frame
        place = torch.arange(frames * steps, device=like.device)[:, None, None] % steps
        first, last = (place == 0).to(like.dtype), (place == steps - 1).to(like.dtype)
        if forcing is None:
            return (first, last)
        target = forcing.target.repeat_interleave(steps, dim=0)
        strength = forcing.strength.reshape(-1, 1, 1).repeat_interleave(steps, dim=0) * last
        return (first, last, target, strength)

    def frames(self, seen: Tensor) -> Tensor:
        """Return ``(frame, batch, neuron)`` of what was seen at every step."""
        return seen[self.steps_per_frame - 1 :: self.steps_per_frame]
