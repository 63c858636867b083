"""Held-out scores by horizon."""

from __future__ import annotations

import json

import numpy as np
import pytest

from neurotorch.plotting import plot_held_out, plot_horizons, plot_skill
from tests.plotting import fake


def _named(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def _curve(ax, color, marker):
    """The points of one curve: those with a marker and no line."""
    (line,) = [
        line
        for line in ax.get_lines()
        if line.get_color() == color
        and line.get_marker() == marker
        and line.get_linestyle() == "None"
        and line.get_xdata().size
    ]
    return line


def _texts(ax):
    return [text.get_text() for text in ax.texts]


def test_the_model_stands_beside_the_refit_without_connections_and_every_baseline():
    ax = plot_horizons(fake.held_out(), dt=0.5)
    assert _named(ax) == [
        "model", "without connections", "training mean", "persistence", "AR, iterated", "AR, direct", "ridge VAR",
        "low-rank VAR",
    ]  # fmt: skip
    model = _curve(ax, "#0072B2", "o")
    np.testing.assert_array_equal(model.get_xdata(), [1, 4, 8, 16])
    np.testing.assert_array_equal(model.get_ydata(), [0.9, 0.7, 0.5, 0.2])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "4", "8", "16"]
    (seconds,) = ax.child_axes
    assert [tick.get_text() for tick in seconds.get_xticklabels()] == ["0.5", "2", "4", "8"]
    assert (ax.get_xlabel(), ax.get_ylabel(), seconds.get_xlabel()) == ("frames ahead", "held-out R²", "seconds ahead")


def test_it_reads_a_report_from_disk():
    again = json.loads(json.dumps(fake.held_out(h16=fake.unscored())))
    assert _texts(plot_horizons(again)) == ["not scored"]


def test_horizons_are_sorted_as_numbers():
    scores = fake.held_out()["horizons"]
    shuffled = {"horizons": {key: scores[key] for key in ("16", "8", "1", "4")}}
    np.testing.assert_array_equal(_curve(plot_horizons(shuffled), "#0072B2", "o").get_ydata(), [0.9, 0.7, 0.5, 0.2])


def test_the_legend_covers_no_data():
    ax = plot_horizons(fake.held_out(), dt=0.5)
    ax.figure.draw_without_rendering()
    assert not ax.get_legend().get_window_extent().overlaps(ax.get_window_extent())


def test_values_below_the_floor_are_written_and_not_drawn_at_their_height():
    ax = plot_horizons(fake.held_out(h16=fake.horizon(-7.25, persistence=-123456.0)), floor=-1.0)
    assert ax.get_ylim()[0] > -2
    written = _texts(ax)
    assert {"\N{MINUS SIGN}7.2", "\N{MINUS SIGN}1e+05"} <= set(written)
    assert len(written) == 8
    assert "below \N{MINUS SIGN}1.0: value written" in _named(ax)
    assert np.isnan(_curve(ax, "#0072B2", "o").get_ydata()[-1])
    assert sum(line.get_marker() == "v" and line.get_markerfacecolor() == "white" for line in ax.get_lines()) == 9


def test_without_values_below_the_floor_there_is_no_note():
    assert _texts(plot_horizons(fake.held_out())) == []


def test_a_fit_without_refit_or_with_an_unknown_baseline():
    score = fake.horizon(0.5) | {"without_connections": None, "baselines": {"kalman": 0.4}}
    ax = plot_horizons({"horizons": {"1": score}}, model_label="LIF")
    assert _named(ax) == ["LIF", "kalman"]


def test_skill_has_its_interval_and_the_name_of_the_best_baseline():
    ax = plot_skill(fake.held_out(h4=fake.horizon(0.7, over="ridge_var", value=-0.2, interval=(-0.3, 0.1))))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == [
        "1\nAR, iterated", "4\nridge VAR", "8\nAR, iterated", "16\nAR, iterated"
    ]  # fmt: skip
    points = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert [float(line.get_ydata()[0]) for line in points] == [0.1, -0.2, 0.1, 0.1]
    bars = [line for line in ax.get_lines() if line.get_marker() == "None" and list(line.get_xdata()) == [4, 4]]
    assert [list(line.get_ydata()) for line in bars] == [[-0.3, 0.1]]
    assert ax.get_title(loc="left") == "skill over the best baseline (named below), 95 % interval"
    assert ax.get_ylabel() == "skill"


def test_a_skill_without_interval_is_hollow_and_one_without_value_is_said():
    ax = plot_skill(fake.held_out(h8=fake.horizon(0.5, interval=None), h16=fake.unscored()))
    points = [line.get_markerfacecolor() for line in ax.get_lines() if line.get_marker() == "o"]
    assert points == ["#0072B2", "#0072B2", "white"]
    assert _texts(ax) == ["not scored"]
    assert ax.get_title(loc="left").endswith("\nhollow circle: no interval")


def test_a_skill_far_below_is_written():
    ax = plot_skill(fake.held_out(h16=fake.horizon(0.1, value=-12.34, interval=(-15.0, -9.0))))
    assert _texts(ax) == ["\N{MINUS SIGN}12.3"]
    assert ax.get_title(loc="left").endswith("\ntriangle: below \N{MINUS SIGN}1.0, value written")


def test_the_two_axes_share_their_horizons():
    upper, lower = plot_held_out(fake.held_out(), dt=0.5)
    assert upper.get_xlim() == lower.get_xlim()
    assert (upper.get_ylabel(), lower.get_ylabel(), lower.get_xlabel()) == ("held-out R²", "skill", "frames ahead")


@pytest.mark.parametrize("plot", [plot_horizons, plot_skill, plot_held_out])
def test_nothing_scored_is_still_a_figure(plot):
    axes = plot({"horizons": {"1": fake.unscored(), "4": None}})
    for ax in axes if isinstance(axes, tuple) else [axes]:
        ax.figure.draw_without_rendering()
        assert _texts(ax) == ["not scored", "not scored"]


def test_a_report_in_place_of_its_part_is_an_error():
    with pytest.raises(ValueError, match="keys \\['held_out'\\], but it must have `horizons`"):
        plot_horizons({"held_out": fake.held_out()})
