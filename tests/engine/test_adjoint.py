"""What the adjoint scan promises beside its gradients, which `tests/contracts/test_engine.py` holds for every model."""

import weakref
from typing import Any, NamedTuple

import pytest
import torch

from neurotorch.core.trees import leaves, transform
from neurotorch.engine import Link, Population, adjoint, reference
from neurotorch.network.steps import NeuronStep
from neurotorch.neurons import LIF, FiringRate, MultiTimescaleRate, WilsonCowan, learned

DOUBLE = torch.float64
BATCH, COUNT, DT = 2, 4, 0.02


def draw(generator, *shape, scale=1.0):
    return (scale * torch.randn(*shape, generator=generator, dtype=DOUBLE)).requires_grad_()


def circuit(generator, steps, *, model=None):
    """Return a recurrent population and its link, every tensor of them a leaf that wants a gradient."""
    model = (FiringRate(0.1) if model is None else model).double()
    state = transform(model.initial_state(BATCH, torch.zeros(COUNT, dtype=DOUBLE)), lambda x: draw(generator, *x.shape))
    coefficients = transform(model.coefficients(DT), lambda x: x.detach().clone().requires_grad_())
    current, history = draw(generator, steps, BATCH, COUNT), draw(generator, 1, BATCH, COUNT)
    population = Population(NeuronStep(type(model)), coefficients, state, history, current)
    return population, Link(0, 0, draw(generator, COUNT, COUNT, scale=0.4))


def tensors(population, link):
    parts = (population.coefficients, population.state, population.history, population.current, link.weight)
    return [leaf for part in parts for leaf in leaves(part)]


