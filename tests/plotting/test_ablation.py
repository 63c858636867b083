"""Ablation curves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neurotorch.plotting import plot_ablation
from tests.plotting import fake


def _named(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def _band(ax, fraction):
    """The lower and the upper edge of the only band at a fraction."""
    (band,) = ax.collections
    heights = [y for x, y in band.get_paths()[0].vertices if x == fraction]
    return min(heights), max(heights)


def test_a_strategy_is_its_mean_with_a_band_over_repeats():
    ax = plot_ablation(fake.ablations(weakest=1, random=3), label="held-out R²")
    assert _named(ax) == ["weakest", "random: mean of 3 repeats, band: smallest to largest", "intact network"]
    random = ax.get_lines()[1]
    np.testing.assert_allclose(random.get_ydata()[2], 0.6)
    np.testing.assert_allclose(_band(ax, 0.5), (0.5, 0.7))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("fraction of connections removed", "held-out R²")
    (counts,) = ax.child_axes
    assert counts.get_xlabel() == "connections removed, of 200"
    ax.figure.draw_without_rendering()
    np.testing.assert_allclose(counts.get_xlim(), 200 * np.asarray(ax.get_xlim()))


def test_a_narrower_band_is_said():
    ax = plot_ablation(fake.ablations(random=3), coverage=0.5)
    assert _named(ax)[0] == "random: mean of 3 repeats, band: central 50 %"
    np.testing.assert_allclose(_band(ax, 0.5), (0.55, 0.65))


def test_a_single_strategy_with_one_repeat_has_no_band():
    ax = plot_ablation(fake.ablations(weakest=1))
    assert _named(ax) == ["weakest", "intact network"]
    assert len(ax.collections) == 0


def test_a_lesion_without_a_value_leaves_a_gap_and_is_counted():
    table = fake.ablations(random=2)
    table.loc[2, "metric"] = np.nan
    ax = plot_ablation(table)
    assert _named(ax)[0].endswith("(1 of 10 without a value)")
    np.testing.assert_array_equal(np.isnan(ax.get_lines()[0].get_ydata()), [False, False, True, False, False])


def test_networks_of_several_sizes_have_no_common_count():
    table = pd.concat([fake.ablations(a=1), fake.ablations(b=1).assign(connections=1300)])
    ax = plot_ablation(table)
    assert ax.child_axes == []
    assert ax.get_title(loc="left") == "connections: 200, 1,300"


def test_a_table_without_the_intact_network():
    table = fake.ablations(weakest=1)
    assert _named(plot_ablation(table[table["fraction"] > 0])) == ["weakest"]


def test_the_legend_covers_neither_data_nor_labels():
    ax = plot_ablation(fake.ablations(weakest=1, random=3))
    ax.figure.draw_without_rendering()
    legend = ax.get_legend().get_window_extent()
    assert legend.y1 < ax.xaxis.label.get_window_extent().y0


def test_a_missing_column_or_row_is_an_error():
    with pytest.raises(ValueError, match=r"no column 'metrics'; .* Did you mean 'metric'"):
        plot_ablation(fake.ablations(weakest=1), metric="metrics")
    with pytest.raises(ValueError, match="no rows"):
        plot_ablation(fake.ablations())
    with pytest.raises(ValueError, match="`coverage` is 95"):
        plot_ablation(fake.ablations(random=2), coverage=95)
