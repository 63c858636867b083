"""Local Jacobians and eligibility traces: against autograd, and in the form that saves memory where there is one."""

import pytest
import torch

from neurotorch.core.trees import leaves, rebuild
from neurotorch.engine import Population
from neurotorch.engine.eligibility import Eligibility, filters_of, groups_of, through_readout
from neurotorch.engine.jacobian import check_pointwise, is_linear, local_jacobian, pull_back
from neurotorch.network.steps import NeuronStep
from neurotorch.neurons import (
    LIF,
    CurrentLIF,
    FiringRate,
    LeakyIntegrator,
    MultiTimescaleRate,
    Relu,
    ResetToZero,
    WilsonCowan,
)

DOUBLE = torch.float64
STEPS, SAMPLES, NEURONS, PRE = 9, 2, 4, 3


def per_neuron(*bounds):
    return torch.linspace(*bounds, NEURONS, dtype=DOUBLE)


def run(model, generator, *, dt=0.01, learn=(), steps=STEPS):
    """Return a population, the states before every step and the activity that reaches it through random weights."""
    activity = torch.rand(steps, SAMPLES, PRE, generator=generator, dtype=DOUBLE)
    weight = torch.randn(NEURONS, PRE, generator=generator, dtype=DOUBLE)
    current = activity @ weight.t()
    like = current[0]
    coefficients = model.double().coefficients(dt)
    population = Population(
        NeuronStep(type(model)), coefficients, model.initial_state(SAMPLES, like), like * 0, current
    )
    with torch.no_grad():
        state, before = population.state, []
        for step in range(steps):
            before.append(leaves(state))
            _, _, state = population.step(coefficients, state, current[step], ())
    fields = [torch.stack(field) for field in zip(*before, strict=True)]
    return population, fields, activity, weight


MODELS = {
    "one field": lambda: LIF(per_neuron(0.01, 0.05)),
    "two fields": lambda: CurrentLIF(per_neuron(0.01, 0.05), 0.03),
    "seven fields": lambda: MultiTimescaleRate(tau=torch.tensor([0.02, 0.05, 0.1, 0.2, 0.5]), tau_trace=0.03),
    "a state that feels itself": lambda: WilsonCowan(per_neuron(0.05, 0.2), 0.1, r=0.5),
}


def through_graph(population, weight, activity, count):
    """Return the states after `count` steps with a graph to `weight`, one own copy of it for every sample."""
    own = weight.expand(SAMPLES, -1, -1).clone().requires_grad_()
    state = population.state
    for step in range(count):
        current = torch.einsum("bji,bi->bj", own, activity[step])
        _, _, state = population.step(population.coefficients, state, current, ())
    return own, leaves(state)


@pytest.mark.parametrize("block", [1, 4, STEPS])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_a_trace_is_the_derivative_of_the_state_by_the_weight(model, block, generator):
    population, fields, activity, weight = run(model(), generator)
    traces = Eligibility(1)
    constants = [False] * len(leaves(population.coefficients))
    for start in range(0, STEPS, block):
        piece = slice(start, start + block)
        jacobian = local_jacobian(
            population, [field[piece] for field in fields], population.current[piece], constants=constants
        )
        traces.advance(jacobian, [activity[piece]], None)
    own, states = through_graph(population, weight, activity, STEPS)
    for field, state in enumerate(states):
        # neurons are independent: the gradient of the sum has d state_j / d W_ji in row j
        (wanted,) = torch.autograd.grad(state.sum(), own, retain_graph=True)
        assert bool((wanted != 0).any())
        torch.testing.assert_close(traces.links[0][field].expand_as(wanted), wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("model", "post"),
    [
        (lambda: LIF(0.02), 1),
        (lambda: CurrentLIF(0.01, 0.02), 1),
        (lambda: LeakyIntegrator(0.02), 1),
        (lambda: LIF(0.02, per_neuron(0.3, 1.0)), 1),  # a threshold of its own changes no Jacobian of the state
        (lambda: LIF(per_neuron(0.01, 0.02)), NEURONS),
        (lambda: LIF(0.02, 0.2, reset=ResetToZero()), NEURONS),
        (lambda: WilsonCowan(0.1), NEURONS),
    ],
)
def test_traces_are_one_vector_per_presynaptic_neuron_where_the_model_allows_it(model, post, generator):
    population, fields, activity, _ = run(model(), generator)
    traces = Eligibility(1)
    constants = [False] * len(leaves(population.coefficients))
    jacobian = local_jacobian(population, fields, population.current, constants=constants)
    traces.advance(jacobian, [activity], None)
    assert traces.links[0].shape == (len(fields), SAMPLES, post, PRE)


