"""Adaptive, biophysical and two-filter models, and rates of other forms, against numpy loops from their papers."""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from neurotorch.core.trees import leaves
from neurotorch.neurons import (
    LIF,
    QIF,
    AdaptiveCurrentLIF,
    AdaptiveLIF,
    AdEx,
    CurrentIntegrator,
    CurrentLIF,
    CurrentRate,
    DoubleExponentialCalcium,
    DoubleExponentialLIF,
    Elman,
    Hill,
    Izhikevich,
    Linear,
    PowerLaw,
    ResetBySubtraction,
    ResetToZero,
    SaturatingCalcium,
    Tanh,
)
from tests.neurons.test_golden import CLOSE, DT, NEURONS, STEPS, emitted_by, spread, tensor
from tests.reference import rates, spiking


def states_of(model, current, dt=DT):
    """Return the fields of the state ``(time, neuron)`` of unconnected neurons."""
    inputs, found = tensor(current)[:, None], []
    coefficients, state = model.coefficients(dt), model.initial_state(1, inputs[0])
    for drive in inputs:
        _, state = model.step(coefficients, state, drive)
        found.append(torch.cat([leaf.detach() for leaf in leaves(state)]))
    return [field.numpy() for field in torch.stack(found, dim=1)]


def given(constants):
    return {name: tensor(value) for name, value in constants.items()}


def lively(spikes):
    assert 0.02 < spikes.mean() < 0.5


ADAPTIVE = {
    "tau_mem": spread(0.01, 0.03),
    "tau_adaptation": spread(0.03, 0.2),
    "beta": spread(0.1, 0.5),
    "threshold": spread(0.8, 1.2),
}


def test_adaptive_lif_follows_its_paper(random):
    current, weight = random.uniform(0, 0.3, (STEPS, NEURONS)), random.normal(0, 0.3, (NEURONS, NEURONS))
    expected, _, _ = spiking.adaptive_lif(current, weight, **ADAPTIVE, dt=DT)
    lively(expected)
    np.testing.assert_array_equal(emitted_by(AdaptiveLIF(**given(ADAPTIVE)), current, weight), expected)
    _, v, a = spiking.adaptive_lif(current, 0 * weight, **ADAPTIVE, dt=DT)
    for found, wanted in zip(states_of(AdaptiveLIF(**given(ADAPTIVE)), current), (v, a), strict=True):
        np.testing.assert_allclose(found, wanted, **CLOSE)


def test_adaptive_current_lif_follows_its_papers(random):
    constants = ADAPTIVE | {"tau_syn": spread(0.003, 0.008)}
    current, weight = random.uniform(0, 0.1, (STEPS, NEURONS)), random.normal(0, 0.1, (NEURONS, NEURONS))
    expected, _, _ = spiking.adaptive_lif(current, weight, **constants, dt=DT)
    lively(expected)
    np.testing.assert_array_equal(emitted_by(AdaptiveCurrentLIF(**given(constants)), current, weight), expected)


@pytest.mark.parametrize("dt", [0.001, 0.0002])
def test_izhikevich_follows_its_paper(dt, random):
    names = ("regular spiking", "intrinsically bursting", "chattering", "fast spiking", "resonator", "thalamo-cortical")
    model = Izhikevich.of_type(*names).double()
    model.tau.assign(tensor(0.001))
    constants = {name: getattr(model, name).value.numpy() for name in "abcd"}
    current = random.uniform(0, 30, (round(0.3 / dt), NEURONS))
    spikes, v, u = spiking.izhikevich(current, np.zeros((NEURONS, NEURONS)), **constants, dt=dt)
    assert (spikes.sum(axis=0) > 3).all()
    for found, wanted in zip(states_of(model, current, dt), (v, u), strict=True):
        # the upstroke multiplies rounding by some ten at each of two or three steps, the reset ends it
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-8)


