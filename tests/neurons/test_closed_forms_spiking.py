"""What adaptive, biophysical and refractory neurons must do where mathematics, or the paper, knows the answer."""

import math

import numpy as np
import pytest
import torch

from neurotorch.neurons import (
    IZHIKEVICH_TYPES,
    LIF,
    QIF,
    AdaptiveLIF,
    AdEx,
    CurrentLIF,
    CurrentRate,
    DoubleExponentialLIF,
    Izhikevich,
    PowerLaw,
    ResetToZero,
)
from tests.neurons.test_closed_forms import d, run


def times_of(model, current, dt, seconds):
    """Return when a neuron fires under a constant current, in seconds."""
    emitted, _, _ = run(model, [current] * round(seconds / dt), dt)
    return dt * np.flatnonzero(emitted)


def test_an_adapted_neuron_has_the_threshold_that_its_own_rate_holds_up():
    # Firing every n steps, it has a = rho^(n - 1) (rho a + 1) at each spike; n is measured
    dt, tau = 0.001, 0.1
    model = AdaptiveLIF(d(0.02), d(tau), beta=d(0.5))
    emitted, _, states = run(model, [0.2] * 2000, dt)
    fired = np.flatnonzero(emitted)
    intervals = np.diff(fired)
    assert intervals[-1] > 2 * intervals[0]
    (n,) = set(intervals[-20:])
    rho = math.exp(-dt / tau)
    assert states[fired[-1]].a.item() == pytest.approx(rho ** (n - 1) / (1 - rho**n), rel=1e-6)


def test_without_adaptation_it_is_the_lif_neuron(random):
    signal = random.uniform(0, 0.2, 400)
    one, _, _ = run(AdaptiveLIF(d(0.02), beta=d(0.0)), signal, 0.001)
    other, _, _ = run(LIF(d(0.02)), signal, 0.001)
    assert one.any()
    np.testing.assert_array_equal(one, other)


def test_the_surrogate_of_adaptive_lif_is_scaled_by_the_baseline_threshold():
    # Bellec et al. 2020: psi = gamma / v_th max(0, 1 - |v - A| / v_th), whatever the adaptation
    threshold, beta, a, rho = 2.0, 0.3, 1.5, math.exp(-0.001 / 0.2)
    model = AdaptiveLIF(d(0.02), d(0.2), beta=d(beta), threshold=d(threshold))
    current = d([[3.1]]).requires_grad_()
    z, _ = model.step(model.coefficients(0.001), model.State(v=d([[0.0]]), a=d([[a]])), current)
    (found,) = torch.autograd.grad(z.sum(), current)
    distance = 3.1 - (threshold + beta * rho * a)
    assert found.item() == pytest.approx(0.3 / threshold * (1 - abs(distance) / threshold), rel=1e-12)


def test_the_gradient_flows_through_the_adaptation_and_not_through_the_reset():
    model = AdaptiveLIF(d(0.02), d(0.2), beta=d(0.3))
    v = d([[1.2]]).requires_grad_()
    _, state = model.step(model.coefficients(0.001), model.State(v=v, a=d([[0.0]])), d([[0.0]]))
    (of_v,) = torch.autograd.grad(state.v.sum(), v, retain_graph=True)
    (of_a,) = torch.autograd.grad(state.a.sum(), v)
    assert of_v.item() == pytest.approx(math.exp(-0.05), rel=1e-12)
    assert of_a.item() == pytest.approx(0.3 * (1 - 0.2), rel=1e-12)


@pytest.mark.parametrize("drive", [2.0, 20.0])
def test_the_interval_of_a_quadratic_neuron_is_the_difference_of_two_arctangents(drive):
    tau, dt, q = 0.01, 2e-5, math.sqrt(drive)
    intervals = np.diff(times_of(QIF(d(tau)), drive, dt, 0.16))
    expected = tau * (math.atan(10 / q) - math.atan(-10 / q)) / q
    assert len(intervals) > 5
    # Euler's method of first order: v <= 10 moves at most dt v^2 / tau, 10 % of itself, in the last steps
    np.testing.assert_allclose(intervals, expected, rtol=0.01)


def test_a_quadratic_neuron_rests_at_minus_the_root_of_inhibition():
    emitted, _, states = run(QIF(d(0.01)), [-4.0] * 2000, 0.0005)
    assert not emitted.any()
    assert states[-1].v.item() == pytest.approx(-2.0, rel=1e-12)


