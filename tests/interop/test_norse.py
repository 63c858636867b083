"""Neurons of norse in networks of ours: the same spikes and gradients as norse's own step in a loop."""

import copy
import pickle

import pytest
import torch

from neurotorch.connections import Connection, Dale
from neurotorch.core.config import build, describe
from neurotorch.data import Batch
from neurotorch.engine.choice import choose
from neurotorch.interop import NorseNeuron, from_norse
from neurotorch.learning import BPTT, FORCE, EProp, FiringRatePenalty, MeanSquaredError, ThreeFactor, TruncatedBPTT
from neurotorch.network import Layer, Network
from neurotorch.neurons import LeakyIntegrator
from tests.contracts.models import lively_currents

norse = pytest.importorskip("norse.torch")
functional = pytest.importorskip("norse.torch.functional.izhikevich")

DOUBLE, DT, STEPS, BATCH, COUNT = torch.float64, 0.001, 60, 2, 6

CELLS = {
    "LIF": lambda: norse.LIFCell(),
    "LIF with another surrogate": lambda: norse.LIFCell(norse.LIFParameters(method="tanh", alpha=torch.tensor(2.0))),
    "IAF": lambda: norse.IAFCell(),
    "LIF box": lambda: norse.LIFBoxCell(),
    "adaptive LIF": lambda: norse.LSNNCell(),
    "exponential": lambda: norse.LIFExCell(),
    "adaptive exponential": lambda: norse.LIFAdExCell(),
    "refractory": lambda: norse.LIFRefracCell(),
    "refractory adaptive exponential": lambda: norse.LIFAdExRefracCell(),
    "Izhikevich": lambda: norse.IzhikevichCell(functional.tonic_spiking),
    "leaky integrator": lambda: norse.LICell(),
    "leaky integrator without a synapse": lambda: norse.LIBoxCell(),
}
each_cell = pytest.mark.parametrize("make", CELLS.values(), ids=CELLS.keys())


def learnable(neuron):
    """Return a parameter on which spikes depend smoothly."""
    return next(name for name in neuron.constants if name.endswith(("tau_mem_inv", "tau_inv", "v_th")))


def double(tree):
    if isinstance(tree, torch.Tensor):
        return tree.double()
    if isinstance(tree, tuple):
        return type(tree)(*(double(branch) for branch in tree))
    return tree


def recurrent(neuron, generator, *, readout=False):
    """Return a lively recurrent network under Dale's law, and currents."""
    currents = lively_currents(neuron.double(), STEPS, BATCH, COUNT, generator)
    connection = Connection(COUNT, COUNT, dale=Dale.fraction(COUNT, 0.5), generator=generator).double()
    layers = {"cortex": Layer(neuron, COUNT, recurrent=connection)}
    if readout:
        layers["readout"] = Layer(LeakyIntegrator(0.01), 2, inputs=Connection(COUNT, 2, generator=generator))
    network = Network(layers, dt=DT).double()
    with torch.no_grad():
        connection.set_weight(0.3 * float(currents.mean()) * connection.weight())
    return network, currents


@each_cell
def test_spikes_and_gradients_are_those_of_the_cell_in_a_loop(make, generator):
    cell = make()
    name = learnable(from_norse(cell))
    neuron = from_norse(cell, learn=[name])
    network, currents = recurrent(neuron, generator)
    currents.requires_grad_()
    output, _ = network(currents)
    ramp = torch.randn(output.shape, generator=generator, dtype=DOUBLE)
    wanted = [currents, network.layers["cortex"].recurrent.raw, neuron.constants[name].raw]
    found = torch.autograd.grad((ramp * output).sum(), wanted)

    weight = network.effective_weights()["cortex.recurrent"]
    parameters, state = neuron.coefficients(DT).p, double(cell.state_fallback(torch.zeros(BATCH, COUNT)))
    z, emitted = torch.zeros(BATCH, COUNT, dtype=DOUBLE), []
    for current in currents:
        z, state = cell.activation(current + z @ weight.T, state, parameters, DT)
        emitted.append(z)
    theirs = torch.stack(emitted)
    if neuron.emits == "spikes":
        assert 0.01 < float(theirs.detach().mean()) < 0.7
        assert torch.equal(output.detach(), theirs.detach())
    torch.testing.assert_close(output, theirs, rtol=1e-12, atol=1e-12)
    for one, other in zip(found, torch.autograd.grad((ramp * theirs).sum(), wanted), strict=True):
        assert float(other.norm()) > 0
        assert float((one - other).norm()) <= 1e-9 * float(other.norm())  # float64, another order of sums


