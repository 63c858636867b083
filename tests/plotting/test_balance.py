"""Excitation and inhibition over time, and eigenvalues that stand apart from the bulk."""

from __future__ import annotations

import numpy as np
import pytest

from neurotorch.plotting import plot_balance, plot_eigenvalues
from neurotorch.plotting.style import BLACK, EXCITATORY, INHIBITORY


def lines_of(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def test_the_three_currents_are_drawn_over_seconds():
    excitation, inhibition = np.array([1.0, 3.0, 2.0]), np.array([-1.0, -2.0, -2.5])
    ax = plot_balance(excitation, inhibition, dt=0.5, start=2.0, label="current (mV per step)")
    lines = lines_of(ax)
    for name, values, color in (
        ("excitation", excitation, EXCITATORY),
        ("inhibition", inhibition, INHIBITORY),
        ("sum", excitation + inhibition, BLACK),
    ):
        np.testing.assert_array_equal(lines[name].get_xdata(), [2.0, 2.5, 3.0])
        np.testing.assert_array_equal(lines[name].get_ydata(), values)
        assert lines[name].get_color() == color
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "current (mV per step)")
    assert ax.get_xlim() == (2.0, 3.0)
    assert plot_balance([1.0], [-1.0], dt=0.1, legend=False).get_legend() is None


def test_beside_the_bulk_an_outlier_is_marked():
    weight = np.diag([5.0, 0.4, -0.3, 0.2])
    ax = plot_eigenvalues(weight, bulk_radius=0.5)
    lines = lines_of(ax)
    np.testing.assert_allclose(np.hypot(*lines["bulk radius 0.50"].get_data()), 0.5)
    assert sorted(lines["3 eigenvalues"].get_xdata()) == [-0.3, 0.2, 0.4]
    assert list(lines["outlier 5.00"].get_xdata()) == [5.0]
    assert lines["outlier 5.00"].get_color() == EXCITATORY
    assert ax.get_xlim()[1] > 5.0 > 1.0 < ax.get_ylim()[1] < 2.0
    assert ax.get_aspect() == 1.0


def test_a_pair_of_outliers_is_named_by_its_modulus_and_without_one_there_is_none():
    rotation = 3.0 * np.array([[0.0, -1.0], [1.0, 0.0]])
    assert "outlier of modulus 3.00" in lines_of(plot_eigenvalues(rotation, bulk_radius=1.0))
    assert not [name for name in lines_of(plot_eigenvalues(rotation, bulk_radius=2.0)) if "outlier" in name]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot_balance([1.0, 2.0], [1.0], dt=1.0), r"\(2,\) and `inhibition` \(1,\)"),
        (lambda: plot_balance(np.ones((3, 2)), np.ones((3, 2)), dt=1.0), "choose a sample and a neuron"),
        (lambda: plot_balance([], [], dt=1.0), "must be"),
        (lambda: plot_balance([1.0], [-1.0], dt=0.0), "`dt` is 0 s"),
        (lambda: plot_eigenvalues(np.eye(2), bulk_radius=0.0), "`bulk_radius` is 0"),
    ],
)
def test_errors_say_what_came(call, message):
    with pytest.raises(ValueError, match=message):
        call()
