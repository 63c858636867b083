"""The one text of a step: compiled on scalars it does what it does on tensors.

A composed model is left out: its step is those of its parts, each of which is here.
"""

import numba
import pytest
import torch

from neurotorch.core.compiled import compile_step
from neurotorch.core.trees import leaves, rebuild
from tests.contracts.models import DOUBLE, SIMPLE, Situation

# libm and the vectorised functions of torch differ by an ulp; a handful of operations on numbers of order ten follow.
ROUNDING = {"rtol": 1e-13, "atol": 1e-14}


def at(tree, sample, neuron, like):
    """Return a tree with every tensor replaced by the float that one neuron of one sample sees."""
    return rebuild(tree, [float(leaf.expand_as(like)[sample, neuron]) for leaf in leaves(tree)])


def numbers(tree):
    if isinstance(tree, tuple):
        return [number for branch in tree for number in numbers(branch)]
    return [tree]


def compare(function, arguments, like):
    compiled = compile_step(function)
    emitted, state = function(*arguments)
    expected = [emitted, *leaves(state)]
    for sample in range(like.shape[0]):
        for neuron in range(like.shape[1]):
            found = numbers(compiled(*(at(argument, sample, neuron, like) for argument in arguments)))
            wanted = [tensor[sample, neuron] for tensor in expected]
            torch.testing.assert_close(torch.tensor(found, dtype=DOUBLE), torch.stack(wanted), **ROUNDING)


@pytest.mark.parametrize("factory", SIMPLE.values(), ids=SIMPLE.keys())
def test_a_compiled_step_equals_the_torch_step(factory, generator):
    situation = Situation(factory, generator, batch=6, count=7)
    compare(situation.step, (situation.coefficients, situation.state, situation.current), situation.current)


FORCED = {name: factory for name, factory in SIMPLE.items() if factory().force is not None}


@pytest.mark.parametrize("factory", FORCED.values(), ids=FORCED.keys())
def test_a_compiled_force_equals_the_torch_force(factory, generator):
    situation = Situation(factory, generator, batch=4, count=3)
    target, strength = (torch.rand(4, 3, generator=generator, dtype=DOUBLE) for _ in range(2))
    compare(situation.model.force, (situation.coefficients, situation.state, target, strength), target)


def test_a_step_that_leaves_the_vocabulary_says_so_when_compiled(generator):
    situation = Situation(next(iter(SIMPLE.values())), generator)

    def step(coefficients, state, current):
        return torch.special.erf(current), state

    arguments = [at(x, 0, 0, situation.current) for x in (situation.coefficients, situation.state, situation.current)]
    with pytest.raises(numba.core.errors.TypingError):
        compile_step(step)(*arguments)
