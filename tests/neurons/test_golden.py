"""Every model in a recurrent layer against the float64 numpy loop that was written from its paper."""

import numpy as np
import pytest
import torch

from neurotorch.connections import Connection
from neurotorch.engine import Link, Population, adjoint
from neurotorch.network import Layer
from neurotorch.network.steps import NeuronStep
from neurotorch.neurons import (
    LIF,
    Calcium,
    CurrentLIF,
    FiringRate,
    LeakyIntegrator,
    MultiTimescaleRate,
    Relu,
    ResetBySubtraction,
    ResetToZero,
    Sigmoid,
    Softplus,
    Tanh,
    WilsonCowan,
)
from tests.reference import filters, rates, spiking

STEPS, NEURONS, DT = 100, 6, 0.001
# Numpy and torch sum products in another order: 100 steps of contracting dynamics keep that at some hundred ulp.
CLOSE = {"rtol": 1e-11, "atol": 1e-12}


def tensor(values):
    return torch.tensor(np.asarray(values, dtype=float), dtype=torch.float64)


def spread(low, high):
    return np.linspace(low, high, NEURONS)


def emitted_by(model, current, weight):
    """Return what a recurrent layer of the model emits, ``(time, neuron)``; the one sample is the second of a batch."""
    layer = Layer(model, NEURONS, recurrent=Connection(NEURONS, NEURONS)).double()
    layer.recurrent.set_weight(tensor(weight))
    batch = torch.stack([torch.zeros(current.shape, dtype=torch.float64), tensor(current)], dim=1)
    with torch.no_grad():
        return layer(batch, dt=DT)[0][:, 1].numpy()


RESETS = [("subtract", ResetBySubtraction()), ("zero", ResetToZero())]


@pytest.mark.parametrize(("reset", "option"), RESETS, ids=["subtract", "zero"])
def test_lif_follows_its_paper(reset, option, random):
    current, weight = random.uniform(0, 0.15, (STEPS, NEURONS)), random.normal(0, 0.3, (NEURONS, NEURONS))
    tau, threshold = spread(0.01, 0.03), spread(0.8, 1.2)
    expected, _ = spiking.lif(current, weight, tau_mem=tau, threshold=threshold, dt=DT, reset=reset)
    assert 0.02 < expected.mean() < 0.5
    found = emitted_by(LIF(tensor(tau), tensor(threshold), reset=option), current, weight)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("reset", "option"), RESETS, ids=["subtract", "zero"])
def test_current_lif_follows_its_paper(reset, option, random):
    current, weight = random.uniform(0, 0.06, (STEPS, NEURONS)), random.normal(0, 0.1, (NEURONS, NEURONS))
    constants = {"tau_syn": spread(0.003, 0.008), "tau_mem": spread(0.01, 0.03), "threshold": spread(0.8, 1.2)}
    expected, _ = spiking.current_lif(current, weight, **constants, dt=DT, reset=reset)
    assert 0.02 < expected.mean() < 0.5
    model = CurrentLIF(**{name: tensor(value) for name, value in constants.items()}, reset=option)
    np.testing.assert_array_equal(emitted_by(model, current, weight), expected)


def test_the_two_resets_differ_where_neurons_fire(random):
    current, weight = random.uniform(0, 0.3, (STEPS, NEURONS)), np.zeros((NEURONS, NEURONS))
    one, other = (emitted_by(LIF(tensor(0.02), tensor(1.0), reset=option), current, weight) for _, option in RESETS)
    assert (one != other).any()


def test_potentials_of_lif_follow_its_paper(random):
    current, weight = random.uniform(0, 0.15, (STEPS, NEURONS)), np.zeros((NEURONS, NEURONS))
    _, expected = spiking.lif(current, weight, tau_mem=0.02, threshold=1.0, dt=DT, reset="subtract")
    model, rest = LIF(tensor(0.02), tensor(1.0)), torch.zeros(1, NEURONS, dtype=torch.float64)
    population = Population(
        NeuronStep(LIF), model.coefficients(DT), model.initial_state(1, rest), rest[None], tensor(current)[:, None]
    )
    (run,) = adjoint.scan([population], [], record=True)
    np.testing.assert_allclose(run.states.v[:, 0].numpy(), expected, **CLOSE)


def test_leaky_integrator_follows_its_paper(random):
    current, weight = random.normal(size=(STEPS, NEURONS)), random.normal(0, 0.01, (NEURONS, NEURONS))
    expected = filters.leaky_integrator(current, weight, tau_mem=spread(0.01, 0.03), dt=DT)
    found = emitted_by(LeakyIntegrator(tensor(spread(0.01, 0.03))), current, weight)
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_calcium_follows_its_paper(random):
    spikes, weight = (random.random((STEPS, NEURONS)) < 0.1).astype(float), random.normal(0, 0.01, (NEURONS, NEURONS))
    expected = filters.calcium(spikes, weight, tau=spread(0.05, 0.5), dt=DT)
    np.testing.assert_allclose(emitted_by(Calcium(tensor(spread(0.05, 0.5))), spikes, weight), expected, **CLOSE)


PHI = [
    (Sigmoid(), rates.logistic),
    (Tanh(), np.tanh),
    (Relu(), lambda x: np.maximum(x, 0)),
    (Softplus(2.0), lambda x: np.log1p(np.exp(2 * x))),
]


@pytest.mark.parametrize(("option", "phi"), PHI, ids=[type(option).__name__ for option, _ in PHI])
def test_firing_rate_follows_its_book(option, phi, random):
    current, weight = random.normal(size=(STEPS, NEURONS)), random.normal(0, 0.3, (NEURONS, NEURONS))
    expected = rates.firing_rate(current, weight, tau=spread(0.002, 0.02), dt=DT, phi=phi)
    found = emitted_by(FiringRate(tensor(spread(0.002, 0.02)), transfer=option), current, weight)
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_wilson_cowan_follows_its_paper(random):
    current, weight = random.normal(size=(STEPS, NEURONS)), random.normal(0, 2, (NEURONS, NEURONS))
    constants = {"tau": spread(0.002, 0.02), "mu": spread(-1, 1), "r": spread(0, 1)}
    expected = rates.wilson_cowan(current, weight, **constants, dt=DT)
    found = emitted_by(WilsonCowan(**{name: tensor(value) for name, value in constants.items()}), current, weight)
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_multi_timescale_rate_follows_its_equations(random):
    current, weight = random.normal(size=(STEPS, NEURONS)), random.normal(0, 0.5, (NEURONS, NEURONS))
    own = random.uniform(-0.2, 0.3, (3, NEURONS))
    taus, tau_trace = (0.0015, 0.005, 0.04), spread(0.001, 0.003)
    emitted, observed = rates.multi_timescale_rate(
        current, weight, own=own, taus=taus, tau_trace=tau_trace, dt=DT, phi=rates.logistic
    )
    model = MultiTimescaleRate(tensor(own), tensor(taus), tau_trace=tensor(tau_trace))
    np.testing.assert_allclose(emitted_by(model, current, weight), emitted, **CLOSE)
    rest = torch.zeros(1, NEURONS, dtype=torch.float64)
    population = Population(
        NeuronStep(MultiTimescaleRate),
        model.coefficients(DT),
        model.initial_state(1, rest),
        rest[None],
        tensor(current)[:, None],
    )
    (run,) = adjoint.scan([population], [Link(0, 0, tensor(weight))])
    np.testing.assert_allclose(run.seen[:, 0].numpy(), observed, **CLOSE)
