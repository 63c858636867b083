"""Peers as oracles: snntorch and norse, for the cells and the recurrent layers that they share with us."""

import math

import pytest
import torch

from neurotorch.connections import Connection, Given
from neurotorch.core.trees import leaves
from neurotorch.network import Layer
from neurotorch.neurons import LIF, CurrentLIF, FastSigmoid, LeakyIntegrator, ResetToZero, learned

STEPS, BATCH, NEURONS, DT = 60, 3, 5, 0.001
TAU_SYN, TAU_MEM = 0.005, 0.02


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


@pytest.fixture
def norse():
    return pytest.importorskip("norse.torch")


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


def euler_rate(tau):
    """Return the inverse time constant at which Euler's decay ``1 - dt / tau`` of norse is our ``exp(-dt / tau)``."""
    return (1 - math.exp(-DT / tau)) / DT


def test_current_lif_with_reset_to_zero_fires_as_the_feed_forward_cell_of_norse(norse, generator):
    # norse lets the current into the potential with a gain of dt / tau_mem, which our currents carry, and resets in the
    # step of the spike, ours in the next: the same for what is emitted, so its potential is ours after the reset. That
    # reset carries a gradient, ours and the one of norse's recurrent layer do not: gradients are compared there.
    currents = torch.rand(STEPS, BATCH, NEURONS, generator=generator, dtype=torch.float64)
    rates = [torch.tensor(euler_rate(tau), dtype=torch.float64) for tau in (TAU_SYN, TAU_MEM)]
    zeros = torch.zeros(BATCH, NEURONS, dtype=torch.float64)
    state, spikes, potentials = norse.LIFFeedForwardState(v=zeros, i=zeros), [], []
    for current in currents:
        z, state = norse.lif_feed_forward_step(current, state, norse.LIFParameters(*rates), DT)
        spikes.append(z)
        potentials.append(state.v)
    model = CurrentLIF(reset=ResetToZero())
    coefficients = model.coefficients(DT)._replace(alpha_syn=1 - DT * rates[0], alpha_mem=1 - DT * rates[1])
    emitted, potential = ours(model, coefficients, DT * rates[1] * currents)
    assert 0.02 < float(emitted.mean()) < 0.5
    assert torch.equal(emitted, torch.stack(spikes))
    # Float64, and the same few operations in another order.
    torch.testing.assert_close(potential * (1 - emitted), torch.stack(potentials), rtol=1e-12, atol=1e-14)


def test_two_leaky_integrators_are_the_leaky_integrator_of_norse_which_has_a_synaptic_current(norse, generator):
    currents = torch.randn(STEPS, BATCH, NEURONS, generator=generator, dtype=torch.float64).requires_grad_()
    rates = [torch.tensor(euler_rate(tau), dtype=torch.float64) for tau in (TAU_SYN, TAU_MEM)]
    theirs, _ = norse.LI(p=norse.LIParameters(*rates), dt=DT)(currents)
    synapse, membrane = (
        Layer(LeakyIntegrator(torch.tensor(tau, dtype=torch.float64)), NEURONS) for tau in (TAU_SYN, TAU_MEM)
    )
    found, _ = membrane(DT * euler_rate(TAU_MEM) * synapse(currents, dt=DT)[0], dt=DT)
    torch.testing.assert_close(found, theirs, rtol=1e-10, atol=1e-14)  # float64, another order of operations
    ramp = torch.linspace(-1, 1, STEPS, dtype=torch.float64)[:, None, None]
    (one,), (other,) = (torch.autograd.grad((ramp * each).sum(), currents) for each in (found, theirs))
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-14)


def test_the_leaky_integrator_is_the_leaky_cell_of_snntorch_without_reset(snntorch, generator):
    currents = torch.randn(STEPS, BATCH, NEURONS, generator=generator).requires_grad_()
    beta = math.exp(-DT / TAU_MEM)
    cell = snntorch.Leaky(beta=beta, learn_beta=True, reset_mechanism="none")
    _, theirs = their_run(cell, currents)
    model = LeakyIntegrator(TAU_MEM)
    coefficients = model.coefficients(DT)._replace(alpha=torch.tensor(beta).requires_grad_())
    found, _ = ours(model, coefficients, currents)
    assert_same([found], [theirs])
    nothing = torch.zeros_like(found)
    assert_same(
        gradients(nothing, found, (currents, coefficients.alpha)), gradients(nothing, theirs, (currents, cell.beta))
    )


CHANNELS, WIDE = 4, 30


