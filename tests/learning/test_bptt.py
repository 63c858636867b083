"""Backpropagation through time: its gradient, its update, and how it goes on after a restart."""

import numpy as np
import pytest
import torch

from neurotorch.connections import Connection, Dale, Projected, Square, no_self
from neurotorch.core.trees import leaves
from neurotorch.data import Batch, Recording, WindowLoader, Windows
from neurotorch.engine import adjoint, reference
from neurotorch.learning import BPTT, MeanSquaredError, WarmUp
from neurotorch.network import Layer, Network, Observation
from neurotorch.neurons import LIF, Calcium, FiringRate, LeakyIntegrator, WilsonCowan, learned
from neurotorch.training import Callback, Checkpoint, Curriculum, Trainer
from tests.contracts.rules import closed_loop

DOUBLE = torch.float64
DT = 0.1


def rate_network(generator, neurons=5, channels=None, magnitude=None):
    """Return a float64 network with signs, a mask, and everything learned that can be."""
    dale = Dale.fraction(neurons, 0.6, magnitude=magnitude or Square())
    mask = no_self(neurons)
    mask[0, 1] = False
    recurrent = Connection(neurons, neurons, dale=dale, mask=mask, generator=generator)
    inputs = None if channels is None else Connection(channels, neurons, generator=generator)
    neuron = WilsonCowan(learned(torch.full((neurons,), 0.3)), learned(torch.zeros(neurons)))
    layer = Layer(neuron, neurons, inputs=inputs, recurrent=recurrent, bias=learned(torch.zeros(neurons)))
    observation = Observation(gain=learned(1.5), offset=learned(-0.2))
    return Network({"cortex": layer}, dt=DT, observation=observation).double()


def looped_network(generator):
    """Return a spiking layer and a readout that feeds back onto it, seen through calcium."""
    cortex = Layer(LIF(learned(0.3), 0.5), 6, inputs=Connection(2, 6, generator=generator), bias=learned(0.3))
    readout = Layer(
        FiringRate(learned(0.2)),
        3,
        inputs=Connection(6, 3, generator=generator),
        recurrent=Connection(3, 3, generator=generator),
    )
    return Network(
        {"cortex": cortex, "readout": readout},
        dt=DT,
        observation=Observation(Calcium(learned(0.5)), gain=learned(2.0), nudge=learned(0.1), steps_per_frame=2),
        feedback={"readout -> cortex": Connection(3, 6, generator=generator)},
    ).double()


def drawn(generator, neurons, *, channels=None, frames=20, samples=3):
    inputs = None if channels is None else torch.randn(frames, samples, channels, generator=generator, dtype=DOUBLE)
    return Batch(torch.rand(frames, samples, neurons, generator=generator, dtype=DOUBLE), inputs)


def sgd(network, *, lr=0.1, **options):
    return BPTT(network, MeanSquaredError(), optimizer=torch.optim.SGD(network.parameters(), lr=lr), **options)


NETWORKS = {
    "rates": (lambda g: rate_network(g), 5, None),
    "rates with inputs": (lambda g: rate_network(g, channels=2), 5, 2),
    "spikes in a loop": (looped_network, 3, 2),
}


