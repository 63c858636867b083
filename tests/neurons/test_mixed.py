"""Populations of several models: each neuron does what its own model does, under one recurrence and one Dale's law."""

import pytest
import torch

from neurotorch.connections import Connection, Dale
from neurotorch.core.config import build, describe
from neurotorch.core.trees import leaves
from neurotorch.data import Batch
from neurotorch.engine import adjoint, reference
from neurotorch.learning import BPTT, EProp, MeanSquaredError
from neurotorch.network import Layer, LayerState, Network, simulate
from neurotorch.neurons import (
    LIF,
    AdaptiveLIF,
    AdEx,
    CurrentRate,
    FiringRate,
    Izhikevich,
    LeakyIntegrator,
    MixedRate,
    MixedSpiking,
    Relu,
    WilsonCowan,
    learned,
)

DOUBLE, DT = torch.float64, 0.001
SIGNS = torch.tensor([1, -1, 1, 1, -1, 1, -1])
EXCITATORY, INHIBITORY = (torch.nonzero(sign == SIGNS).flatten() for sign in (1, -1))


def taus(count, low=0.01, high=0.03):
    return learned(torch.linspace(low, high, count, dtype=DOUBLE))


def spiking():
    return MixedSpiking.from_signs(
        SIGNS, excitatory=AdaptiveLIF(taus(4), 0.1, beta=0.3), inhibitory=LIF(taus(3, 0.005, 0.01), refractory=0.002)
    )


def balanced(generator, population, *, readout=False):
    recurrent = Connection(7, 7, dale=Dale(SIGNS), generator=generator)
    layers = {"cortex": Layer(population, 7, inputs=Connection(3, 7, generator=generator), recurrent=recurrent)}
    if readout:
        layers["readout"] = Layer(LeakyIntegrator(0.02), 2, inputs=Connection(7, 2, generator=generator))
    network = Network(layers, dt=DT).double()
    with torch.no_grad():
        for connection in network.connections().values():
            connection.set_weight(2 * connection.weight())
    return network


def test_the_neurons_of_each_part_do_what_its_model_does_alone(generator):
    network = balanced(generator, spiking())
    found = simulate(
        network, 3 * torch.rand(300, 2, 3, generator=generator, dtype=DOUBLE), record=("emitted", "currents")
    )
    spikes, currents = found.emitted["cortex"], found.currents["cortex"]
    assert 0.01 < float(spikes[..., EXCITATORY].mean()) < 0.5
    assert 0.01 < float(spikes[..., INHIBITORY].mean()) < 0.5
    parts = network.layers["cortex"].neuron.parts
    for name, own in (("excitatory", EXCITATORY), ("inhibitory", INHIBITORY)):
        alone, _ = Layer(parts[name], len(own))(currents[..., own], dt=DT)
        assert torch.equal(alone.detach(), spikes[..., own])


def test_a_rate_population_is_the_two_populations_joined_by_their_weights(generator):
    excitatory, inhibitory = FiringRate(taus(4, 0.05, 0.1), transfer=Relu()), WilsonCowan(0.02, 0.5)
    network = balanced(generator, MixedRate.from_signs(SIGNS, excitatory=excitatory, inhibitory=inhibitory))
    inputs = torch.rand(100, 2, 3, generator=generator, dtype=DOUBLE)
    found, _ = network(inputs)
    weights, x = network.effective_weights(), torch.zeros(2, 7, dtype=DOUBLE)
    tau, expected = excitatory.tau(), []
    for signal in inputs:
        current = signal @ weights["cortex.inputs"].T + x @ weights["cortex.recurrent"].T
        after = torch.zeros_like(x)
        after[:, EXCITATORY] = x[:, EXCITATORY] + DT / tau * (torch.relu(current[:, EXCITATORY]) - x[:, EXCITATORY])
        after[:, INHIBITORY] = x[:, INHIBITORY] + DT / 0.02 * (
            torch.sigmoid(current[:, INHIBITORY] - 0.5) - x[:, INHIBITORY]
        )
        expected.append(x := after)
    # float32 constants of the model, in float64: 0.02 and 0.5 are given as such
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-6, atol=1e-7)


def test_what_a_part_shows_is_what_its_model_shows(generator):
    population = MixedRate({"a": CurrentRate(0.05), "b": FiringRate(0.05)}, ["a", "b", "b"])
    layer = Layer(population.double(), 3)
    network = Network({"x": layer}, dt=DT)
    signal = torch.randn(50, 1, 3, generator=generator, dtype=DOUBLE)
    run = network.run(signal)
    emitted = run.runs[0].emitted
    torch.testing.assert_close(torch.tanh(run.output[..., 0]), emitted[..., 0], rtol=1e-12, atol=1e-14)
    assert torch.equal(run.output[..., 1:], emitted[..., 1:])


