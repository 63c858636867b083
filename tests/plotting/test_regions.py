"""Weights between regions."""

import numpy as np
import pytest

from neurotorch.plotting import plot_regions
from neurotorch.plotting.regions import region_order

GROUPS = {"tectum": (0, 3), "hindbrain": (1,)}


def test_neurons_are_sorted_by_region_with_the_rest_at_the_end():
    order, sizes = region_order(GROUPS, 5)
    assert order.tolist() == [0, 3, 1, 2, 4]
    assert sizes == {"tectum": 2, "hindbrain": 1, "in no region": 2}


def test_borders_and_names_stand_at_both_axes(random):
    weight = random.normal(size=(5, 5))
    ax = plot_regions(weight, GROUPS, title="between regions")
    order = [0, 3, 1, 2, 4]
    np.testing.assert_array_equal(ax.get_images()[0].get_array(), weight[np.ix_(order, order)])
    names = ["tectum", "hindbrain", "in no region"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == names
    assert [tick.get_text() for tick in ax.get_yticklabels()] == names
    assert ax.get_xticks().tolist() == [0.5, 2.0, 3.5]
    upright = [line.get_xdata()[0] for line in ax.get_lines() if list(line.get_ydata()) == [0, 1]]
    assert upright == [1.5, 2.5]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("from", "to")


@pytest.mark.parametrize(
    ("weight", "groups", "message"),
    [
        (np.ones((3, 3)), {"a": (0, 1), "b": (1,)}, r"\[1\] in more than one region"),
        (np.ones((3, 3)), {"a": (3,)}, "holds neuron 3, but there are 3"),
        (np.ones((3, 4)), {"a": (0,)}, r"\(3, 4\), but weights between regions are square"),
    ],
)
def test_bad_input_says_what_to_do(weight, groups, message):
    with pytest.raises(ValueError, match=message):
        plot_regions(weight, groups)