@pytest.mark.parametrize("held", [1, 3, 10])
def test_the_refractory_period_adds_to_every_interval(held):
    tau, dt, current = 0.02, 0.001, 0.1
    free = np.diff(times_of(LIF(d(tau), reset=ResetToZero()), current, dt, 1.0))
    late = np.diff(times_of(LIF(d(tau), reset=ResetToZero(), refractory=d(held * dt)), current, dt, 1.0))
    np.testing.assert_allclose(late, free[0] + held * dt, rtol=1e-9)


def test_a_period_of_one_step_drops_the_next_input(random):
    signal, dt, alpha = random.uniform(0, 0.4, 300), 0.001, math.exp(-0.05)
    v, expected = 0.0, []
    for current in signal:
        v = (alpha * v + current) * (v <= 1)
        expected.append(v > 1)
    dropped, _, _ = run(LIF(d(0.02), reset=ResetToZero(), refractory=d(dt)), signal, dt)
    np.testing.assert_array_equal(dropped, expected)
    free, _, _ = run(LIF(d(0.02), reset=ResetToZero()), signal, dt)
    assert free.sum() > dropped.sum() > 10


def test_a_period_too_short_to_act_is_refused():
    with pytest.raises(ValueError, match=r"`refractory` is 0.0004 s, less than half a step .* at least 0.0005 s"):
        run(LIF(d(0.02), refractory=d(0.0004)), [1.0], 0.001)


def test_a_held_potential_that_is_still_above_threshold_is_no_further_spike():
    # after a strong input the potential is above threshold even when that has been taken off once
    emitted, _, _ = run(LIF(d(0.02), refractory=d(0.003)), [5.0, *[0.0] * 11], 0.001)
    assert np.flatnonzero(emitted).tolist() == [0, 4, 8]


def test_a_synaptic_current_goes_on_while_the_potential_is_held():
    model = CurrentLIF(d(0.005), d(0.02), refractory=d(0.004))
    emitted, _, states = run(model, [1.5, *[0.0] * 5], 0.001)
    decay, alpha = math.exp(-0.2), math.exp(-0.05)
    assert np.flatnonzero(emitted).tolist() == [0]
    assert [state.i.item() for state in states] == pytest.approx([1.5 * decay**n for n in range(6)], rel=1e-12)
    held = alpha * 1.5 - 1
    expected = [1.5, *[held] * 4, alpha * held + 1.5 * decay**5]
    assert [state.v.item() for state in states] == pytest.approx(expected, rel=1e-12)


def test_a_short_rise_is_the_current_based_neuron_and_the_charge_stays(random):
    signal, dt = random.uniform(0, 0.1, 300), 0.001
    one, _, _ = run(DoubleExponentialLIF(d(1e-5), d(0.005), tau_mem=d(0.02)), signal, dt)
    other, _, _ = run(CurrentLIF(d(0.005), d(0.02)), signal, dt)
    assert one.any()
    np.testing.assert_array_equal(one, other)
    pulse = [0.001] + [0] * 400
    charges = [
        sum(state.i.item() for state in run(model, pulse, dt)[2])
        for model in (DoubleExponentialLIF(d(0.004), d(0.005)), CurrentLIF(d(0.005)))
    ]
    assert charges[0] == pytest.approx(charges[1], rel=1e-12)


def test_at_rest_and_below_its_threshold_adex_is_the_linear_response_of_its_leak_and_adaptation():
    model, current = AdEx().double(), 0.05
    emitted, _, states = run(model, [current] * 6000, 3e-4)
    # far below V_T: g_L (V - E_L) + a (V - E_L) = I, and exp((V - V_T) / 2) adds g_L 2 exp(-9.4): some 1e-3 of it
    assert not emitted.any()
    assert states[-1].v_mv.item() == pytest.approx(-70.6 + current / 0.034, rel=1e-4)
    assert states[-1].w_na.item() == pytest.approx(0.004 * current / 0.034, rel=1e-2)


def test_adex_fires_above_its_rheobase_and_not_below():
    # The fixed point is lost in a saddle-node at exp((V - V_T) / delta) = 1 + a / g_L: Naud et al. 2008,
    # doi:10.1007/s00422-008-0264-7
    g, a, delta, v_t, e = 0.03, 0.004, 2.0, -50.4, -70.6
    rheobase = (g + a) * (v_t - e - delta + delta * math.log(1 + a / g))
    slow = {"tau_w": d(0.005)}  # a / g_L < tau_m / tau_w: the fixed point is lost by the saddle-node, not before
    for factor, fires in ((0.98, False), (1.02, True)):
        emitted, _, _ = run(AdEx(**slow).double(), np.minimum(np.arange(4000) / 2000, 1) * factor * rheobase, 5e-4)
        assert emitted.any() == fires


