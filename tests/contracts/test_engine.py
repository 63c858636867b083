"""For every model, both ways to run the adjoint scan equal the reference loop: to rounding, in torch bit for bit."""

import pytest
import torch

from neurotorch.core.trees import leaves, transform
from neurotorch.engine import Link, Population, adjoint, reference
from neurotorch.network.steps import NeuronStep
from neurotorch.neurons import LeakyIntegrator, learned
from tests.contracts.models import DOUBLE, VARIANTS, constants, lively_currents, scattered, shared_constant, time_step

STEPS, BATCH, COUNT, READOUT = 100, 2, 5, 3
STEPS_PER_BLOCK = 7
# Both sum the same terms in another order; 1e-9 of the norm is six digits above the rounding of 100 steps in float64.
RELATIVE = 1e-9


class Circuit:
    """Population 0 of the model under test and a leaky readout, with recurrent, within-step and feedback links."""

    def __init__(self, model, generator, *, forced, detached=False):
        self.detached = detached

        def draw(*shape, scale=1.0):
            return (scale * torch.randn(*shape, generator=generator, dtype=DOUBLE)).requires_grad_()

        self.model, self.readout = model, LeakyIntegrator(learned(torch.full((READOUT,), 0.02, dtype=DOUBLE)))
        self.dt = time_step(model)
        current = lively_currents(model, STEPS, BATCH, COUNT, generator)
        size = float(current.abs().mean())
        weights = [
            draw(COUNT, COUNT, scale=0.5 * size),
            draw(READOUT, COUNT, scale=0.1),
            draw(COUNT, READOUT, scale=0.05 * size),
        ]
        self.currents = [current.requires_grad_(), draw(STEPS, BATCH, READOUT, scale=0.1)]
        self.histories = [draw(1, BATCH, COUNT), draw(1, BATCH, READOUT)]
        self.states = [
            transform(model.initial_state(BATCH, current[0]), lambda leaf: draw(*leaf.shape, scale=0.3)),
            transform(self.readout.initial_state(BATCH, current[0, :, :READOUT]), lambda leaf: draw(*leaf.shape)),
        ]
        self.drive = ()
        if forced:
            strength = (torch.arange(STEPS) % 5 == 0).to(DOUBLE)[:, None, None] * 0.5
            self.drive = (draw(STEPS, BATCH, COUNT), strength.requires_grad_())

        self.weights = self.tamed(weights)

    @torch.no_grad()
    def tamed(self, weights):
        """Return the weights, scaled down until a model that sums for long (a slow filter) does not explode."""
        for scale in (1, 0.1, 0.01, 0.001):
            self.weights = [weight.mul(scale).requires_grad_() for weight in weights]
            if all(
                float(tensor.abs().max()) < 1e3 for tensor in outputs_of(self.scan(reference, record=True), record=True)
            ):
                return self.weights
        raise AssertionError("The circuit explodes even with weak weights.")

    def scan(self, engine, *, record):
        model, readout = self.model.coefficients(self.dt), self.readout.coefficients(0.001)
        starts = list(zip(self.states, self.histories, self.currents, strict=True))
        populations = [
            Population(NeuronStep(type(self.model)), model, *starts[0], self.drive),
            Population(NeuronStep(LeakyIntegrator), readout, *starts[1]),
        ]
        links = [Link(0, 0, self.weights[0]), Link(0, 1, self.weights[1]), Link(1, 0, self.weights[2])]
        links = [link._replace(detached=self.detached and link.closes_loop) for link in links]
        return engine.scan(populations, links, record=record)

    def inputs(self):
        """Return what the gradient is taken of, by name."""
        found = {f"weight {k}": weight for k, weight in enumerate(self.weights)}
        for k in range(2):
            found[f"current {k}"], found[f"history {k}"] = self.currents[k], self.histories[k]
            found |= {f"state {k}.{n}": leaf for n, leaf in enumerate(leaves(self.states[k]))}
        for k, module in enumerate((self.model, self.readout)):
            found |= {f"constant {k}.{name}": parameter for name, parameter in module.named_parameters()}
        return found | {f"drive {k}": drive for k, drive in enumerate(self.drive)}


