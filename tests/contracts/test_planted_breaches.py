"""Each check of a step catches a step that breaks it."""

from typing import Any, NamedTuple

import pytest
import torch

from neurotorch.neurons import NeuronModel
from neurotorch.neurons.constant import constant
from tests.contracts.checks import (
    check_batch_independent,
    check_keeps,
    check_permutation_equivariant,
    check_pointwise,
    check_pure,
)
from tests.contracts.models import Situation


class State(NamedTuple):
    v: Any


class Coefficients(NamedTuple):
    alpha: Any


class Sound(NeuronModel):
    State, Coefficients, emits = State, Coefficients, "rates"

    def __init__(self, alpha=0.5):
        super().__init__()
        self.alpha = constant("alpha", alpha)

    def coefficients(self, dt):
        return Coefficients(self.alpha())

    @staticmethod
    def step(coefficients, state, current):
        v = coefficients.alpha * state.v + current
        return v, State(v=v)


def mixes_neurons(c, s, i):
    v = c.alpha * s.v + i + s.v.mean(-1, keepdim=True)
    return v, State(v=v)


def mixes_samples(c, s, i):
    v = c.alpha * s.v + i + s.v.sum(0, keepdim=True)
    return v, State(v=v)


def counts_neurons(c, s, i):
    v = c.alpha * s.v + i * torch.arange(i.shape[-1])
    return v, State(v=v)


def writes_in_place(c, s, i):
    s.v.mul_(c.alpha).add_(i)
    return s.v, State(v=s.v)


def draws(c, s, i):
    v = c.alpha * s.v + i + torch.rand_like(i)
    return v, State(v=v)


def ignores_the_current(c, s, i):
    return c.alpha * s.v, State(v=c.alpha * s.v)


def promotes(c, s, i):
    v = c.alpha * s.v + i + torch.zeros(1, dtype=torch.float64)
    return v, State(v=v)


def check_keeps_float32(situation):
    check_keeps(situation, torch.float32)


@pytest.mark.parametrize(
    ("check", "step"),
    [
        (check_pointwise, mixes_neurons),
        (check_pointwise, mixes_samples),
        (check_pointwise, ignores_the_current),
        (check_batch_independent, mixes_samples),
        (check_permutation_equivariant, counts_neurons),
        (check_pure, writes_in_place),
        (check_pure, draws),
        (check_keeps_float32, promotes),
    ],
)
def test_a_planted_breach_is_caught(check, step, generator):
    situation = Situation(Sound, generator)
    check(situation)
    situation.step = step
    with pytest.raises(AssertionError):
        check(situation)
