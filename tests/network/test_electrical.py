"""Gap junctions: against a numpy loop, in both engines, under every rule, and what must hold of them at all times."""

import numpy as np
import pytest
import torch

from neurotorch.connections import Connection, ElectricalConnection, Projected, Softplus, Square
from neurotorch.connections.electrical import laplacian
from neurotorch.core.config import build, describe
from neurotorch.core.trees import leaves, transform
from neurotorch.engine import adjoint, reference
from neurotorch.learning import BPTT, FORCE, EProp, MeanSquaredError, ThreeFactor, TruncatedBPTT, Weaning, local_block
from neurotorch.network import Layer, Network, simulate
from neurotorch.neurons import (
    LIF,
    QIF,
    AdEx,
    Calcium,
    CurrentLIF,
    FiringRate,
    Izhikevich,
    LeakyIntegrator,
    MultiTimescaleRate,
    WilsonCowan,
    learned,
)
from tests.contracts.rules import OPTIMIZERS, drawn
from tests.learning.eprop_networks import HalfSquares

DOUBLE = torch.float64
DT, COUNT, BATCH = 0.001, 5, 2


def conductances(generator, neurons=COUNT, *, scale=0.04):
    g = scale * torch.rand(neurons, neurons, generator=generator, dtype=DOUBLE)
    return ((g + g.t()) / 2).fill_diagonal_(0)


def coupled(generator, neuron, *, dt=DT, scale=0.04, magnitude=None, readout=False, recurrent=None):
    """Return a network whose first layer has synapses and gap junctions."""
    electrical = ElectricalConnection(
        COUNT, conductance=conductances(generator, scale=scale), magnitude=magnitude or Square()
    )
    layer = Layer(
        neuron,
        COUNT,
        inputs=Connection(2, COUNT, generator=generator),
        recurrent=Connection(COUNT, COUNT, delay=recurrent, generator=generator),
        electrical=electrical,
    )
    layers = {"cortex": layer}
    if readout:
        layers["readout"] = Layer(LeakyIntegrator(learned(5 * dt)), 3, inputs=Connection(COUNT, 3, generator=generator))
    network = Network(layers, dt=dt).double()
    network.electrical_connections()["cortex.electrical"].set_weight(conductances(generator, scale=scale))
    return network


def test_the_currents_are_those_of_a_loop_over_pairs(generator):
    network = coupled(generator, LIF(torch.tensor(0.01, dtype=DOUBLE), torch.tensor(0.3, dtype=DOUBLE)))
    weight = {name: w.detach().numpy() for name, w in network.effective_weights().items()}
    inputs = 2 * np.random.default_rng(0).random((40, BATCH, 2))
    v, z, spikes = np.zeros((BATCH, COUNT)), np.zeros((BATCH, COUNT)), []
    for x in inputs:
        current = x @ weight["cortex.inputs"].T + z @ weight["cortex.recurrent"].T
        for i in range(COUNT):
            for j in range(COUNT):
                current[:, i] += weight["cortex.electrical"][i, j] * (v[:, j] - v[:, i])
        v = np.exp(-DT / 0.01) * v - 0.3 * (v > 0.3) + current
        z = (v > 0.3).astype(float)
        spikes.append(z)
    run = simulate(network, torch.as_tensor(inputs), record=("emitted", "states"))
    assert 0.05 < np.mean(spikes) < 0.9
    np.testing.assert_array_equal(run.emitted["cortex"].numpy(), np.stack(spikes))
    np.testing.assert_allclose(run.states["cortex"].v[-1].numpy(), v, rtol=1e-10, atol=1e-12)


MODELS = {
    "LIF": (lambda: LIF(learned(0.01), learned(0.3)), DT, 0.04),
    "CurrentLIF": (lambda: CurrentLIF(learned(0.005), learned(0.01), threshold=0.3), DT, 0.04),
    "AdEx": (AdEx, 1e-4, 0.5),
    "Izhikevich": (Izhikevich, 5e-4, 0.1),
    "QIF": (QIF, DT, 0.1),
    "FiringRate": (lambda: FiringRate(learned(0.02)), DT, 0.4),
    "MultiTimescaleRate": (lambda: MultiTimescaleRate((0.4, 0.3), (0.005, 0.02), tau_trace=0.004), DT, 0.04),
}