def outputs_of(runs, *, record):
    found = [tensor for run in runs for tensor in (run.emitted, run.seen, *leaves(run.state))]
    if record:
        found += [tensor for run in runs for tensor in (*leaves(run.states), run.currents)]
    return found


def gradients_of(circuit, engine, *, record):
    outputs = outputs_of(circuit.scan(engine, record=record), record=record)
    seeds = torch.Generator().manual_seed(1)
    total = sum((tensor * torch.randn(tensor.shape, generator=seeds, dtype=DOUBLE)).sum() for tensor in outputs)
    inputs = circuit.inputs()
    found = torch.autograd.grad(total, list(inputs.values()), allow_unused=True)
    gradients = {
        name: torch.zeros_like(tensor) if gradient is None else gradient
        for (name, tensor), gradient in zip(inputs.items(), found, strict=True)
    }
    return outputs, gradients


def error_of(found, wanted):
    return float((found - wanted).detach().norm()), RELATIVE * float(wanted.detach().norm())


def assert_engines_agree(circuit, monkeypatch, *, record=True):
    expected, wanted = gradients_of(circuit, reference, record=record)
    names = ("weight 0", "weight 1", "weight 2", "current 0", *(() if circuit.detached else ("history 0",)))
    assert all(float(wanted[name].norm()) > 0 for name in names)
    chosen, choose = [], adjoint.choose

    def watched(populations, links):
        chosen.append(choose(populations, links))
        return chosen[-1]

    for way, choice in (("in torch", lambda *_: None), ("compiled", watched)):
        monkeypatch.setattr(adjoint, "choose", choice)
        for elements in (1 << 18, STEPS_PER_BLOCK * BATCH * COUNT):
            monkeypatch.setattr(adjoint, "BLOCK_ELEMENTS", elements)
            outputs, gradients = gradients_of(circuit, adjoint, record=record)
            for one, other in zip(outputs, expected, strict=True):
                assert one.dtype == other.dtype
                if way == "in torch":
                    assert torch.equal(one, other)
                error, bound = error_of(one, other)
                assert error <= bound, way
            for name, gradient in gradients.items():
                error, bound = error_of(gradient, wanted[name])
                assert error <= bound, f"{name} {way}: {error:g} beyond {bound:g}"
    assert chosen
    assert None not in chosen, "every model of the library runs compiled"
    monkeypatch.setattr(adjoint, "choose", choose)


@pytest.mark.parametrize("factory", VARIANTS.values(), ids=VARIANTS.keys())
def test_the_engines_agree_with_constants_per_neuron(factory, generator, monkeypatch):
    circuit = Circuit(scattered(factory, COUNT, generator), generator, forced=False)
    if circuit.model.emits == "spikes":
        with torch.no_grad():
            rate = float(circuit.scan(reference, record=False)[0].emitted.mean())
        assert 0.02 < rate < 0.8, "spikes must come and fail to come"
    assert_engines_agree(circuit, monkeypatch)


@pytest.mark.parametrize("factory", VARIANTS.values(), ids=VARIANTS.keys())
def test_the_engines_agree_when_recurrent_activity_is_detached(factory, generator, monkeypatch):
    circuit = Circuit(scattered(factory, COUNT, generator), generator, forced=False, detached=True)
    assert_engines_agree(circuit, monkeypatch)


FORCED = {name: factory for name, factory in VARIANTS.items() if factory().force is not None}


@pytest.mark.parametrize("factory", FORCED.values(), ids=FORCED.keys())
def test_the_engines_agree_under_forcing(factory, generator, monkeypatch):
    assert_engines_agree(Circuit(scattered(factory, COUNT, generator), generator, forced=True), monkeypatch)


@pytest.mark.parametrize("factory", VARIANTS.values(), ids=VARIANTS.keys())
def test_the_engines_agree_with_constants_that_neurons_share_and_nothing_recorded(factory, generator, monkeypatch):
    shared = {name: shared_constant(name, constant) for name, constant in constants(factory()).items()}
    assert_engines_agree(Circuit(factory(**shared), generator, forced=False), monkeypatch, record=False)
