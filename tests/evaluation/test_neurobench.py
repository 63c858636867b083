"""Costs counted one product at a time in numpy, and by hand for a small network."""

import numpy as np
import pytest
import torch

from neurotorch.connections import Connection, no_self
from neurotorch.evaluation import NeuroBench, connection_sparsity, footprint, neurobench
from neurotorch.network import Layer, Network
from neurotorch.neurons import LIF, LeakyIntegrator

STEPS, SAMPLES, CHANNELS, UNITS, CLASSES = 6, 3, 4, 5, 2


def network():
    generator = torch.Generator().manual_seed(0)
    hidden = Layer(
        LIF(),
        UNITS,
        inputs=Connection(CHANNELS, UNITS, generator=generator),
        recurrent=Connection(UNITS, UNITS, mask=no_self(UNITS), generator=generator),
    )
    readout = Layer(LeakyIntegrator(), CLASSES, inputs=Connection(UNITS, CLASSES, generator=generator))
    return Network({"hidden": hidden, "readout": readout}, dt=0.005)


def inputs(spikes):
    values = 4 * torch.rand(STEPS, SAMPLES, CHANNELS, generator=torch.Generator().manual_seed(1))
    return (values > 2).float() if spikes else torch.where(values > 2, values, 0.0)


def counted(activity, weight):
    """Effective products, one by one."""
    total = 0
    for step in activity:
        for sample in step:
            for pre, value in enumerate(sample):
                total += sum(bool(value != 0 and w != 0) for w in weight[:, pre])
    return total


@pytest.mark.parametrize("spikes", [True, False])
def test_operations_are_those_counted_one_by_one(spikes):
    built, x = network(), inputs(spikes)
    emitted = built.run(x).runs[0].emitted.detach().numpy()
    before = np.concatenate([np.zeros_like(emitted[:1]), emitted[:-1]])
    weights = {name: weight.detach().numpy() for name, weight in built.effective_weights().items()}
    first = counted(x.numpy(), weights["hidden.inputs"])
    later = counted(before, weights["hidden.recurrent"]) + counted(emitted, weights["readout.inputs"])
    found = neurobench(built, [x])
    assert emitted.any()
    assert found.effective_acs == pytest.approx((later + spikes * first) / SAMPLES)
    assert found.effective_macs == pytest.approx((not spikes) * first / SAMPLES)
    assert found.dense == STEPS * (UNITS * CHANNELS + UNITS * UNITS + CLASSES * UNITS)
    assert found.activation_sparsity == pytest.approx((emitted == 0).mean())


def test_a_held_input_counts_at_every_step_and_batches_add_up():
    built, x = network(), inputs(False)[:1]
    held = neurobench(built, [x.expand(STEPS, -1, -1)])
    assert held == neurobench(built, [x.repeat(STEPS, 1, 1)])
    assert held == neurobench(built, [x[:, :1].expand(STEPS, -1, -1), x[:, 1:].expand(STEPS, -1, -1)])


def test_footprint_and_connection_sparsity():
    built = network()
    weights = UNITS * CHANNELS + UNITS * UNITS + CLASSES * UNITS
    constants = 2 + 1  # tau_mem and threshold of the neurons, tau_mem of the readout
    assert footprint(built) == 4 * (weights + constants) + UNITS * UNITS  # the mask is of bytes
    assert connection_sparsity(built) == pytest.approx(UNITS / weights)


def test_without_spikes_there_is_no_activation_sparsity_and_without_batches_an_error():
    alone = Network({"readout": Layer(LeakyIntegrator(), 2, inputs=Connection(4, 2))}, dt=0.1)
    found = neurobench(alone, [inputs(True)])
    assert isinstance(found, NeuroBench)
    assert found.activation_sparsity is None
    with pytest.raises(ValueError, match="at least one batch"):
        neurobench(alone, [])