@pytest.mark.parametrize("name", MODELS)
def test_both_engines_equal_the_reference(name, generator, monkeypatch):
    make, dt, scale = MODELS[name]
    network = coupled(generator, make(), dt=dt, scale=scale, recurrent=3 * dt)
    size = 400.0 if name == "AdEx" else 20.0 if name in ("Izhikevich", "QIF") else 2.0
    inputs = size * torch.rand(60, BATCH, 2, generator=generator, dtype=DOUBLE)
    if name == "AdEx":
        inputs = inputs / 80  # nA
    start = network.initial_state(BATCH)
    fields = [leaf.clone().requires_grad_() for leaf in leaves(start)]
    wanted = [*network.parameters(), *fields]
    junctions = [name for name, _ in network.named_parameters()].index("layers.cortex.electrical.raw")

    def found(engine, **options):
        values = iter(fields)
        state = transform(start, lambda _: next(values))
        with monkeypatch.context() as patch:
            if engine is reference:
                patch.setattr(adjoint, "scan", reference.scan)
            run = network.run(inputs, state, **options)
        outputs = [run.output, *leaves(run.state), *(leaves(run.runs[0].states) if options.get("record") else [])]
        seeds = torch.Generator().manual_seed(3)
        total = sum((x * torch.randn(x.shape, generator=seeds, dtype=DOUBLE)).sum() for x in outputs)
        gradients = torch.autograd.grad(total, wanted, allow_unused=True)
        return [*outputs, *(torch.zeros_like(w) if g is None else g for w, g in zip(wanted, gradients, strict=True))]

    for options in ({}, {"record": True}, {"recompute": True}, {"detach_recurrent": True}):
        expected = found(reference, **options)
        assert float(expected[junctions - len(wanted)].norm()) > 0
        for way in ("compiled", "in torch"):
            if way == "in torch":
                monkeypatch.setattr(adjoint, "choose", lambda *_: None)
            monkeypatch.setattr(adjoint, "BLOCK_ELEMENTS", 7 * BATCH * COUNT)
            for one, other in zip(found(adjoint, **options), expected, strict=True):
                # the same terms in another order
                assert float((one - other).detach().norm()) <= 1e-9 * float(other.detach().norm()), (way, options)
        monkeypatch.undo()


@pytest.mark.parametrize("magnitude", [Square(), Softplus()])
def test_the_gradient_is_that_of_finite_differences(magnitude, generator):
    network = coupled(generator, FiringRate(torch.tensor(0.02, dtype=DOUBLE)), magnitude=magnitude)
    inputs = torch.rand(6, BATCH, 2, generator=generator, dtype=DOUBLE)
    junctions = network.electrical_connections()["cortex.electrical"]

    def emitted(raw):
        below = raw.tril(-1)
        g = magnitude.forward(below + below.t()) * (1 - torch.eye(COUNT, dtype=DOUBLE))
        return network(inputs, weights={"cortex.electrical": g})[0]

    assert torch.autograd.gradcheck(emitted, junctions.raw.detach().clone().requires_grad_())
    junctions.weight().sum().backward()
    assert not junctions.raw.grad.triu().any()


def test_currents_add_up_to_zero_and_potentials_even_out(generator):
    g = conductances(generator)
    currents = torch.randn(7, COUNT, generator=generator, dtype=DOUBLE) @ laplacian(g).t()
    assert float(currents.sum(1).abs().max()) < 1e-15
    layer = Layer(LeakyIntegrator(1e9), 2, electrical=ElectricalConnection(2, conductance=0.1))
    network = Network({"pair": layer}, dt=DT).double()
    state = network.initial_state(1)
    state[0].neuron.v[0] = torch.tensor([1.0, 3.0], dtype=DOUBLE)
    output, _ = network(None, state, frames=30)
    # the difference shrinks by 1 - 2 g in every step, the mean stays
    expected = 2 + torch.tensor([-1.0, 1.0], dtype=DOUBLE) * 0.8 ** torch.arange(1, 31, dtype=DOUBLE)[:, None]
    torch.testing.assert_close(output[:, 0].detach(), expected, rtol=1e-6, atol=1e-7)  # 0.1 is a float32


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("magnitude", [Square(), Softplus(), Projected()], ids=lambda m: type(m).__name__)
def test_conductances_stay_symmetric_and_positive_under_any_optimizer(optimizer, magnitude, generator):
    mask = torch.rand(COUNT, COUNT, generator=generator) < 0.6
    mask = mask | mask.t()
    electrical = ElectricalConnection(COUNT, mask=mask, magnitude=magnitude)
    layer = Layer(WilsonCowan(0.3), COUNT, inputs=Connection(2, COUNT, generator=generator), electrical=electrical)
    network = Network({"cortex": layer}, dt=0.1)
    rule = BPTT(network, MeanSquaredError(), optimizer=OPTIMIZERS[optimizer](network))
    start = electrical.weight().detach().clone()
    for _ in range(10):
        rule.compute(drawn(network, generator))
        rule.apply()
        g = electrical.weight().detach()
        assert torch.equal(g, g.t())
        assert not g[~mask].any()
        assert not g.diagonal().any()
        assert float(g.min()) >= 0
    assert not torch.equal(g, start)


