"""An input that is held over time (expanded, not copied) gives what the same input copied gives."""

import torch

from neurotorch.connections import Connection
from neurotorch.network import Layer, Network
from neurotorch.neurons import LIF, LeakyIntegrator, learned


def test_output_and_gradients_are_those_of_copies():
    generator = torch.Generator().manual_seed(0)
    hidden = Layer(LIF(), 6, inputs=Connection(20, 6, generator=generator), bias=learned(torch.zeros(6)))
    readout = Layer(LeakyIntegrator(), 3, inputs=Connection(6, 3, generator=generator))
    network = Network({"hidden": hidden, "readout": readout}, dt=0.005).double()
    frame = torch.rand(1, 4, 20, generator=generator, dtype=torch.float64)
    found = []
    for inputs in (frame.expand(9, -1, -1), frame.repeat(9, 1, 1)):
        network.zero_grad()
        run = network.run(inputs)
        run.output.square().sum().backward()
        found.append(
            (run.output.detach(), run.runs[0].emitted.detach(), *[p.grad.clone() for p in network.parameters()])
        )
    assert found[0][1].any()
    for held, copied in zip(*found, strict=True):
        torch.testing.assert_close(held, copied, rtol=1e-12, atol=1e-12)  # float64, another order of summation