def test_adex_adapts_by_b_per_spike():
    times = times_of(AdEx().double(), 1.0, 1e-4, 0.5)
    intervals = np.diff(times)
    assert intervals[-1] > 1.5 * intervals[0]
    plain = np.diff(times_of(AdEx(a=0.0, b=0.0).double(), 1.0, 1e-4, 0.2))
    np.testing.assert_allclose(plain, plain[0], atol=1.01e-4)


@pytest.fixture(scope="module")
def trains():
    """Return the spike times of the named types under 10, from rest, in steps of 0.1 ms."""
    model = Izhikevich.of_type(*IZHIKEVICH_TYPES).double()
    rest = torch.zeros(1, len(IZHIKEVICH_TYPES), dtype=torch.float64)
    state, coefficients, emitted = model.initial_state(1, rest), model.coefficients(1e-4), []
    for _ in range(5000):
        z, state = model.step(coefficients, state, rest + 10)
        emitted.append(z[0])
    emitted = torch.stack(emitted).numpy()
    return {name: 0.1 * np.flatnonzero(emitted[:, k]) for k, name in enumerate(IZHIKEVICH_TYPES)}


def test_izhikevich_types_fire_as_the_paper_names_them(trains):
    intervals = {name: np.diff(times) for name, times in trains.items()}
    regular, fast, bursting, chattering = (
        intervals[name] for name in ("regular spiking", "fast spiking", "intrinsically bursting", "chattering")
    )
    assert regular[-1] > 1.5 * regular[0]  # adaptation
    assert fast[-1] < regular[-1] / 2  # a high rate, and no adaptation after the first spikes
    assert fast[-1] == pytest.approx(fast[3], rel=0.1)
    assert bursting[0] < 10 < bursting[-1]  # a burst at first, then single spikes
    assert bursting[-1] == pytest.approx(bursting[-2], rel=0.1)
    assert chattering.min() < 5  # bursts again and again
    assert sum(chattering > 4 * chattering.min()) > 3
    low = intervals["low-threshold spiking"]
    assert low[-1] > 1.2 * low[0]  # adaptation
    assert len(trains["thalamo-cortical"]) > len(trains["regular spiking"])  # tonic


def test_a_thalamo_cortical_neuron_bursts_when_released_from_hyperpolarisation_and_a_regular_one_does_not():
    def released(name):
        times = times_of_steps(Izhikevich.of_type(name).double(), [-15.0] * 3000 + [0.0] * 2000, 1e-4)
        return times[times > 0.3]

    assert len(released("thalamo-cortical")) > 2
    assert not len(released("regular spiking"))


def times_of_steps(model, currents, dt):
    return dt * np.flatnonzero(run(model, currents, dt)[0])


def test_izhikevich_rests_where_its_parabola_meets_the_recovery():
    emitted, _, states = run(Izhikevich().double(), [0.0] * 5000, 1e-3)
    # 0.04 v^2 + 5 v + 140 = b v, lower root
    rest = (-(5 - 0.2) - math.sqrt((5 - 0.2) ** 2 - 4 * 0.04 * 140)) / 0.08
    assert not emitted.any()
    assert states[-1].v_mv.item() == pytest.approx(rest, rel=1e-6)  # constants are float32
    assert states[-1].u.item() == pytest.approx(0.2 * rest, rel=1e-6)


def test_an_unknown_cell_type_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'pyramidal', but known are 'regular spiking'.*'resonator'"):
        Izhikevich.of_type("fast spiking", "pyramidal")
    with pytest.raises(ValueError, match="no cell type"):
        Izhikevich.of_type()


def test_a_supralinear_unit_with_itself_settles_where_its_parabola_says():
    # h = I + w k h^2 below the point where it runs away
    k, w, current = 0.3, 0.4, 1.0
    state = CurrentRate(d(0.1), transfer=PowerLaw(k, 2.0)).double()
    c, s, r = state.coefficients(0.01), state.State(h=d([[0.0]])), d([[0.0]])
    for _ in range(3000):
        r, s = state.step(c, s, current + w * r)
    h = (1 - math.sqrt(1 - 4 * w * k * current)) / (2 * w * k)
    assert r.item() == pytest.approx(k * h * h, rel=1e-10)
