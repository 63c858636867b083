"""Data that enter a scan through a weight do what the same current does, gradients included."""

import pytest
import torch

from neurotorch.connections import Connection
from neurotorch.core.trees import leaves
from neurotorch.engine import Link, Population, Projection, adjoint, choice, reference
from neurotorch.network import Layer, Network
from neurotorch.network.steps import NeuronStep
from neurotorch.neurons import CurrentLIF, WilsonCowan, learned

DOUBLE = torch.float64
MODELS = {
    "CurrentLIF": lambda: CurrentLIF(learned(0.005), learned(0.02)),
    "WilsonCowan": lambda: WilsonCowan(learned(0.1)),
}


def circuit(factory, generator, *, batch, steps=40, neurons=6):
    model = factory().double()
    rest = torch.zeros(batch, neurons, dtype=DOUBLE)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=DOUBLE)

    dense, rare = normal(steps, batch, 3), (normal(steps, 1, 5) > 1.5).to(DOUBLE).expand(steps, batch, 5)
    weights = [(0.3 * normal(neurons, channels)).requires_grad_() for channels in (3, 5, neurons)]
    current = normal(steps, batch, neurons).requires_grad_()
    population = Population(
        NeuronStep(type(model)),
        model.coefficients(0.001 if model.emits == "spikes" else 0.02),
        model.initial_state(batch, rest),
        rest[None],
        current,
        inputs=(Projection(dense, weights[0]), Projection(rare, weights[1])),
    )
    return [population], [Link(0, 0, weights[2])], [*weights, *model.parameters(), current]


def results(engine, populations, links, wanted, **options):
    (run,) = engine.scan(populations, links, **options)
    outputs = [run.emitted, *leaves(run.state), *([run.currents] if run.currents is not None else [])]
    return [*outputs, *torch.autograd.grad(sum(x.square().sum() for x in outputs), wanted, retain_graph=True)]


def assert_close(found, expected):
    for one, other in zip(found, expected, strict=True):
        # the same terms in another order, over 40 steps
        assert float((one - other).detach().norm()) <= 1e-10 * float(other.detach().norm())


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "torch"])
@pytest.mark.parametrize("record", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("factory", MODELS.values(), ids=MODELS.keys())
def test_inputs_through_weights_equal_the_current_they_make(factory, batch, record, compiled, generator, monkeypatch):
    populations, links, wanted = circuit(factory, generator, batch=batch)
    assert choice.choose(populations, links) is not None
    if not compiled:
        monkeypatch.setattr(adjoint, "choose", lambda *_: None)
    (population,) = populations
    total = population.current + sum(activity @ weight.t() for activity, weight in population.inputs)
    expected = results(reference, [population._replace(current=total, inputs=())], links, wanted, record=record)
    for engine in (adjoint, reference):
        assert_close(results(engine, populations, links, wanted, record=record), expected)
    if compiled and not record:
        for one, other in zip(
            results(adjoint, populations, links, wanted),
            results(adjoint, populations, links, wanted, recompute=True),
            strict=True,
        ):
            assert torch.equal(one, other)


def test_only_the_weights_that_are_learned_get_a_gradient(generator):
    populations, links, wanted = circuit(MODELS["CurrentLIF"], generator, batch=2)
    expected = results(adjoint, populations, links, [wanted[1]])
    (activity, weight), other = populations[0].inputs
    frozen = populations[0]._replace(inputs=(Projection(activity, weight.detach()), other))
    for one, two in zip(results(adjoint, [frozen], links, [wanted[1]]), expected, strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda x, w: Projection(x[1:], w), ValueError, "(time, batch, channel)"),
        (lambda x, w: Projection(x, w[:, 1:]), ValueError, "(neuron, channel)"),
        (lambda x, w: Projection(x, w[1:]), ValueError, "(neuron, channel)"),
        (lambda x, w: Projection(x.float(), w), TypeError, "An input of population 0 is torch.float32"),
    ],
)
def test_inputs_that_do_not_fit_are_named(change, error, match, generator):
    (population,), links, _ = circuit(MODELS["CurrentLIF"], generator, batch=2)
    wrong = population._replace(inputs=(change(*population.inputs[0]),))
    with pytest.raises(error) as caught:
        adjoint.scan([wrong], links)
    assert match in str(caught.value)


@pytest.mark.parametrize("channels", [4, 9])
@pytest.mark.parametrize("data", [True, False], ids=["data", "learned inputs"])
def test_a_network_gives_the_gradients_of_its_current(channels, data, generator):
    layer = Layer(
        CurrentLIF(learned(0.005)), 6, inputs=Connection(channels, 6), recurrent=Connection(6, 6), bias=learned(0.1)
    )
    network = Network({"cortex": layer}, dt=0.001).double()
    inputs = 3 * torch.rand(30, 2, channels, generator=generator, dtype=DOUBLE).requires_grad_(not data)
    wanted = [*network.parameters(), *([] if data else [inputs])]
    output, _ = network(inputs)
    found = torch.autograd.grad(output.square().sum(), wanted)
    current = layer.external_current(inputs, layer.inputs.weight(), steps=30, batch=2)
    start = layer.initial_state(2, current)
    (run,) = reference.scan([layer.population(current, start, dt=0.001)], [Link(0, 0, layer.recurrent.weight())])
    assert float(output.detach().sum()) > 0
    assert torch.equal(output, run.emitted)
    assert_close(found, torch.autograd.grad(run.emitted.square().sum(), wanted))


def test_a_few_steps_without_a_gradient_run_in_torch(generator):
    populations, links, _ = circuit(MODELS["CurrentLIF"], generator, batch=2)
    short = populations[0]._replace(current=populations[0].current[: choice.FEW], inputs=())
    with torch.no_grad():
        assert choice.choose([short], links) is None
        assert choice.choose(populations, links) is not None
    assert choice.choose([short], links) is not None
