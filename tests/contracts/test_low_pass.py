"""The low-pass output of every spiking model: the instrument sees ``f' = lambda f + z``, others the spikes."""

import math

import pytest
import torch

from neurotorch.connections import Connection
from neurotorch.network import Layer, Network, Observation
from neurotorch.neurons import LeakyIntegrator
from tests.contracts.models import DOUBLE, VARIANTS, lively_currents, scattered, time_step

SPIKING = {name: factory for name, factory in VARIANTS.items() if factory().emits == "spikes"}
STEPS, BATCH, COUNT = 60, 2, 5


@pytest.mark.parametrize("factory", SPIKING.values(), ids=SPIKING.keys())
def test_spikes_are_seen_low_passed(factory, generator):
    model = scattered(factory, COUNT, generator)
    dt = time_step(model)
    tau = 8 * dt
    currents = lively_currents(model, STEPS, BATCH, COUNT, generator)
    recurrent = Connection(COUNT, COUNT, generator=generator).double()
    with torch.no_grad():
        recurrent.raw.mul_(0.1 * float(currents.mean()))
    observation = Observation(LeakyIntegrator(torch.tensor(tau, dtype=DOUBLE)))
    network = Network({"cortex": Layer(model, COUNT, recurrent=recurrent)}, dt=dt, observation=observation).double()
    run = network.run(currents)
    spikes, filtered = run.runs[0].emitted.detach(), torch.zeros(BATCH, COUNT, dtype=DOUBLE)
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    for z, seen in zip(spikes, run.output.detach(), strict=True):
        filtered = math.exp(-dt / tau) * filtered + z
        torch.testing.assert_close(seen, filtered, rtol=1e-12, atol=1e-12)
    plain = Network({"cortex": network.layers["cortex"]}, dt=dt)
    assert torch.equal(plain.run(currents).output.detach(), spikes), "what is seen acts on nobody"
