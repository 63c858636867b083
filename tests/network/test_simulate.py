"""Simulations: what is recorded, and noise that can be repeated."""

import pytest
import torch

from neurotorch.core.trees import leaves
from neurotorch.network import Observation, simulate
from neurotorch.neurons import LIF, Calcium, FiringRate, LeakyIntegrator
from tests.network.builders import DOUBLE, draw, layer, network

DT = 0.02


def two_layers(generator, **options):
    return network(
        {"a": layer(FiringRate(0.1), 4, generator, inputs=2), "b": layer(LIF(0.1, 0.3), 3, generator, inputs=4)},
        dt=DT, **options,
    )  # fmt: skip


def test_a_trajectory_holds_what_was_asked_for_and_nothing_else(generator):
    ours, signal = two_layers(generator), draw(generator, 7, 2, 2)
    everything = simulate(ours, signal, record=("observed", "emitted", "states", "currents"))
    assert everything.observed.shape == (7, 2, 3)
    assert {name: tuple(x.shape) for name, x in everything.emitted.items()} == {"a": (7, 2, 4), "b": (7, 2, 3)}
    assert {name: tuple(x.shape) for name, x in everything.currents.items()} == {"a": (7, 2, 4), "b": (7, 2, 3)}
    assert {name: tuple(state._fields) for name, state in everything.states.items()} == {"a": ("x",), "b": ("v", "r")}
    for quantity in ("observed", "emitted", "states", "currents"):
        alone = simulate(ours, signal, record=(quantity,))
        held = [
            name for name in ("observed", "emitted", "states", "currents") if getattr(alone, name) not in (None, {})
        ]
        assert held == [quantity]
    assert (everything.dt, everything.frame_dt) == (DT, DT)


def test_a_simulation_is_the_networks_run_without_a_gradient(generator):
    ours, signal = (
        two_layers(generator, observation=Observation(Calcium(0.2), steps_per_frame=3)),
        draw(generator, 7, 2, 2),
    )
    output, state = ours(signal)
    trajectory = simulate(ours, signal, record=("observed", "emitted", "currents"))
    assert output.requires_grad
    assert not any(
        x.requires_grad for x in (trajectory.observed, *trajectory.emitted.values(), *leaves(trajectory.final))
    )
    assert torch.equal(trajectory.observed, output)
    for one, other in zip(leaves(trajectory.final), leaves(state), strict=True):
        assert torch.equal(one, other)
    assert trajectory.emitted["a"].shape == (21, 2, 4)
    assert trajectory.frame_dt == pytest.approx(3 * DT)


def test_currents_are_what_drives_each_layer(generator):
    ours, signal = two_layers(generator), draw(generator, 7, 2, 2)
    found = simulate(ours, signal, record=("emitted", "currents"))
    w = ours.effective_weights()
    before = torch.cat([torch.zeros(1, 2, 3, dtype=DOUBLE), found.emitted["b"][:-1]])
    expected = found.emitted["a"] @ w["b.inputs"].T + before @ w["b.recurrent"].T
    torch.testing.assert_close(found.currents["b"], expected.detach(), rtol=1e-12, atol=1e-13)


def test_a_simulation_goes_on_where_another_ended(generator):
    ours, signal = two_layers(generator), draw(generator, 9, 2, 2)
    whole = simulate(ours, signal)
    first = simulate(ours, signal[:4])
    second = simulate(ours, signal[4:], state=first.final)
    torch.testing.assert_close(torch.cat([first.observed, second.observed]), whole.observed, rtol=1e-12, atol=1e-13)


def test_noise_is_a_current_of_the_stated_size_that_its_generator_repeats(generator):
    # perfect followers (alpha = 0) emit their current: 4000 draws give the standard deviation to one percent or so
    ours = network({"a": layer(LeakyIntegrator(1e-9), 20, generator, recurrent=False)}, dt=DT)

    def noisy(seed, noise=0.3):
        return simulate(ours, frames=100, batch=2, noise=noise, generator=torch.Generator().manual_seed(seed)).observed

    found = noisy(1)
    assert found.shape == (100, 2, 20)
    assert torch.equal(found, noisy(1))
    assert not torch.equal(found, noisy(2))
    torch.testing.assert_close(noisy(1, 0.6), 2 * found, rtol=1e-12, atol=1e-14)
    deviations = 6  # of the estimate, which has a relative standard deviation of 1 / sqrt(2 n)
    assert float(found.std()) == pytest.approx(0.3, rel=deviations / (2 * found.numel()) ** 0.5)
    assert abs(float(found.mean())) < deviations * 0.3 / found.numel() ** 0.5
    assert torch.count_nonzero(simulate(ours, frames=100, batch=2).observed) == 0
