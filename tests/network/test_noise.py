"""Process noise: its size, its memory, its scaling with the step, and that a generator repeats it."""

import math

import pytest
import torch

from neurotorch.data import Batch
from neurotorch.learning import BPTT, MeanSquaredError
from neurotorch.network import Observation, OrnsteinUhlenbeck, WhiteNoise, noise_currents, simulate
from neurotorch.neurons import FiringRate, LeakyIntegrator, Linear
from tests.network.builders import DOUBLE, layer, network

DT = 0.02
DEVIATIONS = 6  # of an estimate, which no seed is unlucky enough to leave


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def followers(generator, neurons=20, **options):
    """Return neurons that emit their current."""
    return network({"a": layer(LeakyIntegrator(1e-9), neurons, generator, recurrent=False)}, dt=DT, **options)


@pytest.mark.parametrize("dt", [0.001, 0.02])
def test_an_ornstein_uhlenbeck_current_is_stationary_and_forgets_as_its_tau_says(dt):
    std, tau, batch = 0.3, 0.05, 40_000
    lags = [0, 1, round(tau / dt), round(2 * tau / dt)]
    drawn = OrnsteinUhlenbeck(std, tau).draw(max(lags) + 1, batch, 1, dt=dt, generator=seeded()).double()[..., 0]
    error = DEVIATIONS / math.sqrt(batch)
    assert float((drawn.std(1) / std - 1).abs().max()) < error  # at every step, the first included
    assert float((drawn.mean(1) / std).abs().max()) < error
    for lag in lags:
        found = float((drawn[-1] * drawn[-1 - lag]).mean()) / std**2
        assert found == pytest.approx(math.exp(-lag * dt / tau), abs=2 * error)


def test_white_noise_has_no_memory_and_its_stated_size():
    drawn = WhiteNoise(0.3).draw(2, 40_000, 1, dt=DT, generator=seeded())[..., 0].double()
    error = DEVIATIONS / math.sqrt(40_000)
    assert drawn.std(1).tolist() == pytest.approx([0.3, 0.3], rel=error)
    assert float((drawn[0] * drawn[1]).mean()) / 0.09 == pytest.approx(0, abs=error)


@pytest.mark.parametrize("dt", [0.001, 0.004])
def test_white_noise_of_a_stated_step_moves_a_rate_unit_alike_in_all_steps(dt):
    # x' = x + (dt / tau) (-x + I): the variance is std^2 at / (2 tau) as dt goes to 0, here (dt / tau) / 2 above it
    std, at, tau, batch = 0.4, 0.001, 0.05, 20_000
    ours = network({"a": layer(FiringRate(tau, transfer=Linear()), 1, seeded(), recurrent=False)}, dt=dt)
    noise = WhiteNoise(std, at=at)
    steps = round(10 * tau / dt)
    final = simulate(ours, frames=steps, batch=batch, noise=noise, generator=seeded()).observed[-1]
    a = 1 - dt / tau
    expected = (dt / tau) ** 2 * std**2 * (at / dt) / (1 - a * a)
    assert float(final.var()) == pytest.approx(expected, rel=DEVIATIONS * math.sqrt(2 / batch))
    assert expected == pytest.approx(std**2 * at / (2 * tau), rel=0.6 * dt / tau)


def test_noise_is_per_layer_and_per_neuron_and_lasts_for_all_steps_of_a_frame(generator):
    ours = network(
        {
            "a": layer(LeakyIntegrator(1e-9), 3, generator, recurrent=False),
            "b": layer(LeakyIntegrator(1e-9), 2, generator, inputs=3, recurrent=False),
        },
        dt=DT,
        observation=Observation(steps_per_frame=4),
    )
    std = torch.tensor([0.0, 1.0, 2.0])
    currents = noise_currents(ours, {"a": std}, frames=1000, batch=2, generator=seeded())
    assert set(currents) == {"a"}
    assert currents["a"].shape == (4000, 2, 3)
    assert currents["a"].dtype == DOUBLE
    assert torch.count_nonzero(currents["a"][..., 0]) == 0
    found = currents["a"].flatten(0, 1).std(0).tolist()
    assert found == pytest.approx([0, 1, 2], rel=DEVIATIONS / math.sqrt(2 * 8000))
    run = simulate(ours, frames=50, noise={"b": 0.1}, generator=seeded(), record=("emitted",))
    assert not run.emitted["a"].any()
    assert run.emitted["b"].shape == (200, 1, 2)
    assert run.emitted["b"].all()