@pytest.mark.parametrize(
    "rule",
    [BPTT, lambda *a, **k: TruncatedBPTT(*a, k1=20, k2=30, **k), EProp, lambda *a, **k: EProp(*a, online=True, **k)],
    ids=["BPTT", "truncated", "e-prop", "online e-prop"],
)
@pytest.mark.parametrize("name", ["LIF", "adaptive LIF", "refractory adaptive exponential", "Izhikevich"])
def test_every_rule_trains_it_under_dales_law(name, rule, generator):
    neuron = from_norse(CELLS[name]())
    network, currents = recurrent(from_norse(CELLS[name](), learn=[learnable(neuron)]), generator, readout=True)
    batch = Batch(torch.rand(STEPS, BATCH, 2, generator=generator, dtype=DOUBLE), currents)
    rule = rule(network, MeanSquaredError(), optimizer=torch.optim.Adam(network.parameters(), lr=0.02))
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    losses = []
    for _ in range(8):
        losses.append(rule.compute(batch).loss)
        rule.apply()
        assert network.dale_violations() == 0
    assert losses[-1] < losses[0]
    for name, parameter in network.named_parameters():
        assert bool(torch.isfinite(parameter).all())
        assert not torch.equal(before[name], parameter), name


def test_online_eprop_is_offline_eprop(generator):
    network, currents = recurrent(from_norse(norse.LSNNCell(), learn=["tau_mem_inv"]), generator, readout=True)
    batch = Batch(torch.rand(STEPS, BATCH, 2, generator=generator, dtype=DOUBLE), currents)
    found = []
    for online in (False, True):
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        EProp(network, MeanSquaredError(), optimizer=optimizer, online=online).compute(batch)
        found.append([p.grad.clone() for p in network.parameters()])
    for one, other in zip(*found, strict=True):
        assert float((one - other).norm()) <= 1e-9 * float(one.norm())


def test_the_three_factor_rule_and_force_take_it_too(generator):
    network, currents = recurrent(from_norse(norse.LSNNCell()), generator, readout=True)
    target = torch.rand(STEPS, BATCH, 2, generator=generator, dtype=DOUBLE)
    before = network.layers["cortex"].recurrent.raw.detach().clone()
    rule = ThreeFactor(
        network,
        lambda output, batch: -(output - batch.target).square().mean(-1),
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
    )
    rule.compute(Batch(target, currents))
    rule.apply()
    after = network.layers["cortex"].recurrent.raw.detach()
    assert bool(torch.isfinite(after).all())
    assert not torch.equal(after, before)
    rule = FORCE(network, alpha=1.0)
    losses = [rule.compute(Batch(target[:, :1], currents[:, :1])).loss for _ in range(5)]
    assert losses[-1] < losses[0]
    assert network.dale_violations() == 0


def test_integrators_run_compiled_and_spikes_of_norse_in_torch():
    for make, compiled in ((CELLS["leaky integrator"], True), (CELLS["LIF"], False)):
        layer = Layer(from_norse(make()), 3)
        current = torch.zeros(20, 1, 3)
        population = layer.population(current, layer.initial_state(1, current), dt=DT)
        assert (choose([population], []) is not None) == compiled


def test_a_step_with_its_parameters_is_the_cell(generator):
    p = norse.LIFParameters(tau_mem_inv=torch.tensor(70.0), v_th=torch.tensor(0.8))
    step = norse.functional.lif.lif_feed_forward_step
    cell, by_step, module = from_norse(norse.LIFCell(p)), from_norse(step, p), from_norse(norse.LIF(p))
    assert describe(cell.constants) == describe(by_step.constants) == describe(module.constants)
    assert from_norse(step).constants["v_th"].value.item() == 1.0