@pytest.mark.parametrize("block", [1, 4, 128])
def test_online_eprop_equals_offline_and_the_detached_loop(block, generator, monkeypatch):
    monkeypatch.setattr(local_block, "BLOCK_FRAMES", block)
    network = coupled(generator, FiringRate(learned(0.02)), readout=True, recurrent=2 * DT)
    batch = drawn(network, generator, frames=20)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    found = []
    for online in (False, True):
        EProp(network, HalfSquares(), optimizer=optimizer, online=online).compute(batch)
        found.append({name: p.grad.clone() for name, p in network.named_parameters()})
    monkeypatch.setattr(adjoint, "scan", reference.scan)
    output, _ = network(batch.inputs, detach_recurrent=True)
    loss = HalfSquares()(output, batch.target)
    wanted = torch.autograd.grad(loss, list(network.parameters()))
    for (name, one), two, expected in zip(found[0].items(), found[1].values(), wanted, strict=True):
        assert float(expected.norm()) > 0, name
        for gradient in (one, two):
            assert float((gradient - expected).norm()) <= 1e-9 * float(expected.norm()), name


def test_every_rule_trains_a_coupled_network(generator):
    def network():
        electrical = ElectricalConnection(4, conductance=0.05)
        layer = Layer(
            WilsonCowan(0.3),
            4,
            recurrent=Connection(4, 4, generator=generator),
            electrical=electrical,
            bias=learned(torch.zeros(4)),
        )
        return Network({"cortex": layer}, dt=0.1)

    def sgd(n):
        return torch.optim.SGD(n.parameters(), lr=0.1)

    rules = {
        "bptt": lambda n: BPTT(n, MeanSquaredError(), optimizer=sgd(n)),
        "truncated": lambda n: TruncatedBPTT(n, MeanSquaredError(), optimizer=sgd(n), k1=3, k2=5),
        "e-prop": lambda n: EProp(n, MeanSquaredError(), optimizer=sgd(n), online=True),
        "three": lambda n: ThreeFactor(n, lambda output, batch: -output.square().mean(-1), optimizer=sgd(n)),
        "force": FORCE,
        "weaning": Weaning,
    }
    for name, rule in rules.items():
        made = rule(network())
        before = {k: p.detach().clone() for k, p in made.network.named_parameters()}
        made.compute(drawn(made.network, generator))
        made.apply()
        moved = {k for k, p in made.network.named_parameters() if not torch.equal(p, before[k])}
        solved = name in ("force", "weaning")  # they solve for synapses; junctions take part and stay
        assert ("layers.cortex.electrical.raw" in moved) is not solved
        assert "layers.cortex.recurrent.raw" in moved


def test_lesions_act_on_both_ends_of_a_junction(generator):
    network = coupled(generator, FiringRate(torch.tensor(0.02, dtype=DOUBLE)))
    inputs = torch.rand(9, BATCH, 2, generator=generator, dtype=DOUBLE)
    both = network.effective_weights()["cortex.electrical"].detach().clone()
    one = both.clone()
    one[:, 1] = 0
    both[:, 1] = both[1] = 0
    assert torch.equal(*(network(inputs, weights={"cortex.electrical": g})[0] for g in (one, both)))
    assert not torch.equal(network(inputs)[0], network(inputs, weights={"cortex.electrical": both})[0])
    network.freeze("cortex.electrical")
    assert not network.electrical_connections()["cortex.electrical"].raw.requires_grad


