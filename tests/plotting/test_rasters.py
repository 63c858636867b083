"""Spikes over time, alone and beside what a network made of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neurotorch.data import SpikeTrain
from neurotorch.plotting import plot_input_output, plot_raster
from neurotorch.plotting.style import BLACK, EXCITATORY, FREE, INHIBITORY, MODEL, VERMILLION
from tests.plotting import fake

DENSE = np.zeros((10, 4))
DENSE[[0, 3, 3, 9], [1, 0, 3, 2]] = [1, 2, 1, 1]
EVENTS = (np.array([0.0, 0.3, 0.3, 0.9]), np.array([1, 0, 3, 2]))


def _strokes(ax):
    """Colour, time and row of each stroke."""
    return [
        (collection.get_colors()[0].tolist(), *segment.mean(axis=0).round(9).tolist())
        for collection in ax.collections
        for segment in collection.get_segments()
    ]


def _dots(ax):
    return [xy for line in ax.get_lines() for xy in zip(line.get_xdata(), line.get_ydata(), strict=True)]


def test_an_array_and_the_list_of_its_events_are_the_same_picture():
    dense, events = plot_raster(DENSE, dt=0.1), plot_raster(EVENTS, duration=1.0)
    assert sorted(x[1:] for x in _strokes(dense)) == [(0.0, 1.0), (0.3, 0.0), (0.3, 3.0), (0.9, 2.0)]
    assert sorted(_strokes(events)) == sorted(_strokes(dense))
    assert dense.get_xlim() == events.get_xlim() == (0, 1)
    assert dense.get_ylim() == (-0.5, 3.5)


def test_a_spike_train_is_a_list_of_events():
    train = SpikeTrain(torch.tensor([0.25, 0.5]), torch.tensor([699, 3]), 1)
    ax = plot_raster(train, rows=700, quantity="channel")
    assert _dots(ax) == [(0.25, 699), (0.5, 3)]  # many rows are dots
    assert ax.get_ylim() == (-0.5, 699.5)
    assert ax.get_ylabel() == "channel"


def test_types_have_their_colours():
    from matplotlib.colors import to_rgba

    ax = plot_raster(DENSE, dt=0.1, signs=[1, -1, 0, 1])
    by_row = {row: color for color, _, row in _strokes(ax)}
    expected = {0: EXCITATORY, 1: INHIBITORY, 2: FREE, 3: EXCITATORY}
    assert by_row == {row: list(to_rgba(color)) for row, color in expected.items()}
    assert {tuple(color) for color, *_ in _strokes(plot_raster(DENSE, dt=0.1))} == {to_rgba(BLACK)}


def test_a_silent_network_is_an_empty_picture():
    assert _strokes(plot_raster(np.zeros((5, 3)), dt=0.1)) == []
    assert plot_raster((np.zeros(0), np.zeros(0))).get_ylim() == (-0.5, 0.5)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: plot_raster(DENSE), "pass `dt`"),
        (lambda: plot_raster(DENSE[0], dt=0.1), r"shape \(4,\), but it must be \(time, row\)"),
        (lambda: plot_raster(DENSE, dt=0.1, signs=[1, 1]), "there are 4 rows"),
        (lambda: plot_raster(EVENTS, rows=3), "from row 0 to 3, but there are 3 rows"),
        (lambda: plot_raster((EVENTS[0], EVENTS[1][:2])), "one of each for a spike"),
        (lambda: plot_raster(EVENTS, duration=0.0), "`duration` is 0 s"),
    ],
)
def test_what_is_no_raster_is_refused(call, told):
    with pytest.raises(ValueError, match=told):
        call()


def test_input_output_and_readout_share_their_time(random):
    spikes, readout = fake.spikes(random), fake.readout(random)
    upper, middle, lower = plot_input_output(
        EVENTS, spikes, dt=0.01, readout=readout, classes=("a", "b", "c", "d"), label=1
    )
    assert len(_strokes(upper)) == 4
    assert len(_strokes(middle)) == (spikes != 0).sum()
    assert upper.get_xlim() == middle.get_xlim() == lower.get_xlim() == (0, 1)
    np.testing.assert_array_equal([line.get_ydata() for line in lower.get_lines()], readout.T)
    named = {line.get_label(): line.get_color() for line in lower.get_lines() if not line.get_label().startswith("_")}
    rival = max({0, 2, 3}, key=lambda index: readout[:, index].mean())
    assert named == {"b (true)": MODEL, "abcd"[rival]: VERMILLION}
    assert (upper.get_xlabel(), lower.get_xlabel()) == ("", "time (s)")


@pytest.mark.parametrize("shift", [0.0, -0.5])
def test_a_current_is_drawn_in_shades(random, shift):
    current = random.random((10, 4)) + shift
    upper, _ = plot_input_output(torch.from_numpy(current), DENSE, dt=0.1)
    (image,) = upper.images
    np.testing.assert_array_equal(image.get_array(), current.T)
    assert image.get_extent() == [0, 1, -0.5, 3.5]
    low, high = image.get_clim()
    assert high == np.abs(current).max()
    assert low == (-high if shift else 0)
    assert upper.get_xlim() == (0, 1)


def test_an_image_is_drawn_in_place_of_its_encoding(random):
    picture = random.integers(0, 256, (5, 3))
    upper, middle, lower = plot_input_output(
        random.random((10, 15)), DENSE, dt=0.1, readout=fake.readout(random), picture=picture
    )
    (image,) = upper.images
    np.testing.assert_array_equal(image.get_array(), picture)
    assert middle.get_xlim() == lower.get_xlim() == (0, 1)  # the picture has no time


def test_without_a_readout_there_are_two(random):
    axes = plot_input_output(fake.spikes(random, rows=90), fake.spikes(random), dt=0.01)
    assert [ax.get_ylabel() for ax in axes] == ["input channel", "neuron"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"readout": np.zeros(5)}, r"`readout` has the shape \(5,\)"),
        ({"readout": np.zeros((5, 2)), "classes": ("a",)}, "2 classes, but `classes` names 1"),
        ({"readout": np.zeros((5, 2)), "label": 2}, r"`label` is 2, but classes are 0..1"),
        ({"picture": np.zeros(6)}, r"`picture` has the shape \(6,\)"),
    ],
)
def test_a_readout_that_does_not_fit_is_refused(changed, told):
    with pytest.raises(ValueError, match=told):
        plot_input_output(DENSE, DENSE, dt=0.1, **changed)