def test_a_factored_trace_unfolds_when_neurons_part(generator):
    # rectified units are alike while all of them are active; then half of them are held below zero
    population, _, activity, weight = run(FiringRate(0.05, transfer=Relu()), generator)
    held = torch.zeros(STEPS, 1, NEURONS, dtype=DOUBLE)
    held[4:, :, :2] = -100.0
    own = weight.abs().expand(SAMPLES, -1, -1).clone().requires_grad_()
    traces, widths, state = Eligibility(1), [], population.state
    for step in range(STEPS):
        current = torch.einsum("bji,bi->bj", own, activity[step]) + held[step]
        before = [leaf[None].detach() for leaf in leaves(state)]
        jacobian = local_jacobian(population, before, current[None].detach(), constants=[False])
        traces.advance(jacobian, [activity[step : step + 1]], None)
        widths.append(traces.links[0].shape[2])
        _, _, state = population.step(population.coefficients, state, current, ())
    assert widths == [1] * 4 + [NEURONS] * 5
    (wanted,) = torch.autograd.grad(leaves(state)[0].sum(), own)
    assert bool((wanted != 0).all())
    torch.testing.assert_close(traces.links[0][0], wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_pulling_back_is_autograd_along_the_states(model, generator):
    population, fields, _, _ = run(model(), generator)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=DOUBLE)

    emitted, seen = draw(STEPS, SAMPLES, NEURONS), draw(STEPS, SAMPLES, NEURONS)
    final = draw(len(fields), SAMPLES, NEURONS)
    learned = [leaf.clone().requires_grad_() for leaf in leaves(population.coefficients)]
    population = population._replace(coefficients=rebuild(population.coefficients, learned))
    current = population.current.clone().requires_grad_()
    start = [leaf.clone().requires_grad_() for leaf in leaves(population.state)]
    state, total = rebuild(population.state, start), 0.0
    for step in range(STEPS):
        z, y, state = population.step(population.coefficients, state, current[step], ())
        total = total + (z * emitted[step]).sum() + (y * seen[step]).sum()
    total = total + sum((leaf * weight).sum() for leaf, weight in zip(leaves(state), final, strict=True))
    wanted = torch.autograd.grad(total, [current, *start, *learned], allow_unused=True, materialize_grads=True)

    jacobian = local_jacobian(population, fields, population.current, constants=[True] * len(learned))
    found = pull_back(jacobian, final=final[None], emitted=emitted[None], seen=seen[None])
    torch.testing.assert_close(found.current, wanted[0], rtol=1e-10, atol=1e-12)
    for field, gradient in enumerate(wanted[1 : 1 + len(start)]):
        torch.testing.assert_close(found.start[0, field], gradient, rtol=1e-10, atol=1e-12)
    for number, gradient in enumerate(wanted[1 + len(start) :]):
        own = found.inputs[0, 1 + number].sum((0, 1)).sum_to_size(gradient.shape)
        torch.testing.assert_close(own, gradient, rtol=1e-10, atol=1e-12)


def readout_jacobian(tau, generator):
    model = LeakyIntegrator(torch.as_tensor(tau, dtype=DOUBLE))
    like = torch.randn(STEPS, SAMPLES, NEURONS, generator=generator, dtype=DOUBLE)
    population = Population(
        NeuronStep(LeakyIntegrator), model.coefficients(0.01), model.initial_state(SAMPLES, like), like[0], like
    )
    return local_jacobian(population, [like], like, constants=[False])


