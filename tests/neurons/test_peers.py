"""Peers as oracles: snntorch and norse, for the cells that they share with us."""

import math

import pytest
import torch

from neurotorch.core.trees import leaves
from neurotorch.neurons import LIF, CurrentLIF, FastSigmoid, ResetToZero

STEPS, BATCH, NEURONS, DT = 60, 3, 5, 0.001


def ours(model, coefficients, currents):
    """Return spikes and potentials ``(time, batch, neuron)``."""
    state, spikes, potentials = model.initial_state(BATCH, currents[0]), [], []
    for current in currents:
        z, state = model.step(coefficients, state, current)
        spikes.append(z)
        potentials.append(leaves(state)[-1])
    return torch.stack(spikes), torch.stack(potentials)


def gradients(spikes, potentials, wanted):
    """Return the gradients of a sum that weighs every step differently, of spikes and of potentials."""
    ramp = torch.linspace(-1, 1, STEPS)[:, None, None]
    return torch.autograd.grad((ramp * spikes).sum() + 0.1 * (ramp * ramp * potentials).sum(), wanted)


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        # float32, whose rounding a chain of 60 products with surrogates of order one multiplies by some hundred
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.fixture
def snntorch():
    return pytest.importorskip("snntorch")


def their_run(cell, currents):
    spikes, potentials = [], []
    state = [torch.zeros(BATCH, NEURONS) for _ in (cell.reset_mem() if isinstance(cell.reset_mem(), tuple) else [0])]
    for current in currents:
        z, *state = cell(current, *state)
        spikes.append(z)
        potentials.append(state[-1])
    return torch.stack(spikes), torch.stack(potentials)


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_lif_is_the_leaky_cell_of_snntorch(reset, snntorch, generator):
    currents = torch.rand(STEPS, BATCH, NEURONS, generator=generator).mul(0.15).requires_grad_()
    beta = math.exp(-DT / 0.02)
    cell = snntorch.Leaky(
        beta=beta, learn_beta=True, reset_mechanism=reset, spike_grad=snntorch.surrogate.fast_sigmoid(slope=10)
    )
    theirs = their_run(cell, currents)
    model = LIF(0.02, **({"reset": ResetToZero()} if reset == "zero" else {}), surrogate=FastSigmoid(10.0))
    coefficients = model.coefficients(DT)._replace(alpha=torch.tensor(beta).requires_grad_())
    found = ours(model, coefficients, currents)
    assert 0.02 < float(theirs[0].detach().mean()) < 0.5
    assert torch.equal(found[0], theirs[0])
    assert_same(found, theirs)
    assert_same(gradients(*found, (currents, coefficients.alpha)), gradients(*theirs, (currents, cell.beta)))


def test_current_lif_is_the_synaptic_cell_of_snntorch(snntorch, generator):
    currents = torch.rand(STEPS, BATCH, NEURONS, generator=generator).mul(0.05).requires_grad_()
    alpha, beta = math.exp(-DT / 0.005), math.exp(-DT / 0.02)
    cell = snntorch.Synaptic(
        alpha=alpha, beta=beta, learn_alpha=True, learn_beta=True, reset_mechanism="subtract",
        spike_grad=snntorch.surrogate.fast_sigmoid(slope=10),
    )  # fmt: skip
    theirs = their_run(cell, currents)
    model = CurrentLIF(0.005, 0.02, surrogate=FastSigmoid(10.0))
    coefficients = model.coefficients(DT)._replace(
        alpha_syn=torch.tensor(alpha).requires_grad_(), alpha_mem=torch.tensor(beta).requires_grad_()
    )
    found = ours(model, coefficients, currents)
    assert 0.02 < float(theirs[0].detach().mean()) < 0.5
    assert torch.equal(found[0], theirs[0])
    assert_same(
        gradients(*found, (currents, coefficients.alpha_syn, coefficients.alpha_mem)),
        gradients(*theirs, (currents, cell.alpha, cell.beta)),
    )


def test_lif_with_reset_to_zero_fires_as_the_boxed_cell_of_norse(generator):
    # norse takes Euler's 1 - dt/tau for the decay and dt/tau as gain of the input; its reset comes in the step of the
    # spike, ours in the next, which is the same for what is emitted. Its reset carries a gradient, so gradients differ.
    pytest.importorskip("norse")
    from norse.torch.functional.lif_box import LIFBoxFeedForwardState, LIFBoxParameters, lif_box_feed_forward_step

    rate = DT / 0.02
    parameters = LIFBoxParameters(tau_mem_inv=torch.tensor(1 / 0.02))
    currents = torch.rand(STEPS, BATCH, NEURONS, generator=generator).mul(3)
    state, theirs = LIFBoxFeedForwardState(v=torch.zeros(BATCH, NEURONS)), []
    for current in currents:
        z, state = lif_box_feed_forward_step(current, state, parameters, DT)
        theirs.append(z)
    model = LIF(0.02, reset=ResetToZero())
    found, _ = ours(model, model.coefficients(DT)._replace(alpha=torch.tensor(1 - rate)), rate * currents)
    assert 0.01 < float(found.mean()) < 0.5
    assert torch.equal(found, torch.stack(theirs))
