"""Weaning: what it solves, what it may not touch, and that a free run follows."""

import numpy as np
import pytest
import torch

from neurotorch.connections import Connection, Dale, no_self
from neurotorch.core.storage import load_state, save_state
from neurotorch.data import Batch
from neurotorch.evaluation import p_variance
from neurotorch.learning import Weaning
from neurotorch.network import Forcing, Layer, Network, Observation
from neurotorch.neurons import FiringRate, WilsonCowan, learned
from tests.reference.recursive_least_squares import ridge

DOUBLE = torch.float64
DT, TAU = 0.1, 0.4


def network(neurons, generator, *, dale=None):
    recurrent = Connection(neurons, neurons, mask=no_self(neurons), dale=dale, generator=generator).double()
    tau = torch.full((neurons,), TAU, dtype=DOUBLE)
    layer = Layer(WilsonCowan(tau), neurons, recurrent=recurrent, bias=learned(torch.zeros(neurons).double()))
    return Network({"cortex": layer}, dt=DT, observation=Observation(gain=torch.tensor(2.0, dtype=DOUBLE)))


def waves(random, frames, neurons, samples=1):
    """Return slow sums of sines ``(time, batch, neuron)`` within 0.6..1.4, which is 0.3..0.7 of a unit's range."""
    time = np.arange(frames)[:, None, None, None]
    rates, phases = random.uniform(0.02, 0.12, (2, samples, neurons, 3))
    return torch.from_numpy(1 + 0.4 * np.sin(time * rates + 50 * phases).mean(axis=-1))


def known(target):
    """Return activity with a column of ones, and the current that leads along `target`, in numpy."""
    x = target.numpy() / 2
    share = x[:-1] + (x[1:] - x[:-1]) * TAU / DT
    assert share.min() > 0.02
    assert share.max() < 0.98
    return np.concatenate([x[:-1], np.ones_like(x[:-1, :, :1])], axis=2), np.log(share / (1 - share))


def weights(network):
    layer = network.layers["cortex"]
    return torch.cat([layer.recurrent.weight(), layer.bias()[:, None]], dim=1).detach().clone()


def test_the_first_call_is_the_ridge_solution_around_the_start(random, generator):
    found, target = network(6, generator), waves(random, 50, 6, samples=2)
    start, (r, current) = weights(found).numpy(), known(target)
    Weaning(found, ridge=0.2).compute(Batch(target, None))
    allowed = np.hstack([no_self(6).numpy(), np.ones((6, 1), dtype=bool)])
    expected = ridge(
        r.reshape(-1, 7), current.reshape(-1, 6), alpha=0.2, start=start, ages=np.zeros(98), allowed=allowed
    )
    np.testing.assert_allclose(weights(found).numpy(), expected, rtol=1e-8, atol=1e-9)


def test_under_dales_law_it_is_the_constrained_minimum(random, generator):
    dale = Dale.fraction(6, 0.5)
    found, target = network(6, generator, dale=dale), waves(random, 60, 6)
    start, (r, current) = weights(found), known(target)
    Weaning(found, ridge=0.2, sweeps=500).compute(Batch(target, None))
    w, r, current = weights(found).numpy(), r[:, 0], current[:, 0]
    # The gradient of the cost, which is convex: zero inside, outwards where a weight is held at zero.
    gradient = (w @ r.T - current.T) @ r + 0.2 * (w - start.numpy())
    signed = gradient[:, :6] * dale.signs.numpy()
    off = no_self(6).numpy()
    held = (w[:, :6] == 0) & off
    assert 0 < held.sum() < off.sum()
    assert (signed[held] >= -1e-6).all()
    assert abs(signed[off & ~held]).max() < 1e-6
    assert abs(gradient[:, 6]).max() < 1e-6
    assert found.dale_violations() == 0
    assert not w[:, :6].diagonal().any()


def test_a_network_that_runs_along_the_target_by_itself_is_left_alone(random, generator):
    found = network(6, generator)
    with torch.no_grad():
        output, _ = found(None, frames=40)
    rule, start = Weaning(found), weights(found)
    rule.load_state_dict({"progress": 0.5, "begun": True, "multipliers": torch.zeros(0)})
    # The first frame is given, so it starts at rest, one step before.
    rule.compute(Batch(output, None))
    torch.testing.assert_close(weights(found), start, rtol=0, atol=1e-9)


@pytest.mark.parametrize("signed", [False, True])
def test_a_free_run_comes_ten_times_nearer_than_by_least_squares_alone(signed, generator):
    random = np.random.default_rng(0)
    found = network(30, generator, dale=Dale.fraction(30, 0.5) if signed else None)
    target, scores = waves(random, 150, 30), []
    rule = Weaning(found, ridge=0.01, penalty=0.1)
    for call in range(60):
        rule.progress = call / 60
        rule.compute(Batch(target, None))
        with torch.no_grad():
            free, _ = found(None, forcing=Forcing.warm_up(target, 1))
        scores.append(p_variance(target[1:, 0].numpy(), free[1:, 0].numpy()))
    assert 1 - max(scores) < 0.1 * (1 - scores[0])


def test_resumed_equals_uninterrupted_bit_for_bit(random, generator, tmp_path):
    found, target = network(6, generator, dale=Dale.fraction(6, 0.5)).float(), waves(random, 40, 6).float()
    start = {name: value.clone() for name, value in found.state_dict().items()}

    def go(rule, calls):
        for call in calls:
            rule.progress = call / 6
            rule.compute(Batch(target, None))
            rule.apply()

    go(Weaning(found), range(6))
    expected = [value.clone() for value in found.state_dict().values()]
    found.load_state_dict(start)
    first = Weaning(found)
    go(first, range(3))
    save_state(tmp_path, first.state_dict())
    second = Weaning(found)
    second.load_state_dict(load_state(tmp_path))
    go(second, range(3, 6))
    assert all(torch.equal(x, y) for x, y in zip(found.state_dict().values(), expected, strict=True))


def test_frozen_parameters_never_move(random, generator):
    found = network(6, generator)
    layer = found.layers["cortex"]
    layer.recurrent.raw.requires_grad_(False)
    start = layer.recurrent.raw.clone()
    Weaning(found).compute(Batch(waves(random, 40, 6), None))
    assert torch.equal(layer.recurrent.raw, start)
    assert bool(layer.bias.value.all())


@pytest.mark.parametrize(
    ("options", "message"),
    [({"end": 0.0}, "`end` is 0"), ({"start": 0.01, "end": 0.1}, "at most `start`"), ({"sweeps": 0}, "`sweeps` is 0")],
)
def test_what_cannot_be_is_refused(options, message, generator):
    with pytest.raises(ValueError, match=message):
        Weaning(network(3, generator), **options)


def test_a_model_or_layer_that_cannot_be_weaned_is_refused(generator):
    recurrent = Connection(3, 3, generator=generator)
    with pytest.raises(TypeError, match="FiringRate lacks `required_current`"):
        Weaning(Network({"a": Layer(FiringRate(1.0), 3, recurrent=recurrent, bias=learned(torch.zeros(3)))}, dt=0.1))
    with pytest.raises(ValueError, match=r"bias=learned\(torch.zeros\(3\)\)"):
        Weaning(Network({"a": Layer(WilsonCowan(), 3, recurrent=recurrent)}, dt=0.1))
    layer = Layer(WilsonCowan(), 3, recurrent=recurrent, bias=learned(torch.zeros(3)))
    with pytest.raises(ValueError, match="observed directly"):
        Weaning(Network({"a": layer}, dt=0.1, observation=Observation(steps_per_frame=2)))
