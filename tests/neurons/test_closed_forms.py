"""What the models must do where mathematics knows the answer."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.signal import lfilter

from neurotorch.core.trees import leaves
from neurotorch.neurons import (
    LIF,
    Calcium,
    CurrentLIF,
    FiringRate,
    LeakyIntegrator,
    MultiTimescaleRate,
    ResetToZero,
    WilsonCowan,
)

DOUBLE = torch.float64


def d(*values):
    return torch.tensor(values[0] if len(values) == 1 else values, dtype=DOUBLE)


def run(model, currents, dt):
    """Return emitted, observed ``(time,)`` and the states of one unconnected neuron."""
    currents = torch.as_tensor(currents, dtype=DOUBLE).reshape(-1, 1, 1)
    state, coefficients = model.initial_state(1, currents[0]), model.coefficients(dt)
    emitted, observed, states = [], [], []
    for current in currents:
        z, state = model.step(coefficients, state, current)
        emitted.append(z.item())
        observed.append(model.observe(state, z).item())
        states.append(state)
    return np.array(emitted), np.array(observed), states


def test_below_threshold_a_lif_relaxes_exponentially_to_its_fixed_point():
    tau, dt, current = 0.02, 0.001, 0.04
    emitted, _, states = run(LIF(d(tau)), [current] * 200, dt)
    time = dt * np.arange(1, 201)
    fixed_point = current / (1 - math.exp(-dt / tau))
    potential = [state.v.item() for state in states]
    np.testing.assert_allclose(potential, fixed_point * (1 - np.exp(-time / tau)), rtol=1e-12)
    assert fixed_point < 1
    assert not emitted.any()


@pytest.mark.parametrize("current", [0.051, 0.06, 0.1, 0.3])
def test_the_interval_between_spikes_is_the_time_to_climb_from_reset_to_threshold(current):
    tau, dt = 0.02, 0.001
    alpha = math.exp(-dt / tau)
    emitted, _, _ = run(LIF(d(tau), reset=ResetToZero()), [current] * 1000, dt)
    # the first n with current (1 - alpha^n) / (1 - alpha) > 1
    interval = math.floor(math.log(1 - (1 - alpha) / current) / math.log(alpha)) + 1
    assert set(np.diff(np.flatnonzero(emitted))) == {interval}


def test_in_small_steps_the_interval_is_that_of_the_continuous_neuron():
    # Gerstner et al. 2014, Neuronal Dynamics, equation 1.12 without refractory time: T = tau ln(RI / (RI - theta))
    tau, dt, drive = 0.02, 1e-5, 1.5
    emitted, _, _ = run(LIF(d(tau), reset=ResetToZero()), [drive * (1 - math.exp(-dt / tau))] * 8000, dt)
    intervals = dt * np.diff(np.flatnonzero(emitted))
    np.testing.assert_allclose(intervals, tau * math.log(drive / (drive - 1)), atol=1.01 * dt)


def test_a_pulse_of_current_makes_the_double_exponential_of_current_lif():
    tau_syn, tau_mem, dt = 0.005, 0.02, 0.001
    _, _, states = run(CurrentLIF(d(tau_syn), d(tau_mem)), [0.1] + [0] * 99, dt)
    a, b, k = math.exp(-dt / tau_syn), math.exp(-dt / tau_mem), np.arange(1, 101)
    np.testing.assert_allclose([state.v.item() for state in states], 0.1 * (b**k - a**k) / (b - a), rtol=1e-11)


@pytest.mark.parametrize("model", [LeakyIntegrator, Calcium], ids=lambda model: model.__name__)
def test_filters_are_the_recursive_filter_of_scipy(model, random):
    signal = random.normal(size=300)
    emitted, _, _ = run(model(d(0.05)), signal, 0.01)
    # the same recursion in the same order: a few ulp, where the sum comes near zero an absolute one
    np.testing.assert_allclose(emitted, lfilter([1], [1, -math.exp(-0.2)], signal), rtol=1e-12, atol=1e-14)


def test_a_rate_neuron_rises_to_its_input_as_euler_does():
    tau, dt = 0.1, 0.02
    emitted, _, _ = run(FiringRate(d(tau)), [0.7] * 60, dt)
    target = 1 / (1 + math.exp(-0.7))
    np.testing.assert_allclose(emitted, target * (1 - (1 - dt / tau) ** np.arange(1, 61)), rtol=1e-12)


def test_wilson_cowan_comes_to_rest_where_its_derivative_vanishes():
    mu, r, current = 0.3, 0.8, 1.1
    emitted, _, _ = run(WilsonCowan(d(0.1), d(mu), r=d(r)), [current] * 400, 0.02)
    sigmoid = 1 / (1 + math.exp(-(current - mu)))
    assert emitted[-1] == pytest.approx(brentq(lambda x: -x + (1 - r * x) * sigmoid, 0, 1, xtol=1e-15), rel=1e-12)


def test_the_error_of_euler_shrinks_with_the_step():
    # dx/dt = (-x + c) / tau: halving dt halves the error at a fixed time, to first order
    tau, end = 0.1, 0.2
    exact = (1 - math.exp(-end / tau)) / (1 + math.exp(-0.5))
    errors = [abs(run(FiringRate(d(tau)), [0.5] * n, end / n)[0][-1] - exact) for n in (100, 200, 400)]
    for coarse, fine in itertools.pairwise(errors):
        assert coarse / fine == pytest.approx(2, abs=0.05)


def test_filters_that_sum_to_one_hold_a_constant_for_ever():
    model = MultiTimescaleRate(d(0.6, 0.4), d(0.03, 0.2), tau_trace=d(0.03))
    state = model.State(x=d([[0.7]]), s=d([[0.7]]), bank=(d([[0.7]]), d([[0.7]])))
    emitted, state = model.step(model.coefficients(0.02), state, d([[0.0]]))
    for leaf in leaves(state):
        assert leaf.item() == pytest.approx(0.7, rel=1e-15)
    assert emitted.item() == pytest.approx(1 / (1 + math.exp(-0.7)), rel=1e-15)


def test_forcing_a_multi_timescale_unit_is_the_same_as_having_had_the_current_that_leads_there(generator):
    model = MultiTimescaleRate(d(0.5, 0.3), d(0.03, 0.2), tau_trace=d(0.03))
    x, s, m0, m1, current, target = (torch.randn(4, 3, generator=generator, dtype=DOUBLE) for _ in range(6))
    c, before = model.coefficients(0.02), model.State(x=x, s=s, bank=(m0, m1))
    _, free = model.step(c, before, current)
    z, forced = model.force(c, free, target, d(1.0))
    z_expected, expected = model.step(c, before, current + (target - free.x))
    for one, other in zip((z, *leaves(forced)), (z_expected, *leaves(expected)), strict=True):
        # the two orders of a handful of operations on numbers of order one
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("model", [FiringRate(0.1), WilsonCowan(0.1)], ids=lambda model: type(model).__name__)
def test_the_largest_dt_is_where_euler_begins_to_overshoot(model):
    def overshoots(dt):
        emitted, _, _ = run(model.double(), [1.0] * 10, dt)
        return (np.diff(emitted) < 0).any()

    largest = model.largest_dt()
    assert largest == pytest.approx(0.1, rel=1e-6)
    assert not overshoots(0.99 * largest)
    assert overshoots(1.01 * largest)