def test_a_coupled_network_survives_a_description_and_runs_in_pieces(generator):
    network = coupled(generator, LIF(0.01, 0.3))
    again = build(describe(network), tensors=network.state_dict()).double()
    again.load_state_dict(network.state_dict())
    inputs = 2 * torch.rand(20, BATCH, 2, generator=generator, dtype=DOUBLE)
    whole, _ = network(inputs)
    assert torch.equal(again(inputs)[0], whole)
    first, state = network(inputs[:7])
    torch.testing.assert_close(torch.cat([first, network(inputs[7:], state)[0]]), whole, rtol=1e-12, atol=1e-13)


def test_a_layer_alone_is_coupled_as_well(generator):
    network = coupled(generator, FiringRate(0.02))
    inputs = torch.rand(9, BATCH, 2, generator=generator, dtype=DOUBLE)
    torch.testing.assert_close(network.named_layers()["cortex"](inputs, dt=DT)[0], network(inputs)[0])


def test_an_adjacency_becomes_conductances():
    table = np.array([[5, 2, 0], [4, 0, 0], [0, 1, 0]])
    found = ElectricalConnection.from_adjacency(table, scale=0.1)
    expected = torch.tensor([[0, 0.3, 0], [0.3, 0, 0.05], [0, 0.05, 0]])
    torch.testing.assert_close(found.weight().detach(), expected)
    assert found.mask.tolist() == (expected > 0).tolist()


@pytest.mark.data
def test_the_gap_junctions_of_the_worm_are_taken(data_folder):
    (path,) = (data_folder / "celegans").glob("*worm*.npz")
    table = np.load(path)["gap_junctions"]
    found = ElectricalConnection.from_adjacency(table, scale=0.001)
    assert torch.equal(found.weight() > 0, torch.as_tensor((table + table.T > 0) & ~np.eye(len(table), dtype=bool)))
    Network({"worm": Layer(LIF(), len(table), electrical=found)}, dt=DT)


BAD = {
    "negative": (lambda: ElectricalConnection(2, conductance=torch.tensor([[0, -1.0], [-1, 0]])), "negative"),
    "lopsided": (lambda: ElectricalConnection(2, conductance=torch.tensor([[0, 1.0], [2, 0]])), r"\(g \+ g.T\) / 2"),
    "of itself": (lambda: ElectricalConnection(2, conductance=torch.eye(2)), "diagonal"),
    "lopsided mask": (lambda: ElectricalConnection(2, mask=torch.tensor([[0, 1], [0, 0]]) > 0), r"mask \| mask.T"),
    "mask of numbers": (lambda: ElectricalConnection(2, mask=torch.ones(2, 2)), "bool"),
    "number": (lambda: ElectricalConnection(2, conductance=-1.0), "conductance"),
    "adjacency": (lambda: ElectricalConnection.from_adjacency(torch.ones(2, 3)), r"\(2, 3\)"),
    "size": (lambda: Layer(LIF(), 3, electrical=ElectricalConnection(2)), "joins 2 neurons, but the layer has 3"),
    "no potential": (lambda: Layer(Calcium(1.0), 2, electrical=ElectricalConnection(2)), r"no potential.*\['c'\]"),
    "too strong": (
        lambda: Network({"a": Layer(LIF(), 9, electrical=ElectricalConnection(9, conductance=0.2))}, dt=DT),
        r"layer 'a' are too strong.*add up to 1.6.*0\.[56]",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_gap_junction_is_refused(case):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make()


def test_the_bound_on_conductances_is_where_differences_begin_to_grow():
    """Two neurons: the difference is multiplied by ``alpha - 2 g`` in every step."""
    alpha = float(np.exp(-0.001 / 0.02))
    for share, stable in ((0.99, True), (1.01, False)):
        layer = Layer(LIF(), 2, electrical=ElectricalConnection(2, conductance=share * (1 + alpha) / 2))
        if stable:
            Network({"pair": layer}, dt=DT)
        else:
            with pytest.raises(ValueError, match="too strong"):
                Network({"pair": layer}, dt=DT)
