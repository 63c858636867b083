"""norse: its recurrent LIF layer over a sequence, a linear map and its leaky integrator."""

from __future__ import annotations

import math

import torch
from norse.torch import LI, LIFRecurrent
from norse.torch.functional.leaky_integrator import LIParameters
from norse.torch.functional.lif import LIFParameters
from peers.peer import DaleSquare, Peer
from peers.problem import CHANNELS, OUTPUTS, Problem
from torch import Tensor
from torch.nn.utils import parametrize


class Norse(Peer):
    what = (
        "LIFRecurrent, Linear, LI; Euler's method with constants such that decays are ours, weights over dt / tau_mem; "
        "resets to zero (ours subtracts), its surrogate has slope 1 (ours 10), the readout has a synaptic current; "
        "Dale's law by parametrize"
    )
    learned = "tau_syn_inv and tau_mem_inv, those of the readout"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        n, c = problem.setting.neurons, problem.constants
        rates = [rate(tau, c.dt) for tau in (c.tau_syn, c.tau_mem, c.tau_syn, c.tau_readout)]
        self.rates = [torch.tensor(each, requires_grad=True) for each in rates]
        gain = rates[1] * c.dt
        self.layer = LIFRecurrent(
            CHANNELS,
            n,
            p=LIFParameters(self.rates[0], self.rates[1]),
            input_weights=torch.nn.Parameter(problem.input_weight / gain),
            recurrent_weights=torch.nn.Parameter(problem.recurrent_weight / gain),
            autapses=True,
            dt=c.dt,
        )
        if problem.signs is not None:
            parametrize.register_parametrization(self.layer, "recurrent_weights", DaleSquare(problem.signs))
        self.linear = torch.nn.Linear(n, OUTPUTS, bias=False)
        self.linear.weight.data.copy_(problem.readout_weight)
        self.readout = LI(p=LIParameters(self.rates[2], self.rates[3]), dt=c.dt)

    def forward(self) -> Tensor:
        with parametrize.cached():
            spikes, _ = self.layer(self.problem.inputs)
        self.spikes = spikes.detach()
        output, _ = self.readout(self.linear(spikes))
        return (output - self.problem.target).square().mean()

    def parameters(self) -> list[Tensor]:
        return [*self.layer.parameters(), *self.linear.parameters(), *self.rates]

    def activity(self) -> float:
        return float(self.spikes.mean())


def rate(tau: float, dt: float) -> float:
    """Return the inverse time constant at which Euler's decay ``1 - dt / tau`` is ``exp(-dt / tau)``."""
    return (1 - math.exp(-dt / tau)) / dt
