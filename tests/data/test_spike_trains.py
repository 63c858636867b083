"""Spike trains in the layout of the Spiking Heidelberg Digits."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from neurotorch.data import SpikeTrains, read_spike_trains
from tests.data.files import write_spikes

# Powers of two, which float16 holds exactly.
TIMES = [[0.0, 0.125, 0.25], [], [0.5, 0.4375, 0.4375, 0.75]]
UNITS = [[3, 0, 5], [], [1, 4, 5, 0]]


@pytest.fixture
def path(tmp_path):
    return write_spikes(tmp_path / "x.h5", TIMES, UNITS, [1, 0, 2], speakers=[7, 7, 4], keys=["null", "eins", "zwei"])


@pytest.fixture
def trains(path):
    return read_spike_trains(path, channels=6)


def test_it_reads_what_the_file_holds(trains):
    assert (len(trains), trains.channels, trains.name, trains.part) == (3, 6, "x", None)
    assert trains.labels.tolist() == [1, 0, 2]
    assert trains.speakers.tolist() == [7, 7, 4]
    assert trains.classes == ("null", "eins", "zwei")
    for index, (times, units) in enumerate(zip(TIMES, UNITS, strict=True)):
        train = trains[index]
        assert (train.times.dtype, train.units.dtype) == (torch.float32, torch.int64)
        assert train.times.tolist() == times
        assert train.units.tolist() == units
        assert train.label == [1, 0, 2][index]
    assert trains[-1].label == 2
    with pytest.raises(IndexError):
        trains[3]
    with pytest.raises(TypeError, match="slice"):
        trains[:2]


def test_double_times_stay_double(tmp_path):
    path = write_spikes(tmp_path / "x.h5", [[0.1]], [[0]], [0], time_dtype="float64")
    assert read_spike_trains(path)[0].times.tolist() == [0.1]


def test_a_silent_sample_is_legal(trains):
    assert trains.durations.tolist() == [0.25, 0, 0.75]
    assert [trains.duration(index) for index in range(3)] == [0.25, 0, 0.75]
    assert trains.bin(dt=0.25, steps=4)[1].sum() == 0


def test_a_file_without_speakers_and_keys(tmp_path):
    trains = read_spike_trains(write_spikes(tmp_path / "x.h5", TIMES, UNITS, [3, 0, 3]))
    assert trains.speakers is None
    assert trains.classes == ("0", "1", "2", "3")
    assert read_spike_trains(tmp_path / "x.h5", classes="abcde").classes == tuple("abcde")


def test_speakers_with_names_have_the_same_numbers_in_every_file(tmp_path):
    numbers = {}
    for file, names in (("a.h5", ["eva", "ada", "eva"]), ("b.h5", ["ada", "tom", "eva"])):
        path = write_spikes(tmp_path / file, TIMES, UNITS, [0, 0, 0])
        with h5py.File(path, "a") as stored:
            stored["extra/speaker"] = np.array(names, dtype="S3")
        for name, number in zip(names, read_spike_trains(path).speakers.tolist(), strict=True):
            assert numbers.setdefault(name, number) == number
    assert len(set(numbers.values())) == 3


def test_spikes_are_counted_in_bins(trains):
    counts = trains.bin(dt=0.25, steps=4)
    expected = np.zeros((3, 4, 6), dtype=np.uint8)
    for sample, (times, units) in enumerate(zip(TIMES, UNITS, strict=True)):
        for time, unit in zip(times, units, strict=True):
            expected[sample, int(time // 0.25), unit] += 1
    assert counts.dtype == torch.uint8
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_array_equal(trains.bin(dt=0.25, steps=4, pool=3), expected.reshape(3, 4, 2, 3).sum(3))
    assert expected.reshape(3, 4, 2, 3).sum(3).max() == 2
    np.testing.assert_array_equal(
        trains.bin(dt=0.25, steps=4, pool=3, binary=True), expected.reshape(3, 4, 2, 3).any(3)
    )
    assert trains.bin(dt=0.25, steps=4, dtype=torch.float32).dtype == torch.float32


def test_spikes_beyond_the_window_are_an_error_or_dropped(trains):
    with pytest.raises(ValueError, match=r"Sample 2 of .*x.h5 has 1 spikes beyond the window of 3 steps of 0.25 s, the "
                                         r"last at 0.75 s: use at least 4 steps"):  # fmt: skip
        trains.bin(dt=0.25, steps=3)
    dropped = trains.bin(dt=0.25, steps=3, beyond="drop")
    np.testing.assert_array_equal(dropped, trains.bin(dt=0.25, steps=4)[:, :3])


def test_bins_may_be_equal_parts_of_the_own_length_of_a_sample(tmp_path):
    fast = np.array([0.0, 0.12, 0.34, 0.35, 0.5])
    units = [0, 1, 2, 3, 4]
    lists = [fast.tolist(), (4 * fast).tolist(), []]
    trains = read_spike_trains(write_spikes(tmp_path / "x.h5", lists, [units, units, []], [0, 0, 1]), channels=5)
    counts = trains.bin(dt=None, steps=5)
    expected = np.zeros((5, 5))
    expected[[0, 1, 3, 3, 4], units] = 1  # fifths of 0.5 s; the last spike is in the last of them
    np.testing.assert_array_equal(counts, [expected, expected, np.zeros((5, 5))])


def test_bins_that_do_not_fit_are_refused(trains):
    with pytest.raises(ValueError, match=r"`pool` is 4, but it must divide the 6 channels: one of 1, 2, 3, 6"):
        trains.bin(dt=0.25, steps=4, pool=4)
    with pytest.raises(ValueError, match="`dt` is 0 s"):
        trains.bin(dt=0.0, steps=4)
    with pytest.raises(ValueError, match="`steps` is 0"):
        trains.bin(dt=0.25, steps=0)


def test_a_count_that_does_not_fit_is_an_error(tmp_path):
    trains = read_spike_trains(write_spikes(tmp_path / "x.h5", [[0.0] * 300], [[2] * 300], [0]), channels=3)
    with pytest.raises(ValueError, match="A bin holds 300 spikes, more than torch.uint8 can"):
        trains.bin(dt=1, steps=1)
    assert trains.bin(dt=1, steps=1, dtype=torch.int16).tolist() == [[[0, 0, 300]]]
    assert trains.bin(dt=1, steps=1, binary=True).tolist() == [[[0, 0, 1]]]


def test_selected_samples_keep_their_order_and_their_spikes(trains):
    some = trains.select([2, 0, 2])
    assert some.labels.tolist() == [2, 1, 2]
    assert some.speakers.tolist() == [4, 7, 4]
    assert [train.units.tolist() for train in some] == [UNITS[2], UNITS[0], UNITS[2]]
    np.testing.assert_array_equal(some.bin(dt=0.25, steps=4), trains.bin(dt=0.25, steps=4)[[2, 0, 2]])
    assert some.select([1])[0].units.tolist() == UNITS[0]
    assert trains.select(trains.speakers == 7).labels.tolist() == [1, 0]
    assert len(trains.select([])) == 0
    assert trains.select([]).bin(dt=0.25, steps=4).shape == (0, 4, 6)


def test_two_files_are_put_together(trains, tmp_path):
    other = read_spike_trains(
        write_spikes(tmp_path / "y.h5", [[0.25]], [[2]], [0], speakers=[1], keys=trains.classes), channels=6
    )
    both = other + trains.select([2, 1])
    assert len(both) == 3
    assert both.labels.tolist() == [0, 2, 0]
    assert both.speakers.tolist() == [1, 4, 7]
    assert [train.units.tolist() for train in both] == [[2], UNITS[2], []]
    assert both.name == "y + x"
    assert [path.name for path in both.paths] == ["y.h5", "x.h5"]
    again = SpikeTrains.concatenate((both.select([1]), trains, both))
    assert [train.units.tolist() for train in again] == [UNITS[2], *UNITS, [2], UNITS[2], []]
    np.testing.assert_array_equal(again.bin(dt=0.25, steps=4)[1:4], trains.bin(dt=0.25, steps=4))


def test_loaded_spikes_are_the_same_and_need_no_file(trains, path):
    loaded = trains.load()
    read = trains + trains.select([2, 1])
    both = loaded + loaded.select([2, 1])
    mixed = loaded + trains
    expected, counts = list(read), read.bin(dt=0.25, steps=4)
    assert [train.units.tolist() for train in mixed] == UNITS * 2
    path.unlink()
    for ours, theirs in zip(both, expected, strict=True):
        assert torch.equal(ours.times, theirs.times)
        assert torch.equal(ours.units, theirs.units)
        assert ours.label == theirs.label
    assert torch.equal(both.bin(dt=0.25, steps=4), counts)
    with pytest.raises(FileNotFoundError, match=r"There is no file .*x.h5"):
        trains[0]


def test_data_that_differ_are_not_put_together(trains, tmp_path):
    path = write_spikes(tmp_path / "y.h5", [[0.25]], [[2]], [0])
    with pytest.raises(ValueError, match="`x` has the channels 6 and `y` 700"):
        trains + read_spike_trains(path)
    with pytest.raises(ValueError, match=r"the classes .*'zwei'.* and `y` \('0',\)"):
        trains + read_spike_trains(path, channels=6)
    with pytest.raises(ValueError, match="only one knows its speakers"):
        trains + read_spike_trains(path, channels=6, classes=trains.classes)


def test_it_is_read_in_workers_of_a_loader(trains):
    copied = pickle.loads(pickle.dumps(trains))  # noqa: S301
    loader = DataLoader(copied, batch_size=None, num_workers=1)
    assert [train.units.tolist() for train in loader] == UNITS


@pytest.mark.parametrize(
    ("times", "units", "told"),
    [
        ([-0.25, 0.5], [0, 1], r"Sample 1 of .* has a spike at -0.25 s, and 1 in all"),
        ([0.25, np.nan], [0, 1], r"Sample 1 of .* has a spike at nan s"),
        ([np.inf, np.nan], [0, 1], r"Sample 1 of .* has a spike at inf s, and 2 in all"),
        ([0.25, 0.5], [0, 6], r"Sample 1 of .* has a spike in unit 6, but units are 0..5"),
        ([0.25, 0.5], [0], r"Sample 1 of .* has times of shape \(2,\) and units of shape \(1,\)"),
    ],
)
def test_spikes_that_cannot_be_are_one_error_that_names_the_sample(tmp_path, times, units, told):
    trains = read_spike_trains(write_spikes(tmp_path / "x.h5", [[0.0], times], [[0], units], [0, 0]), channels=6)
    assert trains[0].units.tolist() == [0]
    for use in (lambda: trains[1], lambda: trains.bin(dt=1, steps=1), lambda: trains.durations):
        with pytest.raises(ValueError, match=told):
            use()


def test_labels_outside_of_the_classes(path):
    with pytest.raises(ValueError, match=r"Sample 2 of .*x.h5 has the label 2, and 1 samples .* the 2 classes 0..1"):
        read_spike_trains(path, classes=("a", "b"))


def test_missing_keys_are_named_beside_what_there_is(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["spikes/times"] = [0.0]
        file["answers"] = [0]
    with pytest.raises(ValueError, match=r"holds no 'spikes/units', 'labels', but \['answers', 'spikes', 'spikes/t"):
        read_spike_trains(tmp_path / "x.h5")


def test_lists_of_different_length(tmp_path, path):
    with h5py.File(path, "a") as file:
        del file["labels"]
        file["labels"] = [0, 1]
    with pytest.raises(ValueError, match=r"'spikes/times' 3, 'spikes/units' 3, 'labels' 2, 'extra/speaker' 3"):
        read_spike_trains(path)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("extra/speaker", np.zeros((3, 2), dtype=int), r"'extra/speaker' of .*x.h5 has shape \(3, 2\)"),
        ("extra/keys", b"abc", r"'extra/keys' of .*x.h5 has shape \(\)"),
        ("extra/speaker", None, r"x.h5 cannot be read as spike trains"),
        ("extra/keys", None, r"x.h5 cannot be read as spike trains"),
    ],
)
def test_speakers_and_keys_are_lists(path, key, value, told):
    with h5py.File(path, "a") as file:
        del file[key]
        if value is None:
            file.create_group(key)
        else:
            file[key] = value
    with pytest.raises(ValueError, match=told):
        read_spike_trains(path)


def test_a_file_whose_inside_is_damaged_names_itself(path):
    trains, whole = read_spike_trains(path), path.read_bytes()
    place = whole.index(b"TREE", whole.index(b"TREE") + 1)  # the groups below the first, each a tree of names
    path.write_bytes(whole[:place] + b"\xff" * (len(whole) - place))
    for use in (lambda: trains[0], lambda: read_spike_trains(path)):
        with pytest.raises(ValueError, match=r"x.h5 cannot be read as spike trains in HDF5: it is truncated"):
            use()


def test_a_time_that_no_number_of_steps_reaches_is_named(tmp_path):
    trains = read_spike_trains(write_spikes(tmp_path / "x.h5", [[1e300]], [[0]], [0], time_dtype="float64"))
    with pytest.raises(ValueError, match=r"the last at 1e\+300 s: use at least 1e\+303 steps"):
        trains.bin(dt=1e-3, steps=5)


@pytest.mark.parametrize("size", [0, 100, 2000])
def test_a_truncated_file_names_itself(path, size):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"x.h5 cannot be read as spike trains in HDF5: it is truncated"):
        read_spike_trains(path)


def test_a_file_that_is_missing_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file .*nowhere.h5"):
        read_spike_trains(tmp_path / "nowhere.h5")