@pytest.mark.parametrize("forcing", [None, WarmUp(5), WarmUp(2, 0.3, 0.3)], ids=["free", "warmed up", "held"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_is_that_of_autograd_through_the_reference_loop(name, forcing, generator, monkeypatch):
    build, neurons, channels = NETWORKS[name]
    network, batch = build(generator), drawn(generator, neurons, channels=channels)
    rule = sgd(network, forcing=forcing)
    report = rule.compute(batch)
    found = {key: parameter.grad.clone() for key, parameter in network.named_parameters() if parameter.grad is not None}
    monkeypatch.setattr(adjoint, "scan", reference.scan)
    expected = rule.compute(batch)
    assert report.loss == pytest.approx(expected.loss, rel=1e-12)
    assert report.samples == 3
    for key, parameter in network.named_parameters():
        if parameter.grad is None:
            assert key not in found or not found[key].any()
            continue
        error, norm = float((found[key] - parameter.grad).norm()), float(parameter.grad.norm())
        # both sum the same terms in another order
        assert error <= 1e-9 * norm, key
    reached = {
        key for key, parameter in network.named_parameters() if parameter.grad is not None and norm_of(parameter)
    }
    unreached = set(dict(network.named_parameters())) - reached
    assert unreached <= ({"observation.nudge.raw"} if forcing is None else set())


def norm_of(parameter):
    return float(parameter.grad.norm())


def test_the_gradient_of_a_linear_unit_is_that_on_paper():
    # v(t) = sum_{u <= t} alpha^(t - u) b, so d loss / d b = mean_t 2 (v(t) - d(t)) sum_{k <= t} alpha^k
    layer = Layer(LeakyIntegrator(torch.tensor(0.3, dtype=DOUBLE)), 1, bias=learned(torch.tensor(0.7, dtype=DOUBLE)))
    network = Network({"unit": layer}, dt=DT)
    target = torch.linspace(-1, 1, 6, dtype=DOUBLE)[:, None, None]
    report = sgd(network).compute(Batch(target, None))
    sums = np.cumsum(np.exp(-DT / 0.3) ** np.arange(6))
    errors = 0.7 * sums - np.linspace(-1, 1, 6)
    assert report.loss == pytest.approx(np.mean(errors**2), rel=1e-13)
    assert layer.bias.raw.grad.item() == pytest.approx(np.mean(2 * errors * sums), rel=1e-13)


@pytest.mark.parametrize("forcing", [None, WarmUp(2, 0.3, 0.3)], ids=["free", "held"])
@pytest.mark.parametrize("build", [closed_loop, rate_network])
def test_the_gradient_is_that_of_finite_differences_through_the_whole_network(build, forcing, generator):
    network = build(generator).double()
    batch = drawn(generator, network.neurons, channels=2 if build is closed_loop else None)
    rule = sgd(network, forcing=forcing)
    rule.compute(batch)
    exact = {name: p.grad.clone() for name, p in network.named_parameters()}

    def loss_at(parameter, value):
        with torch.no_grad():
            kept = parameter.clone()
            parameter.copy_(value)
        loss = rule.compute(batch).loss
        with torch.no_grad():
            parameter.copy_(kept)
        return loss

    for name, parameter in network.named_parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=DOUBLE)
        # of fourth order: the error is about h^4 = 1e-12, that of rounding 1e-16 / h = 1e-13
        h = 1e-3
        shifts = [k * h * direction for k in (1, 2)]
        near, far = ((loss_at(parameter, parameter + d) - loss_at(parameter, parameter - d)) / h for d in shifts)
        found = float((exact[name] * direction).sum())
        assert found == pytest.approx((8 * near - far) / 12, rel=1e-6, abs=1e-9), name


def test_nothing_is_left_of_the_gradient_before(generator):
    network = rate_network(generator)
    rule, batch = sgd(network), drawn(generator, 5)
    rule.compute(batch)
    first = [parameter.grad.clone() for parameter in network.parameters()]
    rule.compute(batch)
    assert all(torch.equal(parameter.grad, one) for parameter, one in zip(network.parameters(), first, strict=True))


def test_an_optimizer_of_another_network_is_refused(generator):
    network, other = rate_network(generator), rate_network(generator)
    optimizer = torch.optim.Adam([*network.parameters(), next(other.parameters())])
    with pytest.raises(ValueError, match=r"not the network's: build it with network.parameters\(\)"):
        BPTT(network, MeanSquaredError(), optimizer=optimizer)


def test_a_clip_that_is_no_norm_is_refused(generator):
    with pytest.raises(ValueError, match="`clip` is 0"):
        sgd(rate_network(generator), clip=0.0)


@pytest.mark.parametrize(("clip", "scaled"), [(0.01, True), (1e6, False), (None, False)])
def test_a_step_follows_the_gradient_scaled_down_to_the_norm_of_the_clip(clip, scaled, generator):
    network = rate_network(generator)
    rule = sgd(network, lr=0.5, clip=clip)
    rule.compute(drawn(generator, 5))
    before = [parameter.detach().clone() for parameter in network.parameters()]
    gradient = [parameter.grad.clone() for parameter in network.parameters()]
    norm = float(torch.cat([g.flatten() for g in gradient]).norm())
    assert norm > 0.01
    rule.apply()
    factor = 0.01 / norm if scaled else 1.0
    for parameter, old, g in zip(network.parameters(), before, gradient, strict=True):
        # clip_grad_norm_ adds 1e-6 to the norm that it divides by
        torch.testing.assert_close(parameter.detach(), old - 0.5 * factor * g, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("magnitude", [Square(), Projected()], ids=lambda m: type(m).__name__)
def test_signs_masks_and_time_constants_survive_wild_updates(magnitude, generator):
    network = rate_network(generator, magnitude=magnitude)
    connection, neuron = network.layers["cortex"].recurrent, network.layers["cortex"].neuron
    optimizer = torch.optim.Adam(network.parameters(), lr=0.5)
    rule = BPTT(network, MeanSquaredError(), optimizer=optimizer, forcing=WarmUp(3))
    start = network.effective_weights()["cortex.recurrent"].detach().clone()
    for _ in range(30):
        rule.compute(drawn(generator, 5))
        rule.apply()
        weight = network.effective_weights()["cortex.recurrent"].detach()
        assert network.dale_violations() == 0
        assert not weight[~connection.mask].any()
        assert float(neuron.tau.value.min()) >= DT * (1 - 1e-12)
        if isinstance(magnitude, Projected):
            assert bool((connection.raw >= 0).all()), "the rule did not project"
    assert float((weight - start).abs().max()) > 0.5


def test_a_warm_up_forces_fully_then_with_a_strength_between_its_ends():
    assert WarmUp(2).strength(5, 0.7).tolist() == [1, 1, 0, 0, 0]
    assert WarmUp(1, 0.8, 0.2).strength(3, 0.0).tolist() == [1, 0.8, 0.8]
    assert WarmUp(1, 0.8, 0.2).strength(3, 0.5).tolist() == pytest.approx([1, 0.5, 0.5], rel=1e-15)
    assert WarmUp(0, 0.8, 0.2).strength(2, 1.0).tolist() == pytest.approx([0.2, 0.2], rel=1e-15)
    assert WarmUp(9).strength(3, 0.0).tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="`end` is 1.5"):
        WarmUp(end=1.5)


def test_the_strength_follows_progress_and_reaches_the_network_undiminished(generator):
    network, batch = rate_network(generator), drawn(generator, 5)
    rule = sgd(network, forcing=WarmUp(1, 0.1, 0.9))
    for progress, strength in ((0.0, 0.1), (0.5, 0.5), (1.0, 0.9)):
        rule.progress = progress
        loss = rule.compute(batch).loss
        # in float64: a strength that went through float32 would differ by 1e-8
        held = sgd(network, forcing=WarmUp(1, strength, strength)).compute(batch).loss
        assert loss == pytest.approx(held, rel=1e-13)


class StopAt(Callback):
    def __init__(self, epoch, batch):
        self.at = (epoch, batch)

    def on_batch_end(self, trainer, report):
        if (trainer.epoch, trainer.batch) == self.at:
            trainer.stop("asked")


@pytest.mark.parametrize("at", [(0, 3), (1, 1), (2, 4)])
@pytest.mark.parametrize("accumulate", [1, 4])
def test_resumed_in_the_middle_of_an_epoch_equals_uninterrupted_bit_for_bit(at, accumulate, tmp_path):
    activity = np.cumsum(np.random.default_rng(0).normal(size=(60, 5)), axis=0) / 10
    windows = Windows(Recording(activity, DT, trials=[(0, 25), (25, 60)]), 12)

    def trainer(*callbacks):
        network = rate_network(torch.Generator().manual_seed(1)).float()
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        rule = BPTT(
            network,
            MeanSquaredError(skip=1),
            optimizer=optimizer,
            forcing=WarmUp(3, 0.5, 0.0),
            clip=1.0,
            accumulate=accumulate,
        )
        return Trainer(rule, callbacks=[Curriculum(lambda progress: 1 - 0.5 * progress), *callbacks])

    def loader():
        return WindowLoader(windows, 4, generator=torch.Generator().manual_seed(2), batches=5)

    def outcome(run):
        state = run.rule.state_dict()
        optimizer = state["optimizer"]
        tensors = [t.tolist() for entry in optimizer["state"].values() for t in leaves(tuple(entry.values()))]
        parameters = {name: tensor.tolist() for name, tensor in run.network.state_dict().items()}
        rest = {key: state[key] for key in ("progress", "steps", "summed")}
        sums = {name: total.tolist() for name, total in state["sums"].items()}
        return run.history.column("loss"), parameters, tensors, optimizer["param_groups"], rest, sums

    whole = trainer()
    whole.fit(loader(), epochs=3)
    first = trainer(Checkpoint(tmp_path), StopAt(*at))
    first.fit(loader(), epochs=3)
    assert (first.epoch, first.batch) == at
    second = trainer(Checkpoint(tmp_path))
    second.fit(loader(), epochs=3, resume_from=tmp_path)
    assert outcome(second) == outcome(whole)
    assert second.rule.progress == pytest.approx(2 / 3)
    # fifteen batches in three epochs of five: a step may begin in one epoch and end in the next
    assert (second.rule.steps, second.rule.state_dict()["summed"]) == (15 // accumulate, 15 % accumulate)