def test_it_starts_where_norse_does_and_per_neuron_constants_reach_their_neurons(generator):
    neuron = from_norse(norse.IzhikevichCell(functional.tonic_spiking))
    assert neuron.initial_state(2, torch.zeros(1, 3)).norse.v.tolist() == [[-70.0] * 3] * 2
    p = norse.LIFParameters(v_th=torch.tensor([0.5, 1e9]))
    layer = Layer(from_norse(norse.LIFCell(p)), 2)
    emitted, _ = layer(torch.ones(100, 1, 2), dt=DT)
    assert emitted[..., 0].any()
    assert not emitted[..., 1].any()
    with pytest.raises(ValueError, match="`v_th` has 2 values, but the layer has 3 neurons"):
        Layer(from_norse(norse.LIFCell(p)), 3)


def test_it_is_copied_described_saved_and_built_again(generator):
    for make in (CELLS["refractory"], CELLS["Izhikevich"], CELLS["LIF box"]):
        neuron = from_norse(make(), learn=[learnable(from_norse(make()))])
        network, currents = recurrent(neuron, generator)
        again = build(describe(network), tensors=network.state_dict()).double()
        again.load_state_dict(network.state_dict())
        expected, _ = network(currents)
        assert torch.equal(again(currents)[0], expected)
        assert torch.equal(copy.deepcopy(network)(currents)[0], expected)
        assert torch.equal(pickle.loads(pickle.dumps(network))(currents)[0], expected)  # noqa: S301


def test_integrators_emit_rates_and_the_others_spikes():
    rates = {name for name, make in CELLS.items() if from_norse(make()).emits == "rates"}
    assert rates == {"leaky integrator", "leaky integrator without a synapse"}
    network = Network({"a": Layer(from_norse(norse.LICell()), 3)}, dt=DT)
    with pytest.raises((TypeError, ValueError)):
        FiringRatePenalty(10.0, 1.0).rated(network)


BAD = {
    "recurrent weights": (lambda: norse.LIFRecurrentCell(2, 3), ValueError, r"LIFRecurrentCell has weights of its own"),
    "a linear readout": (lambda: norse.LILinearCell(2, 3), ValueError, r"LILinearCell has weights of its own"),
    "coupled compartments": (
        lambda: norse.functional.lif_mc.lif_mc_feed_forward_step,
        ValueError,
        r"lif_mc_feed_forward_step takes input_tensor, state, g_coupling, p, dt, but .* feed-forward step",
    ),
    "a step with weights": (
        lambda: norse.functional.lif_correlation.lif_correlation_step,
        ValueError,
        r"lif_correlation_step takes .*input_weights",
    ),
    "no neuron": (lambda: torch.nn.ReLU(), TypeError, r"ReLU\(\) is neither a cell of norse"),
    "a number": (lambda: 3, TypeError, r"3 is neither a cell of norse"),
    "no defaults": (
        lambda: functional.izhikevich_feed_forward_step,
        ValueError,
        r"needs `parameters`: norse has no defaults for \['a', 'b', 'c', 'd'\]",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), BAD.values(), ids=BAD.keys())
def test_what_is_no_pointwise_neuron_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        from_norse(make())


def test_names_are_checked():
    with pytest.raises(ValueError, match=r"`learn` names \['tau_mem'\]; there are .* Did you mean 'tau_mem_inv'"):
        from_norse(norse.LIFCell(), learn=["tau_mem"])
    step = "norse.torch.functional.lif:lif_feed_forward_step"
    with pytest.raises(ValueError, match=r"has no 'tau'; there are"):
        NorseNeuron(step, {"tau": 1.0})
    with pytest.raises(ValueError, match=r"has no 'u'; there are \['v', 'i'\]"):
        NorseNeuron(step, {}, rest={"u": 1.0})
    with pytest.raises(ValueError, match="does not name a function of norse"):
        NorseNeuron("os:system", {})
    with pytest.raises(ValueError, match="has no function 'lif_leap'"):
        NorseNeuron("norse.torch.functional.lif:lif_leap", {})
    with pytest.raises(ImportError, match=r"pip install 'neurotorch\[norse\]'"):
        NorseNeuron("norse.torch.functional.nothing:step", {})
