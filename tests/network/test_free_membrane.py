"""After the start from data the free membrane varies by the threshold, whatever the inputs are."""

import numpy as np
import pytest
import torch

from neurotorch.connections import Connection, Dale
from neurotorch.network import Layer, Network, start_at_threshold_
from neurotorch.neurons import LIF, CurrentLIF, LeakyIntegrator

DT = 0.004


def inputs(scale, *, held=False):
    generator = torch.Generator().manual_seed(1)
    values = scale * torch.rand(1 if held else 20, 50, 7, generator=generator)
    return values.expand(20, -1, -1) if held else values


def free_potential(current, tau_mem, tau_syn=None):
    """The membrane equation without spikes, in float64."""
    v, i, seen = np.zeros(current.shape[1:]), np.zeros(current.shape[1:]), []
    for now in current:
        i = now if tau_syn is None else np.exp(-DT / tau_syn) * i + now
        v = np.exp(-DT / tau_mem) * v + i
        seen.append(v)
    return np.stack(seen)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
@pytest.mark.parametrize("held", [True, False])
def test_the_free_membrane_varies_by_the_threshold(scale, held):
    threshold = torch.tensor([0.5, 1.0, 2.0, 1.5])
    generator = torch.Generator().manual_seed(0)
    dale = Dale.fraction(7, 0.5)
    hidden = Layer(LIF(0.02, threshold), 4, inputs=Connection(7, 4, dale=dale, generator=generator))
    second = Layer(CurrentLIF(0.01, 0.03), 5, inputs=Connection(4, 5, generator=generator))
    readout = Layer(LeakyIntegrator(), 3, inputs=Connection(5, 3, generator=generator))
    network = Network({"hidden": hidden, "second": second, "readout": readout}, dt=DT)
    before = readout.inputs.weight().detach()
    x = inputs(scale, held=held)
    start_at_threshold_(network, x, deviation=0.8)
    weights = {name: weight.detach().double().numpy() for name, weight in network.effective_weights().items()}
    potential = free_potential(x.double().numpy() @ weights["hidden.inputs"].T, 0.02)
    np.testing.assert_allclose(potential.std((0, 1)), 0.8 * threshold.numpy(), rtol=1e-2)  # n or n - 1, float32
    spikes = network.run(x).runs[0].emitted.detach().double().numpy()
    assert spikes.any()
    potential = free_potential(spikes @ weights["second.inputs"].T, 0.03, 0.01)
    np.testing.assert_allclose(potential.std((0, 1)), 0.8, rtol=1e-2)
    assert network.dale_violations() == 0
    torch.testing.assert_close(readout.inputs.weight().detach(), before, rtol=0, atol=0)


def test_a_silent_input_leaves_the_weights():
    hidden = Layer(LIF(), 4, inputs=Connection(7, 4, generator=torch.Generator().manual_seed(0)))
    before = hidden.inputs.weight().detach()
    start_at_threshold_(Network({"hidden": hidden}, dt=DT), torch.zeros(20, 3, 7))
    torch.testing.assert_close(hidden.inputs.weight().detach(), before)