class Recurrent:
    """A recurrent layer of ours through the compiled engine, and what it was built from."""

    def __init__(self, model, generator, *, gain, dtype):
        def normal(*shape):
            return torch.randn(*shape, generator=generator, dtype=dtype)

        self.input_weight = gain * normal(WIDE, CHANNELS) / CHANNELS**0.5
        self.recurrent_weight = gain * normal(WIDE, WIDE) / WIDE**0.5
        self.inputs = normal(50, BATCH, CHANNELS)
        self.ramp = normal(50, BATCH, WIDE)
        self.layer = Layer(
            model,
            WIDE,
            inputs=Connection(CHANNELS, WIDE, init=Given(self.input_weight)),
            recurrent=Connection(WIDE, WIDE, init=Given(self.recurrent_weight)),
        ).to(dtype)
        # Connections and constants are made in float32: the peer takes what we run with.
        self.input_weight, self.recurrent_weight = self.layer.inputs.raw.detach(), self.layer.recurrent.raw.detach()

    def run(self):
        """Return the spikes and the gradients of their weighted sum: of the inputs, of both weights."""
        inputs = self.inputs.clone().requires_grad_()
        spikes, _ = self.layer(inputs, dt=DT)
        (self.ramp * spikes).sum().backward()
        assert 0.02 < float(spikes.detach().mean()) < 0.5
        return spikes.detach(), [inputs.grad, self.layer.inputs.raw.grad, self.layer.recurrent.raw.grad]

    def decay(self, name):
        """Return the decay per step of a time constant and the gradient with respect to it."""
        constant = getattr(self.layer.neuron, name)
        alpha = torch.exp(-DT / constant.value)
        # The parameter is log tau, and d alpha / d log tau = alpha dt / tau.
        return alpha, constant.raw.grad / (alpha * DT / constant.value)


def assert_same_layer(found, theirs, wanted, ramp, spikes):
    """The same spikes; gradients to some thousand roundings after 50 steps, relative to the largest of each."""
    tolerance = 1e4 * torch.finfo(spikes.dtype).eps
    assert torch.equal(spikes, theirs.detach())
    expected = torch.autograd.grad((ramp * theirs).sum(), wanted)
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).abs().max()) < tolerance * float(other.abs().max())


@pytest.mark.parametrize("synaptic", [False, True])
def test_a_recurrent_layer_is_the_recurrent_cell_of_snntorch(synaptic, snntorch, generator):
    surrogate = FastSigmoid(10.0)
    if synaptic:
        model, gain = CurrentLIF(learned(TAU_SYN), learned(TAU_MEM), surrogate=surrogate), 0.3
    else:
        model, gain = LIF(learned(TAU_MEM), surrogate=surrogate), 0.6
    layer = Recurrent(model, generator, gain=gain, dtype=torch.float32)  # the spikes of snntorch are float32
    spikes, found = layer.run()
    names = ["tau_syn", "tau_mem"] if synaptic else ["tau_mem"]
    decays, slopes = zip(*(layer.decay(name) for name in names), strict=True)
    kind = snntorch.RSynaptic if synaptic else snntorch.RLeaky
    constants = dict(zip(["alpha", "beta"] if synaptic else ["beta"], decays, strict=True))
    cell = kind(
        **constants,
        **{f"learn_{name}": True for name in constants},
        linear_features=WIDE,
        spike_grad=snntorch.surrogate.fast_sigmoid(slope=10),
    )
    cell.recurrent.weight.data.copy_(layer.recurrent_weight)
    cell.recurrent.bias.data.zero_()
    inputs, weight = layer.inputs.clone().requires_grad_(), layer.input_weight.clone().requires_grad_()
    state, theirs = cell.reset_mem(), []
    for current in torch.nn.functional.linear(inputs, weight):
        state = cell(current, *state)
        theirs.append(state[0])
    wanted = [inputs, weight, cell.recurrent.weight, *(getattr(cell, name) for name in constants)]
    assert_same_layer([*found, *slopes], torch.stack(theirs), wanted, layer.ramp, spikes)


def test_a_recurrent_layer_with_reset_to_zero_is_the_recurrent_layer_of_norse(norse, generator):
    model = CurrentLIF(learned(TAU_SYN), learned(TAU_MEM), reset=ResetToZero(), surrogate=FastSigmoid(1.0))
    layer = Recurrent(model, generator, gain=0.3, dtype=torch.float64)
    spikes, (of_inputs, of_input_weight, of_recurrent_weight) = layer.run()
    (alpha_syn, of_alpha_syn), (alpha_mem, of_alpha_mem) = layer.decay("tau_syn"), layer.decay("tau_mem")
    # Euler's method with rates at which the decays are ours. The gain of the current, dt / tau_mem, is in our weights.
    rates = [((1 - alpha) / DT).requires_grad_() for alpha in (alpha_syn, alpha_mem)]
    gain = 1 - alpha_mem
    weights = [torch.nn.Parameter(weight / gain) for weight in (layer.input_weight, layer.recurrent_weight)]
    inputs = layer.inputs.clone().requires_grad_()
    theirs, _ = norse.LIFRecurrent(
        CHANNELS,
        WIDE,
        p=norse.LIFParameters(*rates),  # "super" is 1 / (1 + |x|)^2: norse 1.1 leaves its `alpha` out
        input_weights=weights[0],
        recurrent_weights=weights[1],
        autapses=True,
        dt=DT,
    )(inputs)
    # A change of norse's 1 / tau_mem changes our decay and, by the gain, all of our weights in proportion.
    scaled = (of_input_weight * layer.input_weight).sum() + (of_recurrent_weight * layer.recurrent_weight).sum()
    found = [
        of_inputs,
        gain * of_input_weight,
        gain * of_recurrent_weight,
        -DT * of_alpha_syn,
        DT * (scaled / gain - of_alpha_mem),
    ]
    assert_same_layer(found, theirs, [inputs, *weights, *rates], layer.ramp, spikes)
