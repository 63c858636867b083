"""Every learning rule under delays: against graphs that are written out, and against each other."""

import pytest
import torch

from neurotorch.connections import Connection, Dale, Projected, no_self
from neurotorch.data import Batch
from neurotorch.learning import (
    BPTT,
    FORCE,
    EProp,
    MeanSquaredError,
    RecursiveLeastSquares,
    ThreeFactor,
    TruncatedBPTT,
    Weaning,
    local_block,
    warm_start,
)
from neurotorch.learning.convex import OneStepMoments
from neurotorch.learning.convex.forced import Segment
from neurotorch.network import Forcing, Layer, Network
from neurotorch.neurons import LeakyIntegrator, MultiTimescaleRate, WilsonCowan, learned
from tests.contracts.rules import DT, drawn
from tests.learning.eprop_networks import HalfSquares

DOUBLE = torch.float64


def sgd(network):
    return torch.optim.SGD(network.parameters(), lr=0.01)


def looped(generator, *, onwards=None):
    """Return two layers in which every loop is delayed, in part synapse by synapse, and the inputs as well."""

    def scattered(post, pre):
        return DT * (1 + 3 * torch.rand(post, pre, generator=generator))

    cortex = Layer(
        WilsonCowan(learned(torch.full((5,), 0.3)), learned(torch.zeros(5))),
        5,
        inputs=Connection(2, 5, delay=scattered(5, 2), generator=generator),
        recurrent=Connection(5, 5, delay=scattered(5, 5), mask=no_self(5), generator=generator),
        bias=learned(torch.full((5,), 0.1)),
    )
    readout = Layer(
        LeakyIntegrator(learned(0.3)),
        3,
        inputs=Connection(5, 3, delay=onwards, generator=generator),
        recurrent=Connection(3, 3, delay=2 * DT, generator=generator),
    )
    feedback = {"readout -> cortex": Connection(3, 5, delay=3 * DT, generator=generator)}
    return Network({"cortex": cortex, "readout": readout}, dt=DT, feedback=feedback).double()


def gradients(network):
    return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in network.named_parameters()}


def written_out(network, batch, *, detached):
    """Return the gradient of half the summed squares by autograd through a loop over steps and delays."""
    weights, layers = network.effective_weights(), network.named_layers()
    names, states, emitted = list(layers), [s.neuron for s in network.initial_state(batch.target.shape[1])], {}
    loss = 0.0
    for t, target in enumerate(batch.target):
        emitted["in", t] = batch.inputs[t]
        for index, (name, layer) in enumerate(layers.items()):
            current = 0.0 if layer.bias is None else layer.bias()
            for address, connection in network.connections().items():
                source, onwards = address.split(" -> ")[0], address.endswith(".inputs")
                if address == f"{name}.inputs":
                    source = names[index - 1] if index else "in"
                elif address == f"{name}.recurrent":
                    source = name
                elif not address.endswith(f" -> {name}"):
                    continue
                steps = torch.as_tensor(0.0 if connection.delay is None else connection.delay) / DT
                lags = steps.round().long().clamp(min=0 if onwards else 1).expand(weights[address].shape)
                for lag in lags.unique().tolist():
                    if (late := emitted.get((source, t - lag))) is not None:
                        late = late.detach() if detached and not onwards else late
                        current = current + late @ torch.where(lags == lag, weights[address], 0.0).t()
            z, states[index] = layer.neuron.step(layer.neuron.coefficients(DT), states[index], current)
            emitted[name, t] = z
        loss = loss + 0.5 * (network.named_layers()[names[-1]].neuron.observe(states[-1], z) - target).square().sum()
    return dict(
        zip(dict(network.named_parameters()), torch.autograd.grad(loss, list(network.parameters())), strict=True)
    )


def assert_same(found, expected):
    for name, one in found.items():
        # the same terms in another order
        assert float((one - expected[name]).norm()) <= 1e-9 * float(expected[name].norm()) + 1e-14, name


@pytest.mark.parametrize("onwards", [None, 2 * DT])
def test_bptt_and_offline_eprop_are_the_gradients_of_the_loops_written_out(onwards, generator):
    network = looped(generator, onwards=onwards)
    batch = drawn(network, generator)
    for rule, detached in ((BPTT, False), (EProp, True)):
        rule(network, HalfSquares(), optimizer=sgd(network)).compute(batch)
        assert_same(gradients(network), written_out(network, batch, detached=detached))


@pytest.mark.parametrize("block", [1, 3, 128])
def test_online_eprop_equals_offline_with_delays_in_loops_and_inputs(block, generator, monkeypatch):
    monkeypatch.setattr(local_block, "BLOCK_FRAMES", block)
    network = looped(generator)
    batch = drawn(network, generator, frames=20)
    EProp(network, HalfSquares(), optimizer=sgd(network)).compute(batch)
    offline = gradients(network)
    EProp(network, HalfSquares(), optimizer=sgd(network), online=True).compute(batch)
    assert_same(gradients(network), offline)


def test_the_three_factor_rule_is_a_gradient_where_its_modulator_is_one(generator):
    network = looped(generator)
    batch = drawn(network, generator)

    def modulator(output, batch):
        return {"cortex": torch.ones(len(output), output.shape[1], 5, dtype=DOUBLE)}

    ThreeFactor(network, modulator, optimizer=sgd(network)).compute(batch)
    found = gradients(network)
    run = network.run(batch.inputs, detach_recurrent=True)
    parameters = dict(network.named_parameters())
    wanted = torch.autograd.grad(-run.runs[0].emitted.sum(), list(parameters.values()), allow_unused=True)
    expected = {
        n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(parameters.items(), wanted, strict=True)
    }
    assert_same(found, expected)


