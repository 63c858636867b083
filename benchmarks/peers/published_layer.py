"""The published NeuroTorch 0.0.2: SequentialRNN of its spiking or Wilson-Cowan layer and its leaky integrator."""

from __future__ import annotations

from typing import Any

import torch
from peers.peer import AbsentError, Peer
from peers.problem import CHANNELS, OUTPUTS, Problem
from peers.published import published
from torch import Tensor

nt = published()


class Published(Peer):
    what = (
        "SequentialRNN(SpyLIFLayer or WilsonCowanLayer, LILayer), hh_memory_size=1; the spiking layer resets to zero "
        "(ours subtracts) and drops the current of the step after a spike; under Dale's law the input weights are "
        "signed too"
    )
    learned = "tau of Wilson-Cowan, none of the spiking layer's; under Dale's law the signs, behind a tanh"
    models = ("current-lif", "wilson-cowan")

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        if problem.setting.dtype != "float32":
            raise AbsentError("its layers are float32")
        n, c = problem.setting.neurons, problem.constants
        settings: dict[str, Any] = {
            "dt": c.dt,
            "use_recurrent_connection": True,
            "hh_init": "zeros",
            "forward_weights": problem.input_weight.T,
            "recurrent_weights": problem.recurrent_weight.T,
        }
        if problem.signs is not None:
            # Their sign is the tanh of a parameter: at 3 it is 0.995.
            settings |= {
                "force_dale_law": True,
                "recurrent_sign": 3 * problem.signs[:, None],
                "forward_sign": 3 * torch.where(torch.arange(CHANNELS) % 2 == 0, 1.0, -1.0)[:, None],
            }
        if problem.setting.model == "current-lif":
            layer = nt.SpyLIFLayer(CHANNELS, n, tau_syn=c.tau_syn, tau_mem=c.tau_mem, gamma=10.0, **settings)
        else:
            layer = nt.WilsonCowanLayer(CHANNELS, n, tau=c.tau_mem, learn_tau=True, **settings)
        readout = nt.LILayer(n, OUTPUTS, dt=c.dt, tau_out=c.tau_readout, forward_weights=problem.readout_weight.T)
        self.network = nt.SequentialRNN(layers=[layer.build(), readout.build()], hh_memory_size=1).build()
        self.inputs = problem.inputs.transpose(0, 1).contiguous()
        self.target = problem.target.transpose(0, 1).contiguous()

    def forward(self) -> Tensor:
        (output,) = self.network(self.inputs)[0].values()
        return (output - self.target).square().mean()

    def parameters(self) -> list[Tensor]:
        return [each for each in self.network.parameters() if each.requires_grad]

    @torch.no_grad()
    def activity(self) -> float:
        layer, emitted = self.network.get_layer(), []
        hook = layer.register_forward_hook(lambda _, __, output: emitted.append(output[0].mean()))
        self.forward()
        hook.remove()
        return float(torch.stack(emitted).mean())
