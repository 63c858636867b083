"""Weight matrices, eigenvalues and recovery."""

from __future__ import annotations

import numpy as np
import pytest

from neurotorch.plotting import plot_connectivity, plot_eigenvalues, plot_recovery, plot_weights
from neurotorch.plotting.weights import type_order
from tests.plotting import fake


def _image(ax):
    return ax.get_images()[0]


def test_neurons_are_sorted_excitatory_inhibitory_free_each_in_order():
    np.testing.assert_array_equal(type_order([0, -1, 1, 1, -1]), [2, 3, 1, 4, 0])


def test_a_recurrent_matrix_is_sorted_on_both_sides_and_centred_at_zero(random):
    weight, signs = fake.weights(random)
    ax = plot_weights(weight, signs=signs)
    order = type_order(signs)
    np.testing.assert_array_equal(_image(ax).get_array(), weight[np.ix_(order, order)])
    low, high = _image(ax).get_clim()
    assert low == -high < 0
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("presynaptic neuron", "postsynaptic neuron")
    assert _image(ax).colorbar.ax.get_ylabel() == "effective weight"
    counts = {name: int((signs == sign).sum()) for name, sign in (("excitatory", 1), ("inhibitory", -1), ("free", 0))}
    said = [text.get_text() for text in ax.get_legend().get_texts()]
    assert said == [f"{name} ({count})" for name, count in counts.items()]
    borders = [line.get_xdata()[0] for line in ax.get_lines() if list(line.get_ydata()) == [0, 1]]
    assert borders == [counts["excitatory"] - 0.5, counts["excitatory"] + counts["inhibitory"] - 0.5]


def test_rows_of_an_input_matrix_keep_their_order(random):
    weight, signs = fake.weights(random)
    for rows, recurrent in ((weight[:5], None), (weight, False)):
        shown = _image(plot_weights(rows, signs=signs, recurrent=recurrent)).get_array()
        np.testing.assert_array_equal(shown, rows[:, type_order(signs)])


def test_without_types_nothing_is_sorted_or_named(random):
    weight, _ = fake.weights(random)
    ax = plot_weights(weight, title="all")
    np.testing.assert_array_equal(_image(ax).get_array(), weight)
    assert ax.get_legend() is None
    assert ax.get_title(loc="left") == "all"


@pytest.mark.parametrize(("weight", "limit"), [(np.zeros((3, 3)), 1.0), (np.full((3, 3), 0.2), 0.2), ([[-2.0]], 2.0)])
def test_constant_weights_have_a_colour_scale(weight, limit):
    image = _image(plot_weights(weight))
    assert image.get_clim() == (-limit, limit)
    assert image.colorbar.extend == "neither"


def test_the_colour_bar_says_that_there_are_larger_weights(random):
    weight, _ = fake.weights(random)
    assert _image(plot_weights(weight, limit=0.1)).colorbar.extend == "both"


def test_eigenvalues_stand_beside_the_unit_circle_and_the_spectral_radius():
    rotation = 0.5 * np.array([[0.0, -1.0], [1.0, 0.0]])
    ax = plot_eigenvalues(rotation)
    lines = {line.get_label(): line for line in ax.get_lines()}
    points = lines["2 eigenvalues"]
    np.testing.assert_allclose(sorted(points.get_ydata()), [-0.5, 0.5], atol=1e-15)
    np.testing.assert_allclose(np.hypot(*lines["unit circle"].get_data()), 1.0)
    np.testing.assert_allclose(np.hypot(*lines["spectral radius 0.50"].get_data()), 0.5)
    assert ax.get_aspect() == 1.0


def test_a_large_spectral_radius_lies_inside_the_axes():
    ax = plot_eigenvalues(np.diag([3.0, 0.0]))
    assert ax.get_xlim()[1] > 3.0


def test_one_neuron_has_a_matrix_and_an_eigenvalue():
    _, right = plot_connectivity([[0.5]], signs=[1])
    assert "1 eigenvalue" in [line.get_label() for line in right.get_lines()]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot_weights(np.zeros(3)), r"shape \(3,\), but it must be \(post, pre\)"),
        (lambda: plot_weights([[np.nan, 1.0]]), "1 NaN or infinite"),
        (lambda: plot_weights(np.zeros((2, 3)), signs=[1, -1]), "2 types, but `weight` has 3 presynaptic"),
        (lambda: plot_weights(np.zeros((2, 2)), signs=[1, 2]), "`signs` holds 2"),
        (lambda: plot_weights(np.zeros((2, 3)), recurrent=True), r"\(2, 3\), but recurrent weights are square"),
        (lambda: plot_eigenvalues(np.zeros((2, 3))), "only a square matrix"),
        (lambda: plot_recovery(np.zeros((2, 3)), np.zeros((3, 2))), r"\(2, 3\) and `weight` \(3, 2\)"),
        (lambda: plot_recovery(np.zeros((2, 3)), np.zeros((2, 3)), signs=[1]), "3 presynaptic neurons"),
    ],
)
def test_errors_say_what_came_and_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_recovery_leaves_the_diagonal_out_and_says_the_correlation(random):
    weight, signs = fake.weights(random)
    other = 2 * weight
    np.fill_diagonal(other, 50.0)
    ax = plot_recovery(weight, other, signs=signs)
    assert ax.get_title(loc="left") == "correlation 1.00"
    points = {line.get_label(): len(line.get_xdata()) for line in ax.get_lines() if line.get_marker() == "o"}
    assert points["inhibitory"] == (signs == -1).sum() * (len(signs) - 1)
    assert plot_recovery([[0.0]], [[1.0]]).get_title(loc="left") == "correlation undefined"