@pytest.mark.parametrize(("k1", "k2"), [(4, 7), (5, 5), (3, 9)])
def test_truncated_windows_carry_what_is_under_way(k1, k2, generator):
    network = looped(generator, onwards=2 * DT)
    batch = drawn(network, generator)
    whole = BPTT(network, MeanSquaredError(), optimizer=sgd(network)).gradient(batch)
    rule = TruncatedBPTT(network, MeanSquaredError(), optimizer=sgd(network), k1=k1, k2=k2)
    assert rule.gradient(batch).loss == pytest.approx(whole.loss, rel=1e-12)
    TruncatedBPTT(network, MeanSquaredError(), optimizer=sgd(network), k1=20, k2=20).gradient(batch)
    found = gradients(network)
    BPTT(network, MeanSquaredError(), optimizer=sgd(network)).gradient(batch)
    assert_same(found, gradients(network))


@pytest.mark.parametrize("plastic", ["readout.recurrent", "readout.inputs"])
@pytest.mark.parametrize("every", [1, 4])
def test_force_solves_for_the_activity_that_arrives(plastic, every, generator):
    network = looped(generator, onwards=2 * DT)
    before = network.effective_weights()[plastic].detach().clone()
    batch = drawn(network, generator, frames=16)
    rule = FORCE(network, plastic=plastic, every=16, skip=0, alpha=0.5, bias=False)
    lag, source = (2, -1) if plastic.endswith("recurrent") else (2, -2)
    with torch.no_grad():
        run = network.run(batch.inputs, record=True)
    rule.compute(batch)
    activity = run.runs[source].emitted
    activity = torch.cat([torch.zeros_like(activity[:lag]), activity[:-lag]])
    error = (run.output - batch.target) / rule._slope  # an integrator: the slope is the same at every step
    change = RecursiveLeastSquares(activity.shape[2], 3, alpha=0.5).update(activity.double(), error)
    torch.testing.assert_close(network.effective_weights()[plastic].detach() - before, change, rtol=1e-9, atol=1e-12)
    again = looped(torch.Generator().manual_seed(0), onwards=2 * DT)
    FORCE(again, plastic=plastic, every=every, alpha=0.5).compute(batch)


def observed(generator, delay):
    recurrent = Connection(4, 4, delay=delay, mask=no_self(4), generator=generator)
    layer = Layer(WilsonCowan(torch.tensor(0.3, dtype=DOUBLE)), 4, recurrent=recurrent, bias=learned(torch.zeros(4)))
    return Network({"cortex": layer}, dt=DT).double()


def test_a_warm_start_makes_the_currents_of_a_delayed_network(generator):
    teacher = observed(generator, 3 * DT)
    teacher.named_layers()["cortex"].recurrent.set_weight(torch.randn(4, 4, generator=generator) * no_self(4))
    teacher.named_layers()["cortex"].bias.assign(0.5 * torch.randn(4, generator=generator, dtype=DOUBLE))
    with torch.no_grad():
        target, _ = teacher(None, frames=60)
    errors = {}
    for steps in (3, 1):
        student = observed(generator, steps * DT)
        warm_start(student, target[:, 0], ridge=1e-7)
        forced, _ = student(None, forcing=Forcing.full(target))
        errors[steps] = float((forced - target)[1:].detach().square().mean().sqrt())
    # the teacher's own weights make no error; those of another delay cannot make its currents
    assert errors[3] < 1e-8
    assert errors[1] > 1e-5


def test_weaning_solves_for_the_activity_that_arrives(generator):
    network = observed(generator, 2 * DT)
    target = torch.rand(30, 2, 4, generator=generator, dtype=DOUBLE)
    rule = Weaning(network, ridge=0.1)
    run = network.run(None, forcing=Forcing.full(target), record=True)
    emitted = run.runs[-1].emitted.detach()
    before = rule._weight()
    missing = rule._missing(run).detach()
    rule.compute(Batch(target, None))
    late = torch.cat([torch.zeros_like(emitted[:2]), emitted[:-2]])[1:]
    late = torch.cat([late, late.new_ones(*late.shape[:2], 1)], dim=2).flatten(0, 1)
    for post in range(4):
        chosen = [j for j in range(5) if j != post]
        design = late[:, chosen]
        solved = torch.linalg.solve(
            design.t() @ design + 0.1 * torch.eye(4, dtype=DOUBLE), design.t() @ missing.flatten(0, 1)[:, post]
        )
        torch.testing.assert_close((rule._weight() - before)[post, chosen], solved, rtol=1e-8, atol=1e-10)


def test_least_squares_refuse_what_they_cannot_solve(generator):
    scattered = DT * (1 + 3 * torch.rand(4, 4, generator=generator))
    network = observed(generator, scattered)
    for solve in (FORCE, Weaning, lambda n: warm_start(n, torch.rand(9, 4, dtype=DOUBLE))):
        with pytest.raises(ValueError, match=r"delays of 'cortex.recurrent' differ between synapses .*BPTT or EProp"):
            solve(network)
    units = MultiTimescaleRate(learned(torch.zeros(1, 4)), (0.5,))
    recurrent = Connection(4, 4, delay=2 * DT, dale=Dale.fraction(4, 0.5, magnitude=Projected()), generator=generator)
    delayed = Network({"p": Layer(units, 4, recurrent=recurrent, bias=learned(torch.zeros(4)))}, dt=DT)
    with pytest.raises(ValueError, match="connections without delays"):
        OneStepMoments.of(delayed, [Segment(torch.rand(30, 4), None)])
