"""Every operation's rule for gradients against autograd, through a compiled scan of a step that is that operation."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch

from neurotorch.core import vocabulary as words
from neurotorch.engine import Population, adjoint, machine, reference
from neurotorch.engine.choice import choose
from neurotorch.engine.derivatives import RULES
from neurotorch.neurons.surrogate import FastSigmoid, Triangular

DOUBLE = torch.float64
STEPS, BATCH, COUNT = 6, 3, 4


class State(NamedTuple):
    x: Any


@dataclasses.dataclass(frozen=True)
class Step:
    """The operation on the current and the state; what is seen keeps the sum over time."""

    operation: Callable[..., Any]

    def __call__(self, coefficients, state, current, drive):
        y = self.operation(current, coefficients, state.x)
        return y, state.x + y, State(x=0.5 * state.x + y)


# Of the current a, a coefficient c and the state x.
OPERATIONS = {
    machine.COPY: [lambda a, c, x: a],
    machine.ADD: [lambda a, c, x: a + c, lambda a, c, x: 1.5 + a],
    machine.SUBTRACT: [lambda a, c, x: c - a, lambda a, c, x: a - x, lambda a, c, x: 1.5 - a],
    machine.MULTIPLY: [lambda a, c, x: a * c, lambda a, c, x: a * a * x, lambda a, c, x: c * c * x],
    machine.DIVIDE: [lambda a, c, x: a / (2 + c * c), lambda a, c, x: c / (2 + a * a), lambda a, c, x: 1 / (3 + x * x)],
    machine.NEGATE: [lambda a, c, x: -a - (-x)],
    machine.POWER: [
        lambda a, c, x: (1 + a * a) ** c,
        lambda a, c, x: (1 + a * a) ** 1.5,
        lambda a, c, x: (1 + a * a) ** 0.0,
        lambda a, c, x: 2.0**a,
        lambda a, c, x: words.relu(a) ** 2.5,
        lambda a, c, x: 0.0 ** words.relu(a),
    ],
    machine.ABSOLUTE: [lambda a, c, x: abs(a), lambda a, c, x: abs(c * words.relu(a))],
    machine.EXP: [lambda a, c, x: words.exp(c * a)],
    machine.LOG: [lambda a, c, x: words.log(1 + a * a)],
    machine.TANH: [lambda a, c, x: words.tanh(c * a)],
    machine.SIGMOID: [lambda a, c, x: words.sigmoid(c * a)],
    machine.SOFTPLUS: [lambda a, c, x: words.softplus(c * a), lambda a, c, x: words.softplus(30 * a)],
    machine.RELU: [lambda a, c, x: words.relu(c + a), lambda a, c, x: words.relu(words.relu(a))],
    machine.WHERE: [
        lambda a, c, x: words.where(a > x, a * c, x),
        lambda a, c, x: words.where((a >= 0) & (x != 0) | (c == a), c * a, a),
    ],
    machine.MINIMUM: [
        lambda a, c, x: words.minimum(a, x),
        lambda a, c, x: words.minimum(c * a, c * a * (x == x)),  # ties
    ],
    machine.MAXIMUM: [
        lambda a, c, x: words.maximum(a, c + 0 * a),
        lambda a, c, x: words.maximum(words.relu(a), 0 * a),  # ties where a is below zero
    ],
    machine.SPIKE: [
        lambda a, c, x: words.spike(a - c, FastSigmoid()),
        lambda a, c, x: words.spike(c * a + x, Triangular()),
    ],
    "detached": [
        lambda a, c, x: words.stop_gradient(a) * a,
        lambda a, c, x: words.stop_gradient(words.spike(a, FastSigmoid())) * x + c * a,
        lambda a, c, x: words.stop_gradient(c * a) + a,
    ],
    "comparisons": [lambda a, c, x: (a > 0) * x + (c <= x) * a + (a == x) * c],
}
CASES = [(code, k) for code, operations in OPERATIONS.items() for k in range(len(operations))]
SHAPES = {"one for all": (), "per neuron": (COUNT,), "per sample": (BATCH, 1), "per sample and neuron": (BATCH, COUNT)}


def test_every_rule_has_a_case():
    assert set(RULES) | {machine.SPIKE} == {code for code in OPERATIONS if isinstance(code, int)}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize(("code", "number"), CASES)
def test_an_operation_passes_gradients_as_autograd_does(code, number, shape, generator):
    coefficient = torch.randn(shape, generator=generator, dtype=DOUBLE).requires_grad_()
    current = torch.randn(STEPS, BATCH, COUNT, generator=generator, dtype=DOUBLE)
    current[1, 0] = 0.0
    rest = torch.randn(BATCH, COUNT, generator=generator, dtype=DOUBLE).requires_grad_()
    current.requires_grad_()
    population = Population(Step(OPERATIONS[code][number]), coefficient, State(rest), rest.detach()[None], current)
    assert choose([population], []) is not None
    seeds = [torch.randn(STEPS, BATCH, COUNT, generator=generator, dtype=DOUBLE) for _ in range(2)]
    found = []
    for engine in (adjoint, reference):
        (run,) = engine.scan([population], [])
        total = (run.emitted * seeds[0]).sum() + (run.seen * seeds[1]).sum() + run.state.x.sum()
        taken = torch.autograd.grad(total, [coefficient, current, rest], allow_unused=True)
        found.append([run.emitted, *(torch.zeros(()) if g is None else g for g in taken)])
    for one, other in zip(*found, strict=True):
        # The same operations on the same numbers, added up in another order over 72 values.
        torch.testing.assert_close(one, other.expand_as(one).to(one.dtype), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("code", [machine.RELU, machine.ABSOLUTE, machine.SPIKE, machine.SIGMOID, machine.MAXIMUM])
def test_gradients_of_what_is_not_finite_are_those_of_torch(code, value, generator):
    current = torch.randn(2, 1, 3, generator=generator, dtype=DOUBLE)
    current[1, 0, 1] = value
    current.requires_grad_()
    rest = torch.zeros(1, 3, dtype=DOUBLE)
    population = Population(
        Step(OPERATIONS[code][0]), torch.tensor(0.7, dtype=DOUBLE), State(rest), rest[None], current
    )
    assert choose([population], []) is not None
    found = [torch.autograd.grad(e.scan([population], [])[0].emitted.sum(), current)[0] for e in (adjoint, reference)]
    torch.testing.assert_close(*found, equal_nan=True)