def test_training_with_noise_is_repeated_by_its_seed_and_resumed_from_its_state(generator):
    batch = Batch(torch.rand(12, 2, 3, generator=generator, dtype=DOUBLE), None)

    def rule(seed, noise=OrnsteinUhlenbeck(0.5, 0.1)):
        ours = network({"a": layer(FiringRate(0.1), 3, seeded(5))}, dt=DT)
        optimizer = torch.optim.SGD(ours.parameters(), lr=0.1)
        return BPTT(ours, MeanSquaredError(), optimizer=optimizer, noise=noise, generator=seeded(seed))

    def losses(rule, count):
        found = []
        for _ in range(count):
            found.append(rule.compute(batch).loss)
            rule.apply()
        return found

    whole = losses(rule(1), 4)
    assert whole == losses(rule(1), 4)
    assert whole != losses(rule(2), 4)
    first, second = rule(1), rule(7)
    start = losses(first, 2)
    assert first.gradient(batch).loss == first.gradient(batch).loss  # looking changes nothing
    second.load_state_dict(first.state_dict())
    second.network.load_state_dict(first.network.state_dict())
    assert start + losses(second, 2) == whole
    assert losses(rule(1, noise=None), 1) == losses(rule(2, noise=0.0), 1)


def test_the_gradient_under_noise_is_that_of_the_noisy_run(generator):
    ours = network({"a": layer(FiringRate(0.1), 3, generator)}, dt=DT)
    batch = Batch(torch.rand(12, 2, 3, generator=generator, dtype=DOUBLE), None)
    optimizer = torch.optim.SGD(ours.parameters(), lr=0.1)
    rule = BPTT(ours, MeanSquaredError(), optimizer=optimizer, noise=0.3, generator=seeded(3))
    rule.compute(batch)
    currents = noise_currents(ours, 0.3, frames=12, batch=2, generator=seeded(3))
    output = ours.run(None, ours.initial_state(2), frames=12, noise=currents).output
    wanted = torch.autograd.grad(MeanSquaredError()(output, batch.target), list(ours.parameters()))
    for parameter, gradient in zip(ours.parameters(), wanted, strict=True):
        assert torch.equal(parameter.grad, gradient)


BAD = {
    "a negative size": (lambda ours: WhiteNoise(-1.0), ValueError, r"`std` holds -1"),
    "no time": (lambda ours: OrnsteinUhlenbeck(1.0, 0.0), ValueError, r"`tau` is 0 s"),
    "no step": (lambda ours: WhiteNoise(1.0, at=-0.1), ValueError, r"`at` is -0\.1 s"),
    "not a number": (lambda ours: WhiteNoise(torch.tensor([1.0, math.nan])), ValueError, r"`std` holds 1 NaN"),
    "another number of neurons": (
        lambda ours: simulate(ours, frames=3, noise=torch.ones(4), generator=seeded()),
        ValueError,
        r"`std` is of shape \(4,\), but the layer has 20 neurons",
    ),
    "an unknown layer": (
        lambda ours: simulate(ours, frames=3, noise={"aa": 1.0}, generator=seeded()),
        ValueError,
        r"`noise` names no layer 'aa'; there are \['a'\]. Did you mean 'a'",
    ),
    "a text": (
        lambda ours: simulate(ours, frames=3, noise="white", generator=seeded()),
        TypeError,
        r"noise of layer 'a' is a str",
    ),
    "no generator": (lambda ours: simulate(ours, frames=3, noise=WhiteNoise(1.0)), ValueError, r"needs a `generator`"),
    "no generator in training": (
        lambda ours: BPTT(ours, MeanSquaredError(), optimizer=torch.optim.SGD(ours.parameters(), lr=1.0), noise=1.0),
        ValueError,
        r"`noise` needs a `generator`",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), BAD.values(), ids=BAD.keys())
def test_noise_that_cannot_be_is_refused(make, error, message, generator):
    ours = network({"a": layer(FiringRate(0.1), 20, generator)}, dt=DT)
    with pytest.raises(error, match=message):
        make(ours)
