"""What the instrument sees, and what forcing does to a network, against numpy."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from neurotorch.network import Forcing, Layer, Network, Observation, forecast, simulate
from neurotorch.neurons import LIF, Calcium, FiringRate, LeakyIntegrator, MultiTimescaleRate, WilsonCowan, learned
from tests.network.builders import DOUBLE, draw, layer, network

DT = 0.02


def tensor(*values):
    return torch.tensor(values[0] if len(values) == 1 else values, dtype=DOUBLE)


def spiking(generator, observation=None):
    return network(
        {"cortex": layer(LIF(tensor(0.1), tensor(0.5)), 4, generator, inputs=2)}, dt=DT, observation=observation
    )


def seen_and_emitted(ours, signal):
    trajectory = simulate(ours, signal, record=("observed", "emitted"))
    return trajectory.observed.numpy(), trajectory.emitted["cortex"].numpy()


def test_an_affine_map_per_neuron_is_fitted_to_the_emitted_activity(generator):
    gain, offset = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 0.1, 0.2, -5.0])
    ours = spiking(generator, Observation(gain=tensor(gain), offset=tensor(offset)))
    seen, emitted = seen_and_emitted(ours, draw(generator, 30, 2, 2))
    assert 0 < emitted.mean() < 1
    np.testing.assert_allclose(seen, offset + gain * emitted, rtol=1e-14)


def test_a_frame_is_the_average_of_its_steps(generator):
    ours = spiking(generator, Observation(gain=tensor(2.0), steps_per_frame=5))
    seen, emitted = seen_and_emitted(ours, draw(generator, 12, 2, 2))
    assert emitted.shape == (60, 2, 4)
    np.testing.assert_allclose(seen, 2 * emitted.reshape(12, 5, 2, 4).mean(1), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("instrument", [Calcium, LeakyIntegrator], ids=lambda i: i.__name__)
def test_an_instrument_filters_before_the_frame_is_averaged(instrument, generator):
    ours = spiking(
        generator, Observation(instrument(tensor(0.3)), gain=tensor(2.0), offset=tensor(0.5), steps_per_frame=5)
    )
    seen, emitted = seen_and_emitted(ours, draw(generator, 12, 2, 2))
    filtered = lfilter([1], [1, -math.exp(-DT / 0.3)], emitted, axis=0)
    np.testing.assert_allclose(seen, 0.5 + 2 * filtered.reshape(12, 5, 2, 4).mean(1), rtol=1e-12)


def test_a_network_without_an_observation_shows_what_its_neurons_show(generator):
    ours = network({"cortex": layer(MultiTimescaleRate(tau_trace=2.0), 4, generator, inputs=2)}, dt=1.0)
    trajectory = simulate(ours, draw(generator, 9, 2, 2), record=("observed", "emitted", "states"))
    assert torch.equal(trajectory.observed, trajectory.states["cortex"].x)
    assert not torch.equal(trajectory.observed, trajectory.emitted["cortex"])


DIRECT = {
    "bare": Observation(),
    "affine": Observation(gain=tensor([1.0, 2.0]), offset=learned(tensor(0.3))),
}
INDIRECT = {
    "instrument": Observation(LeakyIntegrator(0.1)),
    "several steps": Observation(steps_per_frame=2),
    "nudge": Observation(nudge=tensor([0.0, 0.1])),
    "nudge that may be learned": Observation(nudge=learned(0.0)),
}


@pytest.mark.parametrize(("name", "direct"), [(n, n in DIRECT) for n in (*DIRECT, *INDIRECT)])
def test_an_observation_is_direct_where_only_an_affine_map_is_left(name, direct):
    assert {**DIRECT, **INDIRECT}[name].is_direct() is direct


def test_inward_undoes_outward(generator):
    observation = Observation(gain=tensor([2.0, 4.0]), offset=tensor([-1.0, 0.5]))
    shown = draw(generator, 7, 3, 2)
    seen = observation.outward(shown)
    np.testing.assert_array_equal(seen.numpy(), np.array([-1.0, 0.5]) + np.array([2.0, 4.0]) * shown.numpy())
    # one rounding of a sum of order ten, scaled by a gain of at least two
    torch.testing.assert_close(observation.inward(seen), shown, rtol=0, atol=1e-15)


def test_a_direct_observation_equals_the_same_map_within_the_scan(generator):
    mapped = {"gain": learned(tensor([2.0, 0.5, 1.5])), "offset": learned(tensor(-0.3))}
    cortex = layer(FiringRate(learned(tensor(0.1))), 3, generator, inputs=2, bias=learned(tensor(0.1)))
    networks = [
        network({"cortex": cortex}, dt=DT, observation=Observation(**mapped, **more))
        for more in ({}, {"nudge": learned(tensor(0.0))})
    ]
    assert [ours.observation.is_direct() for ours in networks] == [True, False]
    signal, target = draw(generator, 25, 2, 2), draw(generator, 25, 2, 3)
    found = []
    for ours in networks:
        output, (state,) = ours(signal, forcing=Forcing(target, torch.linspace(0, 1, 25, dtype=DOUBLE)))
        wanted = [*cortex.parameters(), ours.observation.gain.raw, ours.observation.offset.raw]
        gradients = torch.autograd.grad((output - target).square().sum(), wanted)
        found.append([output, getattr(state.neuron, "neuron", state.neuron).x, state.history, *gradients])
    assert len(found[0]) == 3 + 6
    for one, other in zip(*found, strict=True):
        assert float(one.detach().abs().max()) > 0
        # sums of 25 frames in another order
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)


RATES = {
    "FiringRate": (FiringRate(tensor(0.1)), lambda d, i: d + 0.2 * (1 / (1 + np.exp(-i)) - d)),
    "WilsonCowan": (
        WilsonCowan(tensor(0.1), r=tensor(0.5)),
        lambda d, i: d + 0.2 * ((1 - 0.5 * d) / (1 + np.exp(-i)) - d),
    ),
}


@pytest.mark.parametrize(
    "observation", [None, Observation(gain=tensor(2.0), offset=tensor(-0.5))], ids=["bare", "affine"]
)
@pytest.mark.parametrize("name", RATES)
def test_under_full_forcing_every_prediction_starts_from_the_true_state(name, observation, generator):
    neuron, one_step = RATES[name]
    ours = network({"cortex": layer(neuron, 4, generator)}, dt=DT, observation=observation)
    target = torch.rand(15, 2, 4, generator=generator, dtype=DOUBLE)
    output, _ = ours(None, forcing=Forcing.full(target))
    gain, offset = (1, 0) if observation is None else (2, -0.5)
    weight = ours.effective_weights()["cortex.recurrent"].detach().numpy()
    truth = np.concatenate([np.zeros((1, 2, 4)), (target.numpy()[:-1] - offset) / gain])
    expected = offset + gain * one_step(truth, truth @ weight.T)
    np.testing.assert_allclose(output.detach().numpy(), expected, rtol=1e-12, atol=1e-13)


def test_what_is_seen_is_the_prediction_before_the_forcing_of_its_frame(generator):
    ours = network({"cortex": layer(FiringRate(tensor(0.1)), 4, generator)}, dt=DT)
    target = torch.rand(9, 1, 4, generator=generator, dtype=DOUBLE)
    other = target.clone()
    other[5] += 1
    one, two = (ours(None, forcing=Forcing.full(t))[0] for t in (target, other))
    assert torch.equal(one[:6], two[:6])
    assert (one[6] != two[6]).all(), "but it is where the next prediction starts"


def test_forcing_with_strength_zero_is_a_free_run_and_between_it_is_a_mixture(generator):
    ours = network({"cortex": layer(FiringRate(tensor(0.1)), 4, generator, recurrent=False)}, dt=DT)
    target = torch.rand(6, 1, 4, generator=generator, dtype=DOUBLE)
    free, _ = ours(None, frames=6)
    assert torch.equal(ours(None, forcing=Forcing(target, torch.zeros(6, dtype=DOUBLE)))[0], free)
    # without connections the step is linear in x: x_1 = 0.8 (x_0 + s (d_0 - x_0)) + 0.1
    strength = torch.linspace(0, 1, 6, dtype=DOUBLE)
    mixed, _ = ours(None, forcing=Forcing(target, strength))
    x = np.zeros(4)
    for t in range(6):
        x = 0.8 * x + 0.2 * 0.5
        np.testing.assert_allclose(mixed[t, 0].detach().numpy(), x, rtol=1e-12)
        x = x + strength[t].item() * (target[t, 0].numpy() - x)


def test_forcing_warms_up_for_as_many_frames_as_told():
    target = torch.rand(5, 1, 2)
    assert Forcing.warm_up(target, 2).strength.tolist() == [1, 1, 0, 0, 0]
    assert Forcing.warm_up(target, 2, then=0.25).strength.tolist() == [1, 1, 0.25, 0.25, 0.25]
    assert Forcing.full(target).strength.tolist() == [1] * 5


def test_spiking_neurons_are_forced_through_their_instrument_and_a_nudge(generator):
    gain, offset, nudge, steps, frames = 2.0, -0.3, 0.4, 4, 10
    observation = Observation(
        Calcium(tensor(0.2)), gain=tensor(gain), offset=tensor(offset), nudge=tensor(nudge), steps_per_frame=steps
    )
    ours = network(
        {"cortex": layer(LIF(tensor(0.1), tensor(0.5)), 4, generator, bias=tensor(0.15))},
        dt=DT,
        observation=observation,
    )
    target = 2 * torch.rand(frames, 2, 4, generator=generator, dtype=DOUBLE)
    strength = torch.linspace(0.2, 1, frames, dtype=DOUBLE)
    output, state = ours(None, forcing=Forcing(target, strength))

    weight = ours.effective_weights()["cortex.recurrent"].detach().numpy()
    alpha, gamma = math.exp(-DT / 0.1), math.exp(-DT / 0.2)
    v, z, c, missed = (np.zeros((2, 4)) for _ in range(4))
    fired = 0.0
    for frame in range(frames):
        total = np.zeros((2, 4))
        for _ in range(steps):
            v = alpha * v - 0.5 * z + z @ weight.T + 0.15 + nudge * missed
            z = (v > 0.5).astype(float)
            c = gamma * c + z
            total += c / steps
            fired += z.mean()
        np.testing.assert_allclose(output[frame].detach().numpy(), offset + gain * total, rtol=1e-11, atol=1e-12)
        wanted = (target[frame].numpy() - offset) / gain
        missed = strength[frame].item() * (wanted - total)
        c = c + strength[frame].item() * (wanted - c)
    assert 0 < fired < frames * steps
    np.testing.assert_allclose(state[0].neuron.instrument.c.detach().numpy(), c, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    "observation", [None, Observation(steps_per_frame=3), Observation(gain=2.0)], ids=["none", "steps", "gain"]
)
def test_a_spiking_neuron_that_forcing_cannot_reach_says_so(observation, generator):
    ours = network({"cortex": layer(LIF(), 4, generator)}, dt=0.001, observation=observation)
    with pytest.raises(ValueError, match=r"LIF cannot be forced.*Observation\(Calcium"):
        ours(None, forcing=Forcing.full(torch.rand(5, 2, 4, dtype=DOUBLE)))


def test_a_forecast_is_forced_on_the_recent_frames_and_then_runs_freely(generator):
    ours = network({"cortex": layer(FiringRate(tensor(0.1)), 4, generator, inputs=2)}, dt=DT)
    recent, signal = torch.rand(8, 3, 4, generator=generator, dtype=DOUBLE), draw(generator, 13, 3, 2)
    found = forecast(ours, recent, 5, inputs=signal)
    w = {address: weight.detach().numpy() for address, weight in ours.effective_weights().items()}
    x = recent[-1].numpy()
    for step in range(5):
        current = signal[8 + step].numpy() @ w["cortex.inputs"].T + x @ w["cortex.recurrent"].T
        x = x + 0.2 * (1 / (1 + np.exp(-current)) - x)
        np.testing.assert_allclose(found[step].numpy(), x, rtol=1e-12)
    assert not found.requires_grad


def test_a_forecast_obeys_a_lesion(generator):
    ours = network({"cortex": layer(FiringRate(tensor(0.1)), 4, generator)}, dt=DT)
    recent = torch.rand(4, 1, 4, generator=generator, dtype=DOUBLE)
    found = forecast(ours, recent, 3, weights={"cortex.recurrent": torch.zeros(4, 4, dtype=DOUBLE)})
    # unconnected: x relaxes to phi(0) = 1/2
    decay = 0.8 ** torch.arange(1, 4, dtype=DOUBLE)[:, None, None]
    torch.testing.assert_close(found, 0.5 + (recent[-1:] - 0.5) * decay, rtol=1e-12, atol=0)


def test_a_lesion_holds_while_a_forecast_is_warmed_up_too(generator):
    # the hidden layer is not forced, so its state at the origin tells whether it ran with the lesion
    hidden = layer(FiringRate(tensor(0.1)), 3, generator, inputs=2, scale=2)
    ours = network({"hidden": hidden, "cortex": layer(FiringRate(tensor(0.1)), 4, generator, inputs=3)}, dt=DT)
    recent, signal = torch.rand(6, 2, 4, generator=generator, dtype=DOUBLE), draw(generator, 9, 2, 2)
    lesion = torch.zeros(3, 3, dtype=DOUBLE)
    found = forecast(ours, recent, 3, inputs=signal, weights={"hidden.recurrent": lesion})
    hidden.recurrent.set_weight(lesion)
    torch.testing.assert_close(found, forecast(ours, recent, 3, inputs=signal), rtol=1e-12, atol=0)


def test_gradients_of_a_forced_fit_reach_gain_offset_nudge_and_instrument(generator):
    observation = Observation(
        Calcium(learned(tensor(0.2))),
        gain=learned(tensor(2.0)),
        offset=learned(tensor(0.1)),
        nudge=learned(tensor(0.3)),
        steps_per_frame=3,
    )
    # a rate network is smooth, so that finite differences say what the gradients are
    ours = network({"cortex": layer(FiringRate(tensor(0.1)), 3, generator)}, dt=DT, observation=observation)
    target = torch.rand(4, 1, 3, generator=generator, dtype=DOUBLE)
    named = dict(observation.named_parameters())
    assert set(named) == {"instrument.tau.raw", "gain.raw", "offset.raw", "nudge.raw"}

    def output(*values):
        given = {f"observation.{name}": value for name, value in zip(named, values, strict=True)}
        return torch.func.functional_call(
            ours, given, (None,), {"forcing": Forcing(target, torch.full((4,), 0.5, dtype=DOUBLE))}
        )[0]

    assert torch.autograd.gradcheck(
        output, tuple(parameter.detach().clone().requires_grad_() for parameter in named.values())
    )


def test_learned_constants_of_an_instrument_are_projected_too():
    instrument = FiringRate(learned(torch.full((1,), 0.03)))
    network = Network({"cortex": Layer(LIF(), 1)}, dt=0.02, observation=Observation(instrument))
    with torch.no_grad():
        for parameter in instrument.parameters():
            parameter.sub_(5)  # whatever map keeps it positive, this is far below 0.02 s
    assert instrument.tau.value.item() < 0.02
    network.project_()
    assert instrument.tau.value.item() == pytest.approx(0.02, rel=1e-6)
