"""snntorch: its recurrent synaptic neuron step by step, and a leaky neuron without reset as readout."""

from __future__ import annotations

import math

import snntorch
import torch
from peers.peer import AbsentError, DaleSquare, Peer
from peers.problem import CHANNELS, OUTPUTS, Problem
from torch import Tensor
from torch.nn.utils import parametrize


class Snntorch(Peer):
    what = (
        "Linear on the sequence, RSynaptic in a loop, Linear on the sequence, Leaky(reset_mechanism='none') in a loop; "
        "the recurrent Linear has a bias; Dale's law by parametrize"
    )
    learned = "alpha and beta, beta of the readout, the bias of the recurrence"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        if problem.setting.dtype != "float32":
            raise AbsentError("its spikes are float32")
        n, c = problem.setting.neurons, problem.constants
        self.inputs = torch.nn.Linear(CHANNELS, n, bias=False)
        self.layer = snntorch.RSynaptic(
            alpha=math.exp(-c.dt / c.tau_syn),
            beta=math.exp(-c.dt / c.tau_mem),
            linear_features=n,
            learn_alpha=True,
            learn_beta=True,
            spike_grad=snntorch.surrogate.fast_sigmoid(slope=10),
        )
        self.linear = torch.nn.Linear(n, OUTPUTS, bias=False)
        self.readout = snntorch.Leaky(beta=math.exp(-c.dt / c.tau_readout), learn_beta=True, reset_mechanism="none")
        self.modules = torch.nn.ModuleList([self.inputs, self.layer, self.linear, self.readout])
        self.inputs.weight.data.copy_(problem.input_weight)
        self.layer.recurrent.weight.data.copy_(problem.recurrent_weight)
        self.layer.recurrent.bias.data.zero_()
        self.linear.weight.data.copy_(problem.readout_weight)
        if problem.signs is not None:
            parametrize.register_parametrization(self.layer.recurrent, "weight", DaleSquare(problem.signs))

    def forward(self) -> Tensor:
        state, emitted = self.layer.reset_mem(), []
        with parametrize.cached():
            for current in self.inputs(self.problem.inputs):
                state = self.layer(current, *state)
                emitted.append(state[0])
        spikes = torch.stack(emitted)
        self.spikes = spikes.detach()
        potential, output = self.readout.reset_mem(), []
        for current in self.linear(spikes):
            _, potential = self.readout(current, potential)
            output.append(potential)
        return (torch.stack(output) - self.problem.target).square().mean()

    def parameters(self) -> list[Tensor]:
        return [each for each in self.modules.parameters() if each.requires_grad]

    def activity(self) -> float:
        return float(self.spikes.mean())
