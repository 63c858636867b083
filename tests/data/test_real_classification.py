"""The real files for classification are read as their cards describe them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

from neurotorch.data import Transformed, catalog, folds, leave_one_group_out, read_images, read_spike_trains, split
from neurotorch.data.encodings import BinSpikes, Delta

pytestmark = pytest.mark.data


@pytest.mark.parametrize(
    ("name", "mean", "deviation", "first"),
    [("mnist", 0.1307, 0.3081, 5), ("fashion-mnist", 0.2860, 0.3530, 9)],  # as they are quoted everywhere
)
def test_images(data_folder, name, mean, deviation, first):
    images = catalog.open(name, "train")
    values = images.values()
    assert values.shape == (60_000, 784)
    assert (round(float(values.mean()), 4), round(float(values.std()), 4)) == (mean, deviation)
    assert int(images.labels[0]) == first
    folder = data_folder / name.replace("-", "_")
    again = read_images(folder / "train-images-idx3-ubyte.gz", folder / "train-labels-idx1-ubyte.gz")
    assert torch.equal(again.pixels, images.pixels)
    assert again.name == "train-images-idx3-ubyte"


def test_spoken_digits(data_folder):
    train, test = (catalog.open("spoken-digits", part) for part in ("train", "test"))
    assert train.classes == ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    # The files name six speakers and hold four.
    assert train.speakers.unique().tolist() == test.speakers.unique().tolist() == [0, 1, 3, 4]
    counts = test.bin(dt=0.012, steps=100, pool=5)
    assert counts.shape == (200, 100, 140)
    with h5py.File(data_folder / "speech_spikes" / "fsdd700_test.h5") as file:
        spikes = [len(times) for times in file["spikes/times"]]
        last = np.array([times.max() for times in file["spikes/times"]], dtype=np.float32)
    assert counts.sum((1, 2)).tolist() == spikes
    np.testing.assert_array_equal(test.durations, last)
    sequence, label = Transformed(test, BinSpikes(100, 0.012, pool=5))[7]
    np.testing.assert_array_equal(sequence, counts[7])
    assert label == int(test.labels[7])
    both = train + test
    assert (len(both), both.part) == (2000, None)
    assert torch.equal(both.select(range(1800, 2000)).bin(dt=0.012, steps=100, pool=5), counts)


def test_splits_of_the_spoken_digits(data_folder):
    train = catalog.open("spoken-digits", "train")
    kept, held = split(train, validation=0.1, seed=0)
    assert torch.bincount(train.labels[held]).tolist() == [18] * 10
    assert len(kept) == 1620
    _, held = split(train, validation=0.25, seed=0, groups=train.speakers)
    assert len(train.speakers[held].unique()) == 1
    for _, inside in folds(train, 5, seed=0, groups=train.speakers):
        assert torch.bincount(train.labels[inside]).tolist() == [36] * 10
        assert torch.bincount(train.speakers[inside]).tolist() == [90, 90, 0, 90, 90]
    assert [len(inside) for _, _, inside in leave_one_group_out(train, train.speakers)] == [450] * 4
    with pytest.raises(ValueError, match="200 samples of the test part"):
        split(catalog.open("spoken-digits", "test"), validation=0.1, seed=0)


def test_the_layout_is_read_without_the_catalog(data_folder):
    trains = read_spike_trains(data_folder / "speech_spikes" / "fsdd700_test.h5")
    assert (len(trains), trains.name, trains.part) == (200, "fsdd700_test", None)


def test_braille_letters(data_folder):
    train, test = (catalog.open("braille", part) for part in ("train", "test"))
    assert train.values.shape == (1080, 77, 12)
    assert train.classes[:3] == ("Space", "A", "B")
    assert torch.bincount(train.labels).tolist() == [40] * 27
    assert torch.bincount(test.labels).tolist() == [10] * 27
    assert not set(train.groups.tolist()) & set(test.groups.tolist())
    events = Delta(0.05).batch(train.values[:50])
    assert events.shape == (77, 50, 24)
    assert events.sum() > 0
