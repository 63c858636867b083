"""A layer is to a recording what `torch.nn.RNN` is to a sequence."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurotorch.connections.connection import Connection
from neurotorch.connections.electrical import ElectricalConnection, laplacian
from neurotorch.core.checks import check_count, check_kind, check_positive
from neurotorch.engine import Link, Population, Projection, adjoint
from neurotorch.network.checks import check_stable
from neurotorch.network.coupling import check_coupling_stable, coupled_field
from neurotorch.network.delays import arriving, held, last_steps
from neurotorch.network.forcing import Forcing
from neurotorch.network.links import links_of
from neurotorch.network.observation import Observation
from neurotorch.network.steps import NeuronStep, ObservedStep
from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, check_per_neuron, constant


class LayerState(NamedTuple):
    """Where a layer is.

    Attributes
    ----------
    neuron
        The tree of its neurons' states.
    history
        ``(step, batch, neuron)``: its last activity, the oldest first; as many steps as the longest delay of a
        connection that leaves the layer, and at least one.
    underway
        ``(step, batch, channel)``: inputs of the network that have not arrived, as many steps as the longest delay of
        the input connection; None where it has none.
    """

    neuron: Any
    history: Tensor
    underway: Tensor | None = None


class Layer(nn.Module):
    """A population of neurons with an input connection and a recurrent one.

    At step *t* a neuron receives ``W_in inputs[t] + W z[t-1] + bias``, with ``z[t-1]`` the layer's own activity one
    step before; with delays of ``d`` steps, ``W_in inputs[t-d]`` and ``W z[t-d]``.

    Parameters
    ----------
    neuron
        The model.
    neurons
        How many.
    inputs
        Connection from what comes in; without one, inputs are currents ``(time, batch, neuron)``.
    recurrent
        Connection of the layer with itself.
    electrical
        Gap junctions within the layer: their currents, from the potentials one step before, add to those of synapses.
    bias
        Constant current, fixed or `learned`, for all neurons or per neuron.
    """

    def __init__(
        self,
        neuron: NeuronModel,
        neurons: int,
        *,
        inputs: Connection | None = None,
        recurrent: Connection | None = None,
        electrical: ElectricalConnection | None = None,
        bias: float | Tensor | Learned | Constant | None = None,
    ) -> None:
        super().__init__()
        check_kind("neuron", neuron, NeuronModel, example="LIF()")
        for name, given in (("inputs", inputs), ("recurrent", recurrent)):
            if given is not None:
                check_kind(name, given, Connection, example=f"Connection({neurons}, {neurons})")
        self.neuron, self.neurons = neuron, check_count("neurons", neurons)
        self.inputs, self.recurrent, self.electrical = inputs, recurrent, electrical
        self.bias = None if bias is None else constant("bias", bias)
        neuron.check_neurons(neurons)
        check_per_neuron("the layer", [("bias", self.bias)], neurons)
        if inputs is not None and inputs.post != neurons:
            raise ValueError(f"`inputs` ends on {inputs.post} neurons, but the layer has {neurons}.")
        if recurrent is not None and (recurrent.pre, recurrent.post) != (neurons, neurons):
            raise ValueError(
                f"`recurrent` goes from {recurrent.pre} to {recurrent.post} neurons, but the layer has {neurons}: "
                f"use Connection({neurons}, {neurons})."
            )
        self.potential = None if electrical is None else coupled_field(electrical, neuron, neurons)

    def forward(self, inputs: Tensor, state: LayerState | None = None, *, dt: float) -> tuple[Tensor, LayerState]:
        """Run the layer over a sequence.

        Parameters
        ----------
        inputs
            ``(time, batch, channel)``.
        state
            Where to start; at rest by default.
        dt
            Step in seconds, no longer than the smallest time constant of a model that is stepped by Euler's method.

        Returns
        -------
        emitted
            ``(time, batch, neuron)``.
        state
            Where the layer ended; differentiable, as is the start.
        """
        check_kind("inputs", inputs, Tensor, example="torch.zeros(steps, batch, channels)")
        if state is not None:
            check_kind("state", state, LayerState, example="layer.initial_state(batch, like)")
        if inputs.dim() != 3:
            raise ValueError(f"Inputs are {tuple(inputs.shape)}, but a layer takes (time, batch, channel).")
        check_stable("the layer", self.neuron, check_positive("dt", dt, "s"))
        steps, batch = inputs.shape[:2]
        weight = None if self.inputs is None else self.inputs.weight()
        links = []
        if self.recurrent is not None:
            links = links_of(self.recurrent, self.recurrent.weight(), pre=0, post=0, dt=dt)
        if self.electrical is not None:
            check_coupling_stable("the layer", self.electrical, self.neuron, dt)
            links.append(self.coupling(0, self.electrical.weight()))
        if state is None:
            like = self._outright(inputs[:1], weight, steps=len(inputs[:1]), batch=batch)
            reach = max([1, *(link.lag for link in links)])
            state = self.with_past(self.initial_state(batch, like), reach, dt=dt)
        arrived, weight, underway = self.arrivals(inputs, weight, state, steps=steps, dt=dt)
        current = self.external_current(arrived, weight, steps=steps, batch=batch)
        (run,) = adjoint.scan([self.population(current, state, dt=dt)], links)
        return run.emitted, LayerState(run.state, last_steps(state.history, run.emitted), underway)

    def coupling(self, place: int, conductance: Tensor) -> Link:
        """Return the gap junctions of population `place` as the engine takes them."""
        return Link(place, place, laplacian(conductance), field=self.potential)

    def with_past(self, state: LayerState, steps: int, *, dt: float) -> LayerState:
        """Return a state with `steps` steps behind it, silent ones where it has fewer, and silent inputs under way."""
        batch, neurons = state.history.shape[1:]
        missing = state.history.new_zeros(max(0, steps - len(state.history)), batch, neurons)
        history, underway = torch.cat([missing, state.history]), None
        if self.inputs is not None and (reach := self.inputs.lags(dt, soonest=0)[-1]):
            underway = history.new_zeros(reach, batch, self.inputs.pre)
        return LayerState(state.neuron, history, underway)

    def arrivals(
        self, inputs: Tensor | None, weight: Tensor | None, state: LayerState, *, steps: int, dt: float
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return inputs as they arrive, the weight that they meet, and what is under way after `steps` steps.

        Where delays differ, the channels are repeated for each, and the weight is split between them.
        """
        if self.inputs is None or weight is None or not (lags := self.inputs.lags(dt, soonest=0))[-1]:
            return inputs, weight, None
        if state.underway is None or len(state.underway) < lags[-1]:
            raise ValueError(
                f"The input connection has a delay of {lags[-1]} steps, but the state holds no inputs that are under "
                "way: start from a state of this network, such as initial_state(batch)."
            )
        sequence = held(inputs, steps, state.underway)
        self._check_inputs(sequence, weight)
        parts = self.inputs.parts(dt, weight, soonest=0)
        arrived = torch.cat([arriving(state.underway, sequence, lag) for lag, _ in parts], dim=-1)
        return arrived, torch.cat([part for _, part in parts], dim=1), last_steps(state.underway, sequence)

    def external_current(self, inputs: Tensor | None, weight: Tensor | None, *, steps: int, batch: int) -> Tensor:
        """Return the current from outside, ``(time, batch, neuron)``: inputs through `weight`, and the bias."""
        current = self._outright(inputs, weight, steps=steps, batch=batch)
        return current if self.bias is None else current + self.bias()

    def _outright(self, inputs: Tensor | None, weight: Tensor | None, *, steps: int, batch: int) -> Tensor:
        """Return inputs through `weight` as a current."""
        if inputs is None:
            like = self.like()
            current = like.new_zeros(1, 1, self.neurons)
        elif weight is None:
            current = inputs
        else:
            self._check_inputs(inputs, weight)
            # An input that is held (expanded along time) needs one product, not one for every step.
            held = len(inputs) > 1 and inputs.stride(0) == 0
            current = functional.linear(inputs[:1] if held else inputs, weight)
        if torch.is_autocast_enabled(current.device.type):
            # Autocast rounds the product of the inputs; the states keep the dtype of the layer.
            current = current.to(torch.promote_types(current.dtype, self.like().dtype))
        if current.shape[-1] != self.neurons:
            raise ValueError(
                f"Inputs have {current.shape[-1]} channels, but without an input connection the layer takes a current "
                f"for each of its {self.neurons} neurons: give it "
                f"`inputs=Connection({current.shape[-1]}, {self.neurons})`."
            )
        return current.expand(steps, batch, self.neurons)

    def from_outside(
        self, inputs: Tensor | None, weight: Tensor | None, *, steps: int, batch: int
    ) -> tuple[Tensor, tuple[Projection, ...]]:
        """Return the current from outside, and what the scan shall add to it.

        What would take more memory as a current enters the scan through its weight: data of no more channels than there
        are neurons, and the bias (through 1). Under autocast, which rounds that product, all is in the current.
        """
        if torch.is_autocast_enabled(self.like().device.type if inputs is None else inputs.device.type):
            return self.external_current(inputs, weight, steps=steps, batch=batch), ()
        projections = []
        if inputs is not None and weight is not None:
            self._check_inputs(inputs, weight)
            if not inputs.requires_grad and inputs.shape[-1] <= self.neurons:
                projections.append(Projection(inputs.expand(steps, batch, -1), weight))
                inputs = None
        if self.bias is not None:
            bias = self.bias()
            one = bias.new_ones(1, 1, 1).expand(steps, batch, 1)
            projections.append(Projection(one, bias.expand(self.neurons).unsqueeze(-1)))
        return self._outright(inputs, weight, steps=steps, batch=batch), tuple(projections)

    @staticmethod
    def _check_inputs(inputs: Tensor, weight: Tensor) -> None:
        if inputs.shape[-1] != weight.shape[1]:
            raise ValueError(
                f"Inputs have {inputs.shape[-1]} channels, but the input connection takes {weight.shape[1]}."
            )
        if inputs.dtype != weight.dtype and not torch.is_autocast_enabled(inputs.device.type):
            raise TypeError(
                f"Inputs are {inputs.dtype}, but the input connection is {weight.dtype}: cast them to one dtype, "
                "for instance with inputs.to(dtype) or network.to(dtype)."
            )

    def like(self) -> Tensor:
        """Return a tensor of the layer's dtype and device."""
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.is_floating_point():
                return tensor
        raise ValueError(
            "The layer has no floating-point parameter or buffer, so its dtype is unknown: give it inputs."
        )

    def initial_state(self, batch: int, like: Tensor, observation: Observation | None = None) -> LayerState:
        """Return the state at rest; `like` ends on the neuron axis and gives dtype and device."""
        neuron = self.neuron.initial_state(batch, like)
        if observation is not None:
            neuron = observation.initial_state(neuron, batch, like)
        return LayerState(neuron, like.new_zeros(1, batch, self.neurons))

    def population(
        self,
        current: Tensor,
        state: LayerState,
        *,
        dt: float,
        observation: Observation | None = None,
        forcing: Forcing | None = None,
    ) -> Population:
        """Return the layer as the engine takes it: `current` is ``(time, batch, neuron)``."""
        coefficients = self.neuron.coefficients(dt)
        if observation is not None:
            if forcing is not None:
                self._check_forcible(observation)
            instrument = None if observation.instrument is None else type(observation.instrument)
            drive = observation.drive(current.shape[0] // observation.steps_per_frame, forcing, current)
            step = ObservedStep(type(self.neuron), instrument)
            return Population(
                step, observation.coefficients(coefficients, dt), state.neuron, state.history, current, drive
            )
        drive = ()
        if forcing is not None:
            self._check_forcible(None)
            drive = (forcing.target, forcing.strength.reshape(-1, 1, 1))
        return Population(NeuronStep(type(self.neuron)), coefficients, state.neuron, state.history, current, drive)

    def _check_forcible(self, observation: Observation | None) -> None:
        """Raise if forcing would change nothing."""
        if type(self.neuron).force is not None or (observation is not None and observation.takes_forcing()):
            return
        raise ValueError(
            f"{type(self.neuron).__name__} cannot be forced, since its state cannot be read from data: give the "
            "network an `observation` with an instrument, such as Observation(Calcium(1.0))."
        )
