"""Learning curves over seeds, and accuracy against its cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neurotorch.plotting import plot_accuracy_cost, plot_seeds
from tests.plotting import fake


def _history(values):
    return pd.DataFrame({"epoch": np.arange(1, len(values) + 1), "accuracy": values})


def test_the_mean_stands_beside_every_seed():
    ax = plot_seeds(
        {"a": [_history([0.2, np.nan, 0.6]), _history([0.4, 0.5, 0.8, 0.9])], "b": [_history([0.1, 0.2])]},
        column="accuracy",
        label="validation accuracy",
    )
    first, second, mean, only, same = ax.get_lines()
    np.testing.assert_array_equal(first.get_xdata(), [1, 3])  # where it was measured
    np.testing.assert_array_equal(second.get_ydata(), [0.4, 0.5, 0.8, 0.9])
    # The fourth epoch was reached by one seed alone.
    np.testing.assert_array_equal(mean.get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(mean.get_ydata(), [0.3, 0.5, 0.7])
    np.testing.assert_array_equal(only.get_ydata(), same.get_ydata())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a (2 seeds)", "b (1 seed)"]
    assert ax.get_ylabel() == "validation accuracy"
    assert first.get_color() == mean.get_color() != same.get_color()


def test_points_are_means_and_bars_reach_to_the_extremes():
    table = fake.costs()
    left, right = plot_accuracy_cost(table)
    for index, (setting, rows) in enumerate(table.groupby("setting", sort=False)):
        groups = [rows[rows.steps == steps] for steps in (5, 10, 25, 100)]
        line, _, (bars,) = left.containers[index]
        np.testing.assert_array_equal(line.get_xdata(), [5, 10, 25, 100])
        np.testing.assert_allclose(line.get_ydata(), [group.accuracy.mean() for group in groups])
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        np.testing.assert_allclose(ends, [(group.accuracy.min(), group.accuracy.max()) for group in groups])
        line, _, (across, _) = right.containers[index]
        np.testing.assert_allclose(line.get_xdata(), [group.spikes.mean() for group in groups])
        ends = np.array([segment[:, 0] for segment in across.get_segments()])
        np.testing.assert_allclose(ends, [(group.spikes.min(), group.spikes.max()) for group in groups])
        assert right.get_legend().get_texts()[index].get_text() == setting
    assert [label.get_text() for label in left.get_xticklabels()] == ["5", "10", "25", "100"]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: plot_seeds({}, column="accuracy"), "at least one history for each setting"),
        (lambda: plot_seeds({"a": []}, column="accuracy"), "at least one history for each setting"),
        (lambda: plot_seeds({"a": [_history([1.0])]}, column="acuracy"), "Did you mean 'accuracy'"),
        (lambda: plot_accuracy_cost(fake.costs().drop(columns="spikes")), "no column 'spikes'"),
        (lambda: plot_accuracy_cost(fake.costs()[:0]), "no rows"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, told):
    with pytest.raises(ValueError, match=told):
        call()
