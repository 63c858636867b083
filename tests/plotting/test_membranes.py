"""Membrane potentials with threshold and spikes."""

from __future__ import annotations

import numpy as np
import pytest

from neurotorch.plotting import plot_membranes
from tests.plotting import fake

TRACE, SPIKES = fake.membranes()


def test_a_neuron_an_axes_with_its_trace_threshold_and_spikes():
    axes = plot_membranes(TRACE, SPIKES, dt=0.01, neurons=[2, 0], names=("a", "b", "c"))
    assert [ax.get_title() or ax.get_title("left") for ax in axes] == ["c", "a"]
    for ax, neuron in zip(axes, (2, 0), strict=True):
        threshold, trace = ax.get_lines()
        np.testing.assert_array_equal(threshold.get_ydata(), np.ones(100))
        np.testing.assert_array_equal(trace.get_ydata(), TRACE[:, neuron])
        np.testing.assert_allclose(trace.get_xdata(), np.arange(100) * 0.01)
        (strokes,) = ax.collections
        times = [segment[0, 0] for segment in strokes.get_segments()]
        np.testing.assert_allclose(times, np.flatnonzero(SPIKES[:, neuron]) * 0.01)
        # Strokes stand above trace and threshold, inside the axes.
        lowest = min(segment[:, 1].min() for segment in strokes.get_segments())
        assert max(TRACE[:, neuron].max(), 1) < lowest < ax.get_ylim()[1]


def test_a_threshold_may_differ_between_neurons_and_move():
    per_neuron = plot_membranes(TRACE, dt=0.01, threshold=[1.0, 2.0, 3.0])
    assert [ax.get_lines()[0].get_ydata()[0] for ax in per_neuron] == [1, 2, 3]
    moving = 1 + TRACE**2
    axes = plot_membranes(TRACE, dt=0.01, threshold=moving)
    for neuron, ax in enumerate(axes):
        np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), moving[:, neuron])


def test_the_first_four_are_shown():
    assert len(plot_membranes(np.zeros((5, 9)), dt=0.01)) == 4


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: plot_membranes(TRACE[:, 0], dt=0.01), r"`potential` has the shape \(100,\)"),
        (lambda: plot_membranes(TRACE, SPIKES[:9], dt=0.01), r"`spikes` has the shape \(9, 3\)"),
        (lambda: plot_membranes(TRACE, dt=0.01, threshold=[1.0, 2.0]), r"\(neuron,\) or \(time, neuron\) = \(100, 3\)"),
        (lambda: plot_membranes(TRACE, dt=0.01, neurons=[3]), r"`neurons` is \[3\]"),
        (lambda: plot_membranes(TRACE, dt=0.01, names=["a"]), "`names` are 1, but there are 3 neurons"),
        (lambda: plot_membranes(TRACE, dt=0.0), "`dt` is 0 s"),
    ],
)
def test_what_does_not_fit_is_refused(call, told):
    with pytest.raises(ValueError, match=told):
        call()
