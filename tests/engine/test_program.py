"""What is kept under the list of a step's operations holds for every step that does the same, and for no other."""

import dataclasses
from typing import Any, NamedTuple

import torch

from neurotorch.core.trees import leaves
from neurotorch.core.vocabulary import spike
from neurotorch.engine import Link, Population, adjoint, reference
from neurotorch.engine.choice import choose
from neurotorch.engine.tracing import Tape, trace
from neurotorch.network.steps import NeuronStep
from neurotorch.neurons import LIF, ResetToZero, learned
from neurotorch.neurons.surrogate import FastSigmoid

DOUBLE = torch.float64


class State(NamedTuple):
    x: Any


def results(engine, populations, links, wanted):
    (run,) = engine.scan(populations, links)
    outputs = [run.emitted, run.seen, *leaves(run.state)]
    total = sum(tensor.square().sum() for tensor in outputs)
    found = torch.autograd.grad(total, wanted, allow_unused=True, retain_graph=True)
    return [*outputs, *(torch.zeros_like(x) if g is None else g for x, g in zip(wanted, found, strict=True))]


def assert_close(found, expected):
    for one, other in zip(found, expected, strict=True):
        # the same terms in another order, over 20 steps
        assert float((one - other).detach().norm()) <= 1e-10 * float(other.detach().norm())


def softened(slope):
    """Return a step of one and the same name whose text and surrogate differ."""
    smooth = FastSigmoid(slope)

    @dataclasses.dataclass(frozen=True)
    class Softened:
        factor: float = 1.0
        surrogate: Any = smooth

        def __call__(self, coefficients, state, current, drive):
            (decay,) = coefficients
            x = decay * state.x + self.factor * current
            z = spike(x - 0.5, self.surrogate)
            return (z if slope < 5 else z + x), x, State(x=x)

    return Softened


def test_nothing_that_is_kept_between_scans_goes_stale(generator):
    rest = torch.zeros(2, 4, dtype=DOUBLE)
    current = torch.rand(20, 2, 4, generator=generator, dtype=DOUBLE).requires_grad_()
    weight = (0.3 * torch.randn(4, 4, generator=generator, dtype=DOUBLE)).requires_grad_()
    decay = torch.tensor(0.9, dtype=DOUBLE, requires_grad=True)
    steps = [softened(1.0)(), softened(2.0)(), softened(2.0)(factor=1.5), softened(7.0)(), softened(1.0)(factor=-0.0)]
    decays = [decay, 0.5 * decay, decay.detach(), decay.expand(4), decay.clone().fill_(0.2)]
    seen = []
    for _ in range(2):
        for step in steps:
            for coefficient in decays:
                for frozen in (False, True):
                    population = Population(step, (coefficient,), State(rest), rest[None], current)
                    link = Link(0, 0, weight.detach() if frozen else weight)
                    assert choose([population], [link]) is not None
                    found, expected = (
                        results(e, [population], [link], [weight, current, decay]) for e in (adjoint, reference)
                    )
                    assert_close(found, expected)
                    seen.append(tuple(float(x.detach().sum()) for x in found))
    assert len(set(seen[: len(seen) // 2 : 2])) >= 4 * 4, "the cases differ"


def test_steps_that_do_the_same_share_a_program_and_no_tensor():
    rest = torch.zeros(1, 2)
    populations = [
        Population(softened(slope)(factor=factor), (torch.tensor(decay),), State(rest), rest[None], torch.ones(9, 1, 2))
        for slope, factor, decay in (
            (1.0, 1.0, 0.9),
            (1.0, 1.0, 0.8),
            (2.0, 1.0, 0.9),
            (1.0, 0.0, 0.9),
            (1.0, -0.0, 0.9),
        )
    ]
    first, same, *others = (trace(population) for population in populations)
    assert first.program is same.program
    assert float(first.constants[0]) != float(same.constants[0])
    assert len({first.program, *(other.program for other in others)}) == 4


def test_a_tape_tells_the_numbers_apart_that_compare_equal():
    tape = Tape(2)
    a, b = tape.inputs
    results = [a + 1, a + b, a + 0.0, a + (-0.0), a + torch.tensor(1.0), a + True, a + 1.0]
    assert len({result.value for result in results}) == 5, "1, True and 1.0 are one number"


def test_options_among_the_coefficients_are_part_of_the_program(generator):
    rest = torch.zeros(2, 4, dtype=DOUBLE)
    current = torch.rand(30, 2, 4, generator=generator, dtype=DOUBLE).requires_grad_()
    weight = (0.3 * torch.randn(4, 4, generator=generator, dtype=DOUBLE)).requires_grad_()
    gradients = []
    for options in ({}, {"reset": ResetToZero()}, {"surrogate": FastSigmoid(3.0)}, {"threshold": 0.7}, {}):
        model = LIF(learned(0.02), **options).double()
        population = Population(
            NeuronStep(LIF), model.coefficients(0.001), model.initial_state(2, rest), rest[None], current
        )
        wanted = [weight, current, *model.parameters()]
        found, expected = (results(e, [population], [Link(0, 0, weight)], wanted) for e in (adjoint, reference))
        assert float(found[0].detach().sum()) > 0
        assert_close(found, expected)
        gradients.append(found[-2])
    assert torch.equal(gradients[0], gradients[-1])
    assert not any(torch.equal(gradients[0], other) for other in gradients[1:-1])


class OwnStep(torch.autograd.Function):
    """A surrogate as torch has it: its derivative is not that of what it does."""

    @staticmethod
    def forward(ctx, x):
        ctx.x = x
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 0.3


@dataclasses.dataclass(frozen=True)
class OwnSpike:
    def __call__(self, coefficients, state, current, drive):
        x = coefficients[0] * state.x + current
        return OwnStep.apply(x - 0.5), x, State(x=x)


@dataclasses.dataclass(frozen=True)
class Halted:
    def __call__(self, coefficients, state, current, drive):
        with torch.no_grad():
            kept = coefficients[0] * state.x
        return kept + current, current, State(x=kept + current)


def test_a_step_with_a_derivative_of_its_own_keeps_it(generator):
    current = torch.rand(20, 2, 4, generator=generator, dtype=DOUBLE).requires_grad_()
    weight = (0.3 * torch.randn(4, 4, generator=generator, dtype=DOUBLE)).requires_grad_()
    rest, decay = torch.zeros(2, 4, dtype=DOUBLE), torch.tensor(0.9, dtype=DOUBLE)
    for step in (OwnSpike(), Halted()):
        population, links = Population(step, (decay,), State(x=rest), rest[None], current), [Link(0, 0, weight)]
        assert choose([population], links) is None
        wanted = [current, weight]
        found = results(adjoint, [population], links, wanted)
        assert_close(found, results(reference, [population], links, wanted))
        assert float(found[-1].norm()) > 0
