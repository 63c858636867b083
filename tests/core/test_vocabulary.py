"""The words of a step: what they mean on tensors, and that they mean the same in a compiled scan."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurotorch.core import vocabulary
from neurotorch.engine import Population, adjoint
from neurotorch.engine.choice import choose

FINITE = st.floats(-700, 700)  # exp overflows beyond
WORDS = {
    "exp": lambda x, y: vocabulary.exp(x),
    "log": lambda x, y: vocabulary.log(x * x + 1),
    "tanh": lambda x, y: vocabulary.tanh(x),
    "sigmoid": lambda x, y: vocabulary.sigmoid(x),
    "softplus": lambda x, y: vocabulary.softplus(x),
    "relu": lambda x, y: vocabulary.relu(x),
    "where": lambda x, y: vocabulary.where(x > y, x, y * 2),
    "minimum": lambda x, y: vocabulary.minimum(x, y),
    "maximum": lambda x, y: vocabulary.maximum(x, y),
    "stop_gradient": lambda x, y: vocabulary.stop_gradient(x * y),
}
FORMULAS = {
    "exp": lambda x, y: np.exp(x),
    "log": lambda x, y: np.log(x * x + 1),
    "tanh": lambda x, y: np.tanh(x),
    "sigmoid": lambda x, y: np.where(x < 0, np.exp(-np.abs(x)), 1) / (1 + np.exp(-np.abs(x))),
    "softplus": lambda x, y: np.logaddexp(0, x),
    "relu": lambda x, y: np.where(x > 0, x, 0),
    "where": lambda x, y: x if x > y else 2 * y,
    "minimum": min,
    "maximum": max,
    "stop_gradient": lambda x, y: x * y,
}
# The functions of libm, numpy and torch are good to a few ulp. torch's softplus returns x itself above 20, leaving out
# log(1 + exp(-20)), 1e-10 of the value.
ACCURACY = {"softplus": 2e-10}


def double(x):
    return torch.tensor(x, dtype=torch.float64)


class State(NamedTuple):
    x: Any


@dataclasses.dataclass(frozen=True)
class Word:
    """A step that emits what a word makes of the current and a coefficient."""

    word: Callable[..., Any]

    def __call__(self, coefficients, state, current, drive):
        emitted = self.word(current, coefficients)
        return emitted, emitted, state


def compiled(word, x, y):
    """Return what a word means to one neuron in a compiled scan of one step."""
    rest = torch.zeros(1, 1, dtype=torch.float64)
    population = Population(Word(WORDS[word]), double(y), State(rest), rest[None], double(x).view(1, 1, 1))
    assert choose([population], []) is not None
    return adjoint.scan([population], [])[0].emitted.item()


@pytest.mark.parametrize("word", WORDS)
@given(x=FINITE, y=FINITE)
def test_a_word_means_its_formula_on_tensors_and_compiled(word, x, y):
    expected = float(FORMULAS[word](x, y))
    accuracy = ACCURACY.get(word, 1e-14)
    assert WORDS[word](double(x), double(y)).item() == pytest.approx(expected, rel=accuracy, abs=1e-300)
    assert compiled(word, x, y) == pytest.approx(expected, rel=accuracy, abs=1e-300)


@pytest.mark.parametrize("word", ["exp", "tanh", "sigmoid", "softplus", "relu", "minimum", "maximum"])
@pytest.mark.parametrize(("x", "y"), [(math.nan, 1.0), (1.0, math.nan)])
def test_what_is_not_a_number_is_not_repaired_in_silence(word, x, y):
    on_tensors = WORDS[word](double(x), double(y)).item()
    takes_two = word in ("minimum", "maximum")
    assert math.isnan(on_tensors) == math.isnan(compiled(word, x, y)) == (takes_two or math.isnan(x))


@pytest.mark.parametrize(
    ("word", "x"), [("sigmoid", -1e6), ("sigmoid", 1e6), ("softplus", -1e6), ("softplus", 1e6), ("tanh", 1e6)]
)
def test_words_do_not_overflow_far_out(word, x):
    expected = {"sigmoid": float(x > 0), "softplus": max(x, 0.0), "tanh": 1.0}[word]
    assert WORDS[word](double(x), double(0.0)).item() == expected
    assert compiled(word, x, 0.0) == expected


def test_nothing_is_learnt_through_a_stopped_gradient():
    x = double([1.0, 2.0]).requires_grad_()
    (gradient,) = torch.autograd.grad((x * vocabulary.stop_gradient(x)).sum(), x)
    assert torch.equal(gradient, x.detach())


class Box(NamedTuple):
    width: float

    def derivative(self, x):
        return (x.abs() < self.width).to(x.dtype)


def test_a_surrogate_of_the_user_needs_no_registration():
    x = double([-0.3, 0.0, 0.3, 2.0]).requires_grad_()
    z = vocabulary.spike(x, Box(0.5))
    assert z.tolist() == [0, 0, 1, 1]
    assert torch.autograd.grad(z.sum(), x)[0].tolist() == [1, 1, 1, 0]


BANKS = {
    "relax": lambda bank, x, rates: vocabulary.relax(bank, x, rates),
    "shift": lambda bank, x, rates: vocabulary.shift(bank, x, rates),
    "weighted_sum": lambda bank, x, rates: (vocabulary.weighted_sum(rates, bank),),
}
BANK_FORMULAS = {
    "relax": lambda m, x, r: m + (x - m) * r,
    "shift": lambda m, x, r: m + x * r,
    "weighted_sum": lambda m, x, r: (m * r).sum(keepdims=True),
}


@pytest.mark.parametrize("filters", [1, 2, 5])
@pytest.mark.parametrize("word", BANKS)
def test_a_bank_may_have_any_length(word, filters, random):
    m, r, x = random.normal(size=filters), random.normal(size=filters), 0.7
    expected = BANK_FORMULAS[word](m, x, r)
    on_tensors = BANKS[word](tuple(double(k) for k in m), double(x), tuple(double(k) for k in r))
    # the order of a sum of at most five terms of order one
    np.testing.assert_allclose([float(k) for k in on_tensors], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("word", ["relax", "shift"])
def test_banks_and_rates_of_different_lengths_are_refused(word):
    with pytest.raises(ValueError, match="zip"):
        BANKS[word]((double(1.0), double(2.0)), double(1.0), (double(0.5),))
