"""Delays, gap junctions, shared types, rewiring and a learned start in one network: trained, saved, continued."""

from __future__ import annotations

import copy

import pytest
import torch

from neurotorch.connections import (
    Balanced,
    Connection,
    Dale,
    ElectricalConnection,
    NoInputWarning,
    Projected,
    harden_types,
    sparse,
)
from neurotorch.core.config import build, describe
from neurotorch.core.storage import load_json, load_tensors, save_json, save_tensors
from neurotorch.data import Batch
from neurotorch.learning import BPTT, EProp, MeanSquaredError
from neurotorch.network import Layer, Network
from neurotorch.neurons import AdaptiveCurrentLIF, FiringRate, LeakyIntegrator, learned
from neurotorch.training import Checkpoint, DeepR, Trainer

NEURONS = 12
MODELS = {"rates": lambda: FiringRate(learned(0.01)), "spikes": AdaptiveCurrentLIF}
RULES = {
    "BPTT": lambda network, optimizer: BPTT(network, MeanSquaredError(), optimizer=optimizer),
    "e-prop": lambda network, optimizer: EProp(network, MeanSquaredError(), optimizer=optimizer),
}
# a random mask, and rewiring, may leave a neuron without input
pytestmark = pytest.mark.filterwarnings(f"ignore::{NoInputWarning.__module__}.{NoInputWarning.__name__}")


def made(model):
    generator = torch.Generator().manual_seed(0)
    dale = Dale.fraction(NEURONS, 0.75, magnitude=Projected(), generator=generator)
    delays = 0.001 * torch.randint(1, 4, (NEURONS, NEURONS), generator=generator)
    recurrent = Connection(
        NEURONS,
        NEURONS,
        dale=dale,
        mask=sparse(NEURONS, NEURONS, density=0.4, generator=generator),
        delay=delays,
        init=Balanced(0.8),
        generator=generator,
    )
    joined = sparse(NEURONS, NEURONS, density=0.2, generator=generator)
    cortex = Layer(
        MODELS[model](),
        NEURONS,
        inputs=Connection(3, NEURONS, delay=0.002, generator=generator),
        recurrent=recurrent,
        electrical=ElectricalConnection(NEURONS, mask=joined | joined.T),
        bias=learned(torch.full((NEURONS,), 0.05)),
    )
    readout = Layer(LeakyIntegrator(), 2, inputs=Connection(NEURONS, 2, dale=dale, generator=generator))
    return Network({"cortex": cortex, "readout": readout}, dt=0.001, learned_start=True)


def batches():
    generator = torch.Generator().manual_seed(5)
    draw = [torch.rand(40, 3, width, generator=generator) for width in (2, 3, 2, 3)]
    return [Batch(target, inputs) for target, inputs in zip(draw[::2], draw[1::2], strict=True)]


def trainer(network, rule, *callbacks):
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    return Trainer(RULES[rule](network, optimizer), callbacks=[DeepR("cortex.recurrent", l1=0.5), *callbacks])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("rule", RULES)
def test_training_keeps_the_structure_and_goes_on_bit_for_bit(model, rule, tmp_path):
    whole, first, second = made(model), made(model), made(model)
    before = {name: value.clone() for name, value in whole.state_dict().items()}
    trainer(whole, rule).fit(batches(), epochs=6)
    trainer(first, rule, Checkpoint(tmp_path)).fit(batches(), epochs=3)
    trainer(second, rule).fit(batches(), epochs=6, resume_from=tmp_path)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], value, rtol=0, atol=0)
    recurrent, conductance = whole.layers["cortex"].recurrent, whole.effective_weights()["cortex.electrical"]
    moved = before["layers.cortex.recurrent.mask"] != recurrent.mask
    assert moved.any()
    assert int(recurrent.mask.sum()) == int(before["layers.cortex.recurrent.mask"].sum())
    assert whole.dale_violations() == 0
    assert torch.equal(conductance, conductance.T)
    assert bool((conductance >= 0).all())
    for part in ("start.neurons.0.0", "layers.cortex.electrical.raw", "layers.readout.inputs.raw"):
        assert not torch.equal(before[part], whole.state_dict()[part]), part


@pytest.mark.parametrize("model", MODELS)
def test_a_saved_network_is_the_same_network(model, tmp_path):
    network = made(model)
    trainer(network, "BPTT").fit(batches(), epochs=3)
    save_json(tmp_path / "network.json", describe(network))
    save_tensors(tmp_path / "network.safetensors", network.state_dict())
    tensors = load_tensors(tmp_path / "network.safetensors")
    again = build(load_json(tmp_path / "network.json"), tensors=tensors)
    again.load_state_dict(tensors)
    inputs = batches()[0].inputs
    with torch.no_grad():
        expected, _ = network(inputs)
        for other in (again, copy.deepcopy(network)):
            assert torch.equal(other(inputs)[0], expected)
            assert other.layers["cortex"].recurrent.dale is other.layers["readout"].inputs.dale
        wide, _ = copy.deepcopy(network).double()(inputs.double())
    assert wide.dtype == torch.float64
    torch.testing.assert_close(wide.float(), expected, rtol=1e-4, atol=1e-5)  # rounding over 40 steps


def test_inferred_types_are_saved_with_what_was_found():
    dale = Dale.inferred(4, known={"0": "excitatory"})
    network = Network({"a": Layer(FiringRate(0.1), 4, recurrent=Connection(4, 4, dale=dale))}, dt=0.01)
    for decided in (False, True):
        if decided:
            harden_types(network)
        tensors = network.state_dict()
        again = build(describe(network), tensors=tensors)
        again.load_state_dict(tensors)
        one, other = dale.types(), again.layers["a"].recurrent.dale.types()
        assert again.layers["a"].recurrent.dale.undecided == dale.undecided == (0 if decided else 3)
        for field in ("signs", "inferred", "lean", "agreement"):
            torch.testing.assert_close(getattr(one, field), getattr(other, field), rtol=0, atol=0, equal_nan=True)