def test_a_long_sequence_in_blocks_equals_the_whole(generator, monkeypatch):
    population, link = circuit(generator, 1000)
    found, calls = [], []

    def counted(*arguments):
        calls.append(1)
        return population.step(*arguments)

    for block in (1000, 1, 7, 999):
        monkeypatch.setattr(adjoint, "BLOCK_ELEMENTS", block * BATCH * COUNT)
        (run,) = adjoint.scan([population._replace(step=counted)], [link])
        total = (run.emitted * torch.linspace(-1, 1, 1000, dtype=DOUBLE)[:, None, None]).sum()
        calls.clear()
        found.append(torch.autograd.grad(total, tensors(population, link)))
        assert len(calls) == -(-1000 // block), "the step is linearised once per block"
    for gradients in found[1:]:
        for one, whole in zip(gradients, found[0], strict=True):
            # the same terms, summed over blocks
            assert float((one - whole).norm()) <= 1e-12 * float(whole.norm())


@pytest.mark.parametrize(
    "model",
    [
        FiringRate(0.1),
        WilsonCowan(0.1, 0.2, r=0.3),
        MultiTimescaleRate((0.4, 0.3), (0.05, 0.2), tau_trace=0.04),
    ],
    ids=lambda model: type(model).__name__,
)
def test_gradients_are_those_of_finite_differences(model, generator, monkeypatch):
    monkeypatch.setattr(adjoint, "BLOCK_ELEMENTS", 3 * BATCH * COUNT)
    population, link = circuit(generator, 5, model=model)
    trees = (population.coefficients, population.state, population.history, population.current, link.weight)

    def flat(*given):
        values = iter(given)
        c, state, history, current, weight = (transform(tree, lambda _: next(values)) for tree in trees)
        again = Population(population.step, c, state, history, current)
        (run,) = adjoint.scan([again], [Link(0, 0, weight)], record=True)
        return (run.emitted, run.seen, *leaves(run.state), *leaves(run.states), run.currents)

    assert torch.autograd.gradcheck(flat, tensors(population, link))


def test_asking_for_fewer_gradients_changes_none_of_them(generator):
    population, link = circuit(generator, 20)
    everything = tensors(population, link)

    def gradients(wanted):
        for tensor in everything:
            tensor.requires_grad_(any(tensor is other for other in wanted))
        (run,) = adjoint.scan([population], [link])
        return torch.autograd.grad(run.emitted.square().sum() + run.state.x.sum(), wanted)

    together = gradients(everything)
    for tensor, expected in zip(everything, together, strict=True):
        assert torch.equal(gradients([tensor])[0], expected)


def test_gradients_of_some_outputs_alone_equal_those_of_the_loop(generator):
    population, link = circuit(generator, 20, model=MultiTimescaleRate((0.4, 0.3), (0.05, 0.2), tau_trace=0.04))
    losses = {
        "the last activity": lambda run: run.emitted[-1].sum(),
        "one step of what is seen": lambda run: run.seen[7].square().sum(),
        "the final state": lambda run: run.state.bank[1].sum(),
        "the currents": lambda run: run.currents[11].sum(),
        "a recorded state": lambda run: run.states.s[3].sum(),
    }
    for name, loss in losses.items():
        found, expected = (
            torch.autograd.grad(
                loss(engine.scan([population], [link], record=True)[0]), tensors(population, link), allow_unused=True
            )
            for engine in (adjoint, reference)
        )
        for one, other in zip(found, expected, strict=True):
            wanted = torch.zeros_like(one) if other is None else other
            assert float((one - wanted).norm()) <= 1e-12 * float(wanted.norm()), name


def test_differentiating_a_gradient_says_that_it_cannot(generator):
    population, link = circuit(generator, 5)
    (run,) = adjoint.scan([population], [link])
    (gradient,) = torch.autograd.grad(run.emitted.square().sum(), link.weight, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        gradient.sum().backward()


def test_activity_changed_in_place_is_refused_rather_than_differentiated_wrongly(generator):
    population, link = circuit(generator, 5)
    (run,) = adjoint.scan([population], [link])
    with pytest.raises(RuntimeError, match="inplace"):
        run.emitted.mul_(2)
    run.emitted.detach().mul_(2)
    with pytest.raises(RuntimeError, match="modified inplace"):
        run.emitted.sum().backward()


class WatchedState(NamedTuple):
    x: Any


def watched(alive, peak):
    """Return a step that counts how many of its past states are alive."""

    def step(coefficients, state, current, drive):
        x = 0.5 * state.x + current
        alive.append(weakref.ref(x))
        peak.append(sum(reference() is not None for reference in alive))
        return x + 0, x + 1, WatchedState(x=x)

    return step


@pytest.mark.parametrize("how", ["no_grad", "nothing to learn"])
def test_without_a_gradient_to_take_no_state_is_kept(how):
    alive, peak = [], []
    rest = torch.zeros(1, 1)
    population = Population(watched(alive, peak), (), WatchedState(rest), rest[None], torch.ones(50, 1, 1))
    with torch.set_grad_enabled(how != "no_grad"):
        (run,) = adjoint.scan([population], [])
    assert run.emitted.grad_fn is None
    assert max(peak) <= 2, "the state before and the state after a step are all that lives"


def test_the_trace_is_freed_by_the_backward_pass():
    weight, rest = torch.zeros(3, 3, requires_grad=True), torch.zeros(1, 3)
    model = FiringRate(0.1)
    population = Population(
        NeuronStep(FiringRate), model.coefficients(DT), model.initial_state(1, rest), rest[None], torch.ones(9, 1, 3)
    )
    (run,) = adjoint.scan([population], [Link(0, 0, weight)])
    total = run.emitted.sum()
    total.backward()
    with pytest.raises(RuntimeError, match="second time"):
        total.backward()


@pytest.mark.parametrize("inside", [False, True], ids=["backward outside", "backward inside"])
def test_autocast_changes_nothing_in_a_scan(inside):
    def gradient(enabled):
        generator = torch.Generator().manual_seed(0)
        weight = torch.randn(COUNT, COUNT, generator=generator).requires_grad_()
        current, rest = torch.randn(30, BATCH, COUNT, generator=generator), torch.zeros(BATCH, COUNT)
        model = FiringRate(learned(0.1))
        population = Population(
            NeuronStep(FiringRate), model.coefficients(DT), model.initial_state(BATCH, rest), rest[None], current
        )
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            (run,) = adjoint.scan([population], [Link(0, 0, weight)])
            total = run.emitted.square().sum()
            if inside:
                total.backward()
        if not inside:
            total.backward()
        return run.emitted.detach(), weight.grad, model.tau.raw.grad

    for plain, mixed in zip(gradient(False), gradient(True), strict=True):
        assert mixed.dtype == torch.float32
        assert torch.equal(plain, mixed)


def test_the_gradient_of_a_learned_threshold_is_minus_the_surrogate(generator):
    # dz/dtheta = -surrogate(v - theta): one neuron, one step, by hand
    model = LIF(torch.tensor(0.02, dtype=DOUBLE), learned(torch.tensor(1.0, dtype=DOUBLE)))
    rest = torch.zeros(1, 1, dtype=DOUBLE)
    current = torch.tensor([[[1.2]]], dtype=DOUBLE)
    population = Population(
        NeuronStep(LIF), model.coefficients(0.001), model.initial_state(1, rest), rest[None], current
    )
    (run,) = adjoint.scan([population], [])
    assert run.emitted.item() == 1
    run.emitted.sum().backward()
    # the raw parameter is log(theta), and d theta / d log(theta) = theta = 1
    assert model.threshold.raw.grad.item() == pytest.approx(-1 / (1 + 10 * 0.2) ** 2, rel=1e-12)