def test_izhikevich_in_a_network_fires_when_its_paper_does(random):
    current, weight = random.uniform(0, 30, (STEPS, NEURONS)), random.normal(0, 5, (NEURONS, NEURONS))
    constants = {"a": spread(0.02, 0.1), "b": spread(0.2, 0.25), "c": spread(-65, -50), "d": spread(2, 8)}
    expected, _, _ = spiking.izhikevich(current, weight, **constants, dt=DT)
    lively(expected)
    np.testing.assert_array_equal(
        emitted_by(Izhikevich(**given(constants), tau=tensor(0.001)), current, weight), expected
    )


def test_adex_in_mv_and_na_follows_its_paper_in_volt_and_ampere(random):
    current, dt = random.uniform(0, 3, (3000, NEURONS)), 1e-4
    tau_w, b = spread(0.03, 0.144), spread(0.02, 0.1)
    model = AdEx(
        **given({name: 1e9 * spiking.ADEX[name] for name in ("capacitance", "b")}),
        **given({name: 1e6 * spiking.ADEX[name] for name in ("g_leak", "a")}),
        **given({name: 1e3 * spiking.ADEX[name] for name in ("e_leak", "v_threshold", "delta", "v_reset", "peak")}),
        tau_w=tensor(tau_w),
    )
    model.b.fixed = tensor(b)
    silent = np.zeros((NEURONS, NEURONS))
    spikes, v, w = spiking.adex(1e-9 * current, silent, dt=dt, tau_w=tau_w, b=1e-9 * b)
    assert (spikes.sum(axis=0) > 3).all()
    found_v, found_w = states_of(model, current, dt)
    np.testing.assert_array_equal(found_v > 20, spikes)
    # near the peak a step multiplies rounding by up to 1e5 before the reset ends it; beyond the peak nothing is claimed
    np.testing.assert_allclose(np.minimum(found_v, 20), np.minimum(1e3 * v, 20), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found_w, 1e9 * w, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("dt", "late"), [(1e-4, 0.0), (5e-5, 5e-5), (1e-6, 8e-5)])
def test_the_held_exponent_of_adex_makes_its_first_spike_late_by_what_the_docstring_says(dt, late):
    current = np.full((round(0.0034 / dt), 1), 3.0)
    paper, _, _ = spiking.adex(1e-9 * current, np.zeros((1, 1)), dt=dt)
    found, _ = states_of(AdEx().double(), current, dt)
    first, ours = (int(np.flatnonzero(spikes)[0]) for spikes in (paper[:, 0], found[:, 0] > 20))
    assert dt * (ours - first) == pytest.approx(late, abs=1e-6)


def test_the_defaults_of_adex_are_the_constants_of_its_paper():
    units = {"capacitance": 1e9, "b": 1e9, "g_leak": 1e6, "a": 1e6, "tau_w": 1}
    for name, value in spiking.ADEX.items():
        assert getattr(AdEx(), name).value.item() == pytest.approx(units.get(name, 1e3) * value, rel=1e-6)  # float32


SYNAPSE, ADAPTATION = {"tau_syn": spread(0.003, 0.008)}, {"tau_adaptation": spread(0.03, 0.2), "beta": spread(0.1, 0.5)}
REFRACTORY = {
    LIF: {},
    CurrentLIF: SYNAPSE,
    AdaptiveLIF: ADAPTATION,
    AdaptiveCurrentLIF: SYNAPSE | ADAPTATION,
}


@pytest.mark.parametrize("held", [1, 2, 5])
@pytest.mark.parametrize(("reset", "option"), [("zero", ResetToZero()), ("subtract", ResetBySubtraction())])
@pytest.mark.parametrize(("model", "more"), REFRACTORY.items(), ids=lambda value: getattr(value, "__name__", "with"))
def test_a_refractory_neuron_follows_its_book(model, more, reset, option, held, random):
    current, weight = random.uniform(0, 0.4, (STEPS, NEURONS)), random.normal(0, 0.3, (NEURONS, NEURONS))
    constants = {"tau_mem": spread(0.01, 0.03), "threshold": spread(0.8, 1.2), **more}
    expected, _ = spiking.refractory_lif(current, weight, **constants, held=held, dt=DT, reset=reset)
    lively(expected)
    ours = model(**given(constants), reset=option, refractory=tensor(held * DT))
    np.testing.assert_array_equal(emitted_by(ours, current, weight), expected)


