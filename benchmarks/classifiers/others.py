"""Classifiers of norse and snntorch: the size, start, data, batches, loss and optimizer of ours, in their own loops.

Each follows the loop of its library's tutorial: at every step a linear map, a neuron, a linear map, a leaky integrator.
Their time constants are those that ours start from, and learned where the library can.
"""

from __future__ import annotations

import math

import snntorch
import torch
from torch import Tensor, nn

from neurotorch.network import Network
from neurotorch.runs.classification import ClassifierBlueprint


class Snntorch(nn.Module):
    """`Leaky` or `RSynaptic`, whose fast sigmoid has our slope, and `Leaky` without reset as the readout."""

    def __init__(self, network: Network, blueprint: ClassifierBlueprint) -> None:
        super().__init__()
        weights, dt, b = network.effective_weights(), network.dt, blueprint
        self.first, self.second = linear(weights["hidden.inputs"]), linear(weights["readout.inputs"])
        options = {"spike_grad": snntorch.surrogate.fast_sigmoid(slope=b.slope)}
        decay = math.exp(-dt / b.tau_mem)
        learn = b.learned_constants
        self.recurrent = b.recurrent
        if b.recurrent:
            self.neurons = snntorch.RSynaptic(
                alpha=math.exp(-dt / b.tau_syn),
                beta=decay,
                linear_features=b.units[0],
                learn_alpha=learn,
                learn_beta=learn,
                **options,
            )
            self.neurons.recurrent.weight.data.copy_(weights["hidden.recurrent"])
            self.neurons.recurrent.bias.data.zero_()
        else:
            self.neurons = snntorch.Leaky(beta=decay, learn_beta=learn, **options)
        self.readout = snntorch.Leaky(beta=math.exp(-dt / b.tau_readout), learn_beta=learn, reset_mechanism="none")

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return output and spikes, both ``(time, batch, neuron)``."""
        state = self.neurons.reset_mem()
        state = state if isinstance(state, tuple) else (state,)
        potential, output, spikes = self.readout.reset_mem(), [], []
        for frame in inputs:
            if self.recurrent:
                state = self.neurons(self.first(frame), *state)
                emitted = state[0]
            else:
                emitted, *state = self.neurons(self.first(frame), *state)
            _, potential = self.readout(self.second(emitted), potential)
            output.append(potential)
            spikes.append(emitted)
        return torch.stack(output), torch.stack(spikes)


class Norse(nn.Module):
    """`LIFBoxCell` or `LIFRecurrentCell`, and `LIBoxCell` as the readout; Euler's method with our decays.

    It resets to zero and its surrogate is a SuperSpike of slope `alpha`; weights are over ``dt / tau_mem``, so that a
    step adds the same current. Its time constants are not learned.
    """

    def __init__(self, network: Network, blueprint: ClassifierBlueprint) -> None:
        super().__init__()
        import norse.torch as norse
        from norse.torch.functional.leaky_integrator_box import LIBoxParameters

        weights, dt, b = network.effective_weights(), network.dt, blueprint
        mem, syn, out = (torch.tensor((1 - math.exp(-dt / tau)) / dt) for tau in (b.tau_mem, b.tau_syn, b.tau_readout))
        slope = torch.tensor(b.slope)
        self.recurrent = b.recurrent
        gain = float(mem) * dt
        self.first = linear(weights["hidden.inputs"] / gain)
        if b.recurrent:
            # Its synaptic current takes the inputs of the step before.
            self.neurons = norse.LIFRecurrentCell(
                b.units[0],
                b.units[0],
                p=norse.LIFParameters(tau_syn_inv=syn, tau_mem_inv=mem, alpha=slope),
                dt=dt,
                autapses=True,
                input_weights=nn.Parameter(torch.eye(b.units[0]), requires_grad=False),
                recurrent_weights=nn.Parameter(weights["hidden.recurrent"].detach() / gain),
            )
        else:
            self.neurons = norse.LIFBoxCell(p=norse.LIFBoxParameters(tau_mem_inv=mem, alpha=slope), dt=dt)
        self.second = linear(weights["readout.inputs"] / (float(out) * dt))
        self.readout = norse.LIBoxCell(p=LIBoxParameters(tau_mem_inv=out), dt=dt)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return output and spikes, both ``(time, batch, neuron)``."""
        state, after, output, spikes = None, None, [], []
        for frame in inputs:
            emitted, state = self.neurons(self.first(frame), state)
            potential, after = self.readout(self.second(emitted), after)
            output.append(potential)
            spikes.append(emitted)
        return torch.stack(output), torch.stack(spikes)


def linear(weight: Tensor) -> nn.Linear:
    """Return a linear map that starts from a weight, its bias from zero."""
    made = nn.Linear(weight.shape[1], weight.shape[0])
    made.weight.data.copy_(weight.detach())
    made.bias.data.zero_()
    return made


PEERS = {"norse": Norse, "snntorch": Snntorch}
