"""For every model, e-prop is the gradient of the graph without recurrent activity; online it is the same number."""

import functools
from typing import Any, NamedTuple

import pytest
import torch

from neurotorch.connections import Connection
from neurotorch.data import Batch
from neurotorch.engine import adjoint, reference
from neurotorch.learning import EProp, MeanSquaredError, WarmUp, local_block
from neurotorch.learning.local_block import readout_is_linear
from neurotorch.network import Layer, Network, Observation
from neurotorch.neurons import Calcium, FiringRate, LeakyIntegrator, Linear, NeuronModel, Relu, learned
from neurotorch.neurons.constant import constant
from tests.contracts.models import DOUBLE, VARIANTS, lively_currents, scattered, shared_constant, time_step

FRAMES, COUNT, READOUT = 24, 5, 3
# Both sum the same terms in another order; 1e-9 of the norm is six digits above the rounding of 24 steps in float64.
RELATIVE = 1e-9

each_model = pytest.mark.parametrize("factory", VARIANTS.values(), ids=VARIANTS.keys())


class SynapticState(NamedTuple):
    """`i`: synaptic current; `v`: potential."""

    i: Any
    v: Any


class SynapticCoefficients(NamedTuple):
    """`alpha`, `kappa`: decays of current and potential."""

    alpha: Any
    kappa: Any


class SynapticReadout(NeuronModel):
    """A leaky readout with a synaptic current: a filter of two constants, which the package does not have."""

    State = SynapticState
    Coefficients = SynapticCoefficients
    emits = "rates"

    def __init__(self, alpha=0.6, kappa=0.8):
        super().__init__()
        self.alpha, self.kappa = constant("alpha", alpha), constant("kappa", kappa)

    def coefficients(self, dt):
        return SynapticCoefficients(self.alpha(), self.kappa())

    @staticmethod
    def step(coefficients, state, current):
        i = coefficients.alpha * state.i + current
        v = coefficients.kappa * state.v + i
        return v, SynapticState(i=i, v=v)


def values(*numbers):
    return learned(torch.tensor(numbers, dtype=DOUBLE))


READOUTS = {
    "observed directly": None,
    "one kappa": lambda dt: LeakyIntegrator(learned(torch.tensor(4 * dt, dtype=DOUBLE))),
    "kappa per neuron": lambda dt: LeakyIntegrator(values(3 * dt, 8 * dt, 3 * dt)),
    "synaptic current": lambda dt: SynapticReadout(learned(torch.tensor(0.6, dtype=DOUBLE)), values(0.8, 0.5, 0.8)),
}


