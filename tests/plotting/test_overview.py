"""The composed figure."""

from __future__ import annotations

import numpy as np
import pytest

from neurotorch.plotting import plot_overview
from tests.plotting import fake

TRACES = ["best", "median", "worst", "horizons"]


@pytest.mark.parametrize(
    ("known", "added"),
    [
        ((), []),
        (("weight",), ["weights", "eigenvalues"]),
        (("weight", "true_weight"), ["true_weights", "weights", "recovery"]),
    ],
)
def test_it_shows_what_is_known(known, added, random):
    weight, signs = fake.weights(random)
    given = dict.fromkeys(known, weight)
    axes = plot_overview(**fake.traces(random), held_out=fake.held_out(), dt=0.5, split=40, signs=signs, **given)
    assert list(axes) == TRACES + added
    assert len({ax.figure.figure for ax in axes.values()}) == 1


def test_one_neuron_and_a_horizon_that_was_not_scored(random):
    traces = fake.traces(random, neurons=1)
    traces["model"][:] = np.nan
    axes = plot_overview(
        **traces, held_out=fake.held_out(h16=fake.unscored()), dt=0.5, split=40, weight=[[0.0]], true_weight=[[0.0]]
    )
    axes["only"].figure.figure.draw_without_rendering()
    assert axes["recovery"].get_title(loc="left") == "correlation undefined"


def test_true_weights_alone_are_an_error(random):
    with pytest.raises(ValueError, match="`true_weight` is given without `weight`"):
        plot_overview(**fake.traces(random), held_out=fake.held_out(), dt=0.5, split=40, true_weight=np.eye(2))