def test_neurons_of_a_readout_that_filter_alike_are_one_group_and_never_meet_again(generator):
    def groups(tau, before):
        return groups_of(readout_jacobian(tau, generator), before)

    alike = groups([0.02] * 4, None)
    assert alike.tolist() == [0, 0, 0, 0]
    two = groups([0.02, 0.05, 0.02, 0.05], alike)
    assert two[0] == two[2] != two[1] == two[3]
    assert len(set(groups([0.02, 0.02, 0.02, 0.05], two).tolist())) == 3  # 0 and 1 have different pasts
    assert len(set(groups([0.02] * 4, two).tolist())) == 2


def test_a_filter_is_the_impulse_response_of_its_readout(generator):
    jacobian = readout_jacobian([0.02, 0.05, 0.02, 0.05], generator)
    groups = groups_of(jacobian, None)
    filters = filters_of(jacobian, groups)
    steps = torch.arange(STEPS - 1, -1, -1, dtype=DOUBLE)
    for neuron, tau in ((0, 0.02), (1, 0.05)):
        kappa = torch.exp(torch.tensor(-0.01 / tau, dtype=DOUBLE))
        response = filters.impulse[0, :, 0, groups[neuron]]
        torch.testing.assert_close(response, kappa**steps, rtol=1e-12, atol=0)
        torch.testing.assert_close(filters.carried[0, 0, 0, groups[neuron]], kappa**STEPS, rtol=1e-12, atol=0)
    start, matrix = torch.ones(1, SAMPLES, NEURONS, dtype=DOUBLE), torch.arange(8.0, dtype=DOUBLE).reshape(4, 2)
    through = through_readout(start, groups, matrix)
    assert through.shape == (2, 1, SAMPLES, 2)
    assert through[groups[0], 0, 0].tolist() == [0 + 4, 1 + 5]
    assert through[groups[1], 0, 0].tolist() == [2 + 6, 3 + 7]


def rest(model, neurons, samples=2):
    current = torch.zeros(1, samples, neurons, dtype=DOUBLE)
    state = model.initial_state(samples, current)
    return Population(NeuronStep(type(model)), model.double().coefficients(0.01), state, current[0], current)


@pytest.mark.parametrize("neurons", [1, 5, 16])
@pytest.mark.parametrize("through", ["state", "current"])
def test_any_neuron_that_sees_any_other_is_found(neurons, through):
    population = rest(LIF(), neurons)
    check_pointwise("cortex", population)
    places = [(sample, neuron) for sample in range(2) for neuron in range(neurons)]
    for pre in places:
        for post in places[:: max(1, len(places) // 5)]:
            if pre == post:
                continue

            def step(coefficients, state, current, drive, pre=pre, post=post):
                seen = state.v if through == "state" else current
                leak = torch.zeros_like(current)
                leak[post] = 1e-6 * seen[pre]
                return population.step(coefficients, state, current + leak, drive)

            with pytest.raises(ValueError, match="The step of layer 'cortex' is not pointwise"):
                check_pointwise("cortex", population._replace(step=step))


def test_a_step_that_returns_another_shape_is_refused():
    population = rest(LIF(), 3)

    def step(coefficients, state, current, drive):
        emitted, seen, after = population.step(coefficients, state, current, drive)
        return emitted.sum(-1, keepdim=True), seen, after

    with pytest.raises(ValueError, match=r"does not return \(batch, neuron\) tensors of its own shape"):
        check_pointwise("cortex", population._replace(step=step))


@pytest.mark.parametrize(
    ("model", "linear"),
    [
        (LeakyIntegrator(0.02), True),
        (MultiTimescaleRate(tau=torch.tensor([0.02, 0.05, 0.1, 0.2, 0.5]), tau_trace=0.03), True),
        (FiringRate(transfer=Relu()), False),
        (WilsonCowan(), False),
        (LIF(), False),
        (LIF(reset=ResetToZero()), False),
    ],
)
def test_linear_is_what_has_one_jacobian_everywhere(model, linear):
    assert is_linear(rest(model, 3, samples=1)) is linear