def build(factory, generator, samples, *, readout=None, observation=None, shared=False):
    """Return a lively network of the model, recurrent, with or without a readout that feeds back, and a batch."""
    if shared:
        template = factory()
        model = factory(**{n: shared_constant(n, c) for n, c in template.named_children() if hasattr(c, "value")})
    else:
        model = scattered(factory, COUNT, generator)
    dt = time_step(model)
    currents = lively_currents(model, FRAMES, samples, COUNT, generator)
    size = float(currents.abs().mean())

    def connection(post, pre, scale, *, plus=0.0):
        found = Connection(pre, post).double()
        found.set_weight(scale * torch.randn(post, pre, generator=generator, dtype=DOUBLE) + plus)
        return found

    def network(scale):
        into = connection(COUNT, COUNT, 0.1, plus=torch.eye(COUNT, dtype=DOUBLE))
        bias = learned(torch.full((COUNT,), 0.01 * size, dtype=DOUBLE))
        layers = {
            "cortex": Layer(model, COUNT, inputs=into, recurrent=connection(COUNT, COUNT, scale * size), bias=bias)
        }
        feedback = {}
        if readout is not None:
            layers["readout"] = Layer(readout(dt), READOUT, inputs=connection(READOUT, COUNT, 0.3), bias=learned(0.1))
            feedback = {"readout -> cortex": connection(COUNT, READOUT, 0.1 * scale * size)}
        return Network(layers, dt=dt, observation=observation, feedback=feedback).double()

    for scale in (0.5, 0.05, 0.005, 0.0005):
        found = network(scale)
        with torch.no_grad():
            output, _ = found(currents)
        if float(output.abs().max()) < 1e3:
            break
    target = torch.rand(FRAMES // held(found), samples, found.neurons, generator=generator, dtype=DOUBLE)
    return found, Batch(target, currents[: len(target)])


def held(network):
    return round(network.frame_dt / network.dt)


def gradients(network, batch, **options):
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    report = EProp(network, MeanSquaredError(skip=2), optimizer=optimizer, **options).compute(batch)
    found = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    return report, found


def assert_same(found, wanted, *, reached):
    assert found[0].loss == pytest.approx(wanted[0].loss, rel=1e-12)
    for name in found[1].keys() | wanted[1].keys():
        nothing = torch.zeros_like(next(part[name] for part in (found[1], wanted[1]) if name in part))
        gradient, other = (part.get(name, nothing) for part in (wanted[1], found[1]))
        assert float((other - gradient).norm()) <= RELATIVE * float(gradient.norm()), name
    for name in reached:
        assert float(wanted[1][name].norm()) > 0, name


WEIGHTS = ("layers.cortex.inputs.raw", "layers.cortex.recurrent.raw", "layers.cortex.bias.raw")


@pytest.mark.parametrize(
    ("readout", "samples"), [("observed directly", 1), ("observed directly", 3), *((r, 3) for r in list(READOUTS)[1:])]
)
@each_model
def test_offline_is_the_gradient_of_the_reference_loop_with_detached_links_and_online_is_offline(
    factory, readout, samples, generator, monkeypatch
):
    network, batch = build(factory, generator, samples, readout=READOUTS[readout])
    offline = gradients(network, batch)
    for frames in (1, 7):
        monkeypatch.setattr(local_block, "BLOCK_FRAMES", frames)
        assert_same(gradients(network, batch, online=True), offline, reached=WEIGHTS)
    monkeypatch.setattr(adjoint, "scan", reference.scan)
    assert_same(offline, gradients(network, batch), reached=WEIGHTS)


@each_model
def test_constants_shared_by_all_neurons_give_the_same_number_from_factored_traces(factory, generator, monkeypatch):
    network, batch = build(factory, generator, 2, readout=READOUTS["one kappa"], shared=True)
    monkeypatch.setattr(local_block, "BLOCK_FRAMES", 4)
    assert_same(gradients(network, batch, online=True), gradients(network, batch), reached=WEIGHTS)


@pytest.mark.parametrize("readout", ["observed directly", "kappa per neuron"])
@pytest.mark.parametrize("direct", [True, False], ids=["affine", "frames of a calcium indicator"])
@each_model
def test_the_observation_learns_from_the_same_traces(factory, direct, readout, generator, monkeypatch):
    gain, offset = learned(torch.tensor(1.5, dtype=DOUBLE)), learned(torch.tensor(0.1, dtype=DOUBLE))
    if direct:
        observation = Observation(gain=gain, offset=offset)
    else:
        dt = time_step(factory())
        calcium = Calcium(learned(torch.tensor(5 * dt, dtype=DOUBLE)))
        observation = Observation(calcium, gain=gain, offset=offset, steps_per_frame=3)
    network, batch = build(factory, generator, 2, readout=READOUTS[readout], observation=observation)
    monkeypatch.setattr(local_block, "BLOCK_FRAMES", 4)
    offline = gradients(network, batch)
    reached = ("observation.gain.raw", "observation.offset.raw")
    assert_same(gradients(network, batch, online=True), offline, reached=reached)


@pytest.mark.parametrize("readout", ["observed directly", "kappa per neuron"])
@each_model
def test_forced_networks_too(factory, readout, generator, monkeypatch):
    plan = WarmUp(2, 0.3, 0.3)
    gain, offset = learned(torch.tensor(1.5, dtype=DOUBLE)), learned(torch.tensor(0.1, dtype=DOUBLE))
    observation = Observation(gain=gain, offset=offset)
    if readout == "observed directly" and factory().force is None:
        calcium = Calcium(learned(torch.tensor(5 * time_step(factory()), dtype=DOUBLE)))
        observation = Observation(calcium, gain=gain, offset=offset, nudge=learned(torch.tensor(0.2, dtype=DOUBLE)))
    network, batch = build(factory, generator, 2, readout=READOUTS[readout], observation=observation)
    monkeypatch.setattr(local_block, "BLOCK_FRAMES", 4)
    offline = gradients(network, batch, forcing=plan)
    assert_same(gradients(network, batch, online=True, forcing=plan), offline, reached=("observation.gain.raw",))
    monkeypatch.setattr(adjoint, "scan", reference.scan)
    assert_same(offline, gradients(network, batch, forcing=plan), reached=WEIGHTS)


def test_what_a_linear_readout_is(generator):
    linear = {}
    named = {f"FiringRate-{kind.__name__}": functools.partial(FiringRate, transfer=kind()) for kind in (Linear, Relu)}
    for name, factory in (VARIANTS | named).items():
        network, _ = build(factory, generator, 1)
        linear[name] = readout_is_linear(network)
    assert linear["LeakyIntegrator"]
    assert linear["Calcium"]
    assert linear["MultiTimescaleRate"]  # what it shows is; what it emits is not
    assert linear["FiringRate-Linear"]
    nonlinear = [name for name in linear if not linear[name]]
    assert {"LIF", "CurrentLIF-ResetToZero", "FiringRate", "FiringRate-Relu", "WilsonCowan"} <= set(nonlinear)