@pytest.mark.parametrize("rule", [BPTT, EProp])
def test_a_mixed_population_trains_under_dales_law(rule, generator):
    network = balanced(generator, spiking(), readout=True)
    batch = Batch(
        torch.rand(60, 2, 2, generator=generator, dtype=DOUBLE),
        3 * torch.rand(60, 2, 3, generator=generator, dtype=DOUBLE),
    )
    rule = rule(network, MeanSquaredError(), optimizer=torch.optim.Adam(network.parameters(), lr=0.02))
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    losses = []
    for _ in range(15):
        losses.append(rule.compute(batch).loss)
        rule.apply()
        assert network.dale_violations() == 0
    assert losses[-1] < losses[0]
    assert all(not torch.equal(before[name], p) for name, p in network.named_parameters())


def test_gradients_of_the_constants_of_a_part_are_those_of_the_reference_loop(generator, monkeypatch):
    network = balanced(generator, spiking())
    inputs = 3 * torch.rand(60, 2, 3, generator=generator, dtype=DOUBLE)
    ramp, found = torch.randn(60, 2, 7, generator=generator, dtype=DOUBLE), {}
    for name, scan in (("compiled", adjoint.scan), ("loop", reference.scan)):
        monkeypatch.setattr(adjoint, "scan", scan)
        output, _ = network(inputs)
        found[name] = torch.autograd.grad((ramp * output).sum(), list(network.parameters()))
    for one, other in zip(found["compiled"], found["loop"], strict=True):
        assert float(other.norm()) > 0
        assert float((one - other).norm()) <= 1e-9 * float(other.norm())  # another order of sums


def test_what_belongs_to_no_neuron_of_a_part_stays_at_rest(generator):
    # a current of 50 would let an exponential neuron explode; here it is for the others
    population = MixedSpiking({"a": AdEx(), "b": LIF()}, ["a", "b"]).double()
    layer = Layer(population, 2)
    current = torch.tensor([1.0, 1e6], dtype=DOUBLE).expand(400, 1, 2)
    emitted, state = layer(current, dt=1e-4)
    assert emitted.sum(0).gt(0).all()
    rest = population.initial_state(1, current[0])
    adex, lif = state.neuron.parts
    assert adex.v_mv[0, 1] == rest.parts[0].v_mv[0, 1]
    assert lif.v[0, 0] == 0
    assert isinstance(state, LayerState)


def test_it_is_described_saved_and_built_again(generator):
    network = balanced(generator, spiking())
    text, saved = describe(network), network.state_dict()
    assert not [name for name in saved if "_here" in name or "_places" in name]
    again = build(text, tensors=saved).double()
    again.load_state_dict(saved)
    inputs = 3 * torch.rand(80, 1, 3, generator=generator, dtype=DOUBLE)
    assert torch.equal(again(inputs)[0], network(inputs)[0])
    assert again.layers["cortex"].neuron.members == network.layers["cortex"].neuron.members
    assert build(describe(network)).layers["cortex"].neuron.members == again.layers["cortex"].neuron.members


def test_the_state_of_every_part_is_of_the_whole_population():
    state = spiking().initial_state(5, torch.zeros(1, 7, dtype=DOUBLE))
    assert {tuple(leaf.shape) for leaf in leaves(state)} == {(5, 7)}


BAD = {
    "a part that emits rates": (
        lambda: MixedSpiking({"a": LIF(), "b": FiringRate()}, ["a", "b"]),
        ValueError,
        r"'b' is a FiringRate, which does not emit and show spikes",
    ),
    "a part that spikes": (
        lambda: MixedRate({"a": LIF()}, ["a"]),
        ValueError,
        r"'a' is a LIF, which does not emit rates",
    ),
    "no model": (lambda: MixedSpiking({"a": LIF}, ["a"]), TypeError, r"'a' is a \w+, but it must be a neuron model"),
    "an unknown part": (
        lambda: MixedSpiking({"fast": LIF(), "slow": LIF()}, ["fast", "slw"]),
        ValueError,
        r"names 'slw'; there are \['fast', 'slow'\]. Did you mean 'slow'",
    ),
    "a part without neurons": (
        lambda: MixedSpiking({"fast": LIF(), "slow": LIF()}, ["fast"]),
        ValueError,
        r"No neuron is of part 'slow'",
    ),
    "no parts": (lambda: MixedSpiking({}, []), ValueError, r"at least one part"),
    "a free type": (
        lambda: MixedSpiking.from_signs([1, 0, -1, 0], excitatory=LIF(), inhibitory=Izhikevich()),
        ValueError,
        r"neurons \[1, 3\] have neither",
    ),
    "another number of neurons": (
        lambda: Layer(MixedSpiking({"a": LIF()}, ["a"] * 3), 4),
        ValueError,
        r"names the parts of 3 neurons, but the layer has 4",
    ),
    "constants for the whole population": (
        lambda: Layer(MixedSpiking({"a": LIF(torch.ones(4)), "b": LIF()}, ["a", "a", "a", "b"]), 4),
        ValueError,
        r"In part 'a', which has 3 of the 4 neurons: `tau_mem` has 4 values",
    ),
    "a recording": (lambda: MixedRate.for_frames(0.1, 5), TypeError, r"build its parts"),
}


@pytest.mark.parametrize(("make", "error", "message"), BAD.values(), ids=BAD.keys())
def test_a_population_that_cannot_be_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
