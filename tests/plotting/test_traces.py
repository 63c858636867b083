"""Recorded against modelled traces."""

from __future__ import annotations

import io

import numpy as np
import pytest

from neurotorch.plotting import plot_trace, plot_traces, ranked_neurons
from tests.plotting import fake


@pytest.mark.parametrize(
    ("scores", "ranks"),
    [
        ([0.1, 0.9, 0.5, -2.0, 0.6], {"best": 1, "median": 2, "worst": 3}),
        ([0.1, 0.2, 0.3, 0.4], {"best": 3, "median": 1, "worst": 0}),
        ([np.nan, 0.2, np.nan, 0.4, 0.3], {"best": 3, "median": 4, "worst": 1}),
        ([0.1, 0.9], {"best": 1, "worst": 0}),
        ([0.3], {"only": 0}),
        ([np.nan, np.nan], {"only": 0}),
    ],
)
def test_neurons_are_ranked_by_score(scores, ranks):
    assert ranked_neurons(scores) == ranks


def test_the_three_neurons_are_shown_over_seconds_with_name_score_and_split(random):
    traces = fake.traces(random)
    traces["scores"] = np.array([0.1, 0.9, 0.5, -2.0, 0.6])
    axes = plot_traces(
        **traces, dt=0.5, split=40, names=["a", "b", "c", "d", "e"], model_label="8-frame forecast", quantity="ΔF/F"
    )
    titles = [ax.get_title(loc="left") for ax in axes]
    assert titles == [
        "best: b, held-out R² = 0.90",
        "median: c, held-out R² = 0.50",
        "worst: d, held-out R² = \N{MINUS SIGN}2.00",
    ]
    for ax, neuron in zip(axes, (1, 2, 3), strict=True):
        lines = {line.get_label(): line for line in ax.get_lines()}
        np.testing.assert_array_equal(lines["recorded"].get_xdata(), np.arange(60) * 0.5)
        np.testing.assert_array_equal(lines["recorded"].get_ydata(), traces["recorded"][:, neuron])
        np.testing.assert_array_equal(lines["8-frame forecast"].get_ydata(), traces["model"][:, neuron])
        assert [line.get_xdata()[0] for line in ax.get_lines() if line.get_linestyle() == "--"] == [20.0]
        assert ax.get_ylabel() == "ΔF/F"
    assert axes[-1].get_xlabel() == "time (s)"
    assert [text.get_text() for text in axes[0].texts] == ["training", "held out"]
    assert [text.get_text() for text in axes[-1].get_legend().get_texts()] == ["recorded", "8-frame forecast"]


@pytest.mark.parametrize(
    ("split", "window", "said"),
    [
        (0, None, ["held out"]),
        (60, None, ["training"]),
        (57, None, ["training", "held out →"]),
        (40, (45, 60), ["held out"]),
        (40, (0, 30), ["training"]),
        (40, (20, 60), ["training", "held out"]),
    ],
)
def test_only_the_sides_of_the_split_that_are_shown_are_named(split, window, said, random):
    axes = plot_traces(**fake.traces(random), dt=0.5, split=split, window=window)
    assert [text.get_text() for text in axes[0].texts] == said


def test_a_section_without_prediction_is_a_gap_and_all_of_it_may_lack(random):
    traces = fake.traces(random, neurons=1)
    traces["model"][10:20] = np.nan
    (ax,) = plot_traces(**traces, dt=0.5, split=40)
    assert np.isnan(ax.get_lines()[-1].get_ydata()).sum() == 10
    traces["model"][:] = np.nan
    traces["scores"][:] = np.nan
    (ax,) = plot_traces(**traces, dt=0.5, split=40)
    ax.figure.savefig(io.BytesIO())
    assert ax.get_title(loc="left") == "neuron 0, held-out R² = undefined"


def test_neurons_can_be_chosen(random):
    axes = plot_traces(**fake.traces(random), dt=0.5, split=40, neurons={"first": 0, "last": 4})
    assert [ax.get_title(loc="left").split(",")[0] for ax in axes] == ["first: neuron 0", "last: neuron 4"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": np.zeros((59, 5))}, r"`model` has the shape \(59, 5\) but `recorded` \(60, 5\)"),
        ({"recorded": np.zeros(60)}, r"`recorded` has the shape \(60,\)"),
        ({"scores": np.zeros(4)}, r"`scores` has the shape \(4,\), but the recording has 5 neurons"),
        ({"names": ["a"]}, "`names` holds 1 names, but the recording has 5 neurons"),
        ({"split": 61}, "`split` is frame 61, but the recording has 60 frames"),
        ({"window": (50, 70)}, "`window` is 50 to 70"),
        ({"dt": 0.0}, "`dt` is 0 s"),
    ],
)
def test_errors_name_both_sides(changed, message, random):
    arguments = {**fake.traces(random), "dt": 0.5, "split": 40} | changed
    with pytest.raises(ValueError, match=message):
        plot_traces(**arguments)


def test_traces_of_one_neuron_must_agree():
    with pytest.raises(ValueError, match=r"\(3,\) and `model` \(4,\)"):
        plot_trace(np.zeros(3), np.zeros(4), dt=1.0, split=1)