def test_double_exponential_lif_is_the_sum_of_its_kernel_over_the_past(random):
    current, weight = random.uniform(0, 0.1, (STEPS, NEURONS)), random.normal(0, 0.1, (NEURONS, NEURONS))
    constants = {"tau_rise": spread(0.001, 0.003), "tau_syn": spread(0.004, 0.01), "tau_mem": spread(0.01, 0.03)}
    expected, _ = spiking.double_exponential_lif(current, weight, **constants, threshold=1.0, dt=DT)
    lively(expected)
    found = emitted_by(DoubleExponentialLIF(**given(constants), threshold=tensor(1.0)), current, weight)
    np.testing.assert_array_equal(found, expected)


def test_qif_follows_its_paper(random):
    current, weight = random.uniform(0, 20, (STEPS, NEURONS)), random.normal(0, 5, (NEURONS, NEURONS))
    constants = {"tau_mem": spread(0.01, 0.03), "v_reset": spread(-10, -5), "peak": spread(5, 10)}
    expected, _ = spiking.qif(current, weight, **constants, dt=DT)
    lively(expected)
    np.testing.assert_array_equal(emitted_by(QIF(**given(constants)), current, weight), expected)


FORMS = [
    (Tanh(), np.tanh),
    (PowerLaw(0.3, 2.0), lambda x: 0.3 * np.maximum(x, 0) ** 2),
    (Hill(2.0, 1.5, 0.4), lambda x: 2 * np.maximum(x, 0) ** 1.5 / (0.4**1.5 + np.maximum(x, 0) ** 1.5)),
]


@pytest.mark.parametrize(("option", "phi"), FORMS, ids=[type(option).__name__ for option, _ in FORMS])
def test_current_rate_follows_its_paper(option, phi, random):
    current, weight = random.normal(size=(STEPS, NEURONS)), random.normal(0, 0.5, (NEURONS, NEURONS))
    expected = rates.current_rate(current, weight, tau=spread(0.002, 0.02), dt=DT, phi=phi)
    found = emitted_by(CurrentRate(tensor(spread(0.002, 0.02)), transfer=option), current, weight)
    np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize(("option", "phi"), [(Tanh(), np.tanh), (Linear(), lambda x: x)], ids=["vanilla", "linear"])
def test_elman_follows_its_paper(option, phi, random):
    current, weight = random.normal(size=(STEPS, NEURONS)), random.normal(0, 0.2, (NEURONS, NEURONS))
    expected = rates.elman(current, weight, gain=spread(0.5, 1.5), phi=phi)
    found = emitted_by(Elman(tensor(spread(0.5, 1.5)), transfer=option), current, weight)
    np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("model", [CurrentIntegrator, DoubleExponentialCalcium], ids=lambda model: model.__name__)
def test_two_filters_in_series_are_the_second_order_filter_of_scipy(model, random):
    signal = random.normal(size=300)
    x, y = np.exp(-0.01 / 0.02), np.exp(-0.01 / 0.3)
    gain = 1 - x if model is DoubleExponentialCalcium else 1.0
    expected = lfilter([gain], np.convolve([1, -x], [1, -y]), signal)
    found = emitted_by_one(model(tensor(0.02), tensor(0.3)), signal, 0.01)
    # another order of the same recursion, with a slow pole: rounding adds up over 30 steps
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def emitted_by_one(model, signal, dt):
    state, found = model.initial_state(1, torch.zeros(1, 1, dtype=torch.float64)), []
    for drive in signal:
        z, state = model.step(model.coefficients(dt), state, tensor([[drive]]))
        found.append(z.item())
    return found


def test_calcium_saturates_as_hill_says():
    signal = [0.0, 1.0, 4.0, 20.0, 300.0, 0.0]
    c = lfilter([1], [1, -np.exp(-0.01)], signal)
    model = SaturatingCalcium(tensor(1.0), tensor(5.0), exponent=tensor(2.0))
    # 1e-12 is the share that the least calcium binds
    np.testing.assert_allclose(emitted_by_one(model, signal, 0.01), c**2 / (25 + c**2), rtol=1e-12, atol=1.1e-12)
