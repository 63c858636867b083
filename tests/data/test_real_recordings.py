"""The real recordings are read as their README describes them."""

from __future__ import annotations

import numpy as np
import pytest

from neurotorch.data import Windows, read

pytestmark = pytest.mark.data


def test_the_zebrafish_regions(data_folder):
    path = data_folder / "zebrafish_regions" / "timeseries_regions_fish1.npy"
    recording = read(path, dt=1.01, axes="neuron,time")
    assert recording.activity.shape == (892, 70)
    np.testing.assert_array_equal(recording.activity, np.load(path).T)
    assert recording.dead().constant == ("17", "34", "49")
    with pytest.raises(ValueError, match=r"70 frames of 892 neurons.*892 frames of 70 neurons"):
        read(path, dt=1.01)


@pytest.mark.parametrize("fish", range(1, 17))
def test_every_fish_can_be_split_scaled_and_cut_into_windows(data_folder, fish):
    path = data_folder / "zebrafish_regions" / f"timeseries_regions_fish{fish}.npy"
    train, test = read(path, dt=1.01, axes="neuron,time").split()
    train = train.drop_dead()
    test = test.select(train.neurons).standardize(fit_on=train)
    assert 64 <= len(train.neurons) <= 69
    assert len(Windows(test, 60)) == 178 - 60 + 1


def test_the_zebrafish_tectum(data_folder):
    path = data_folder / "zebrafish_tectum" / "zf_20151104-f1.mat"
    recording = read(path, dt=1 / 2.2, axes="neuron,time", key="activity_matrix")
    assert recording.activity.shape == (4245, 114)
    assert not recording.dead()
    with pytest.raises(ValueError, match=r"'activity_matrix' \(114, 4245\), 'cell_coordinates' \(114, 2\)"):
        read(path, dt=1 / 2.2, axes="neuron,time")


def test_the_worm(data_folder):
    path = data_folder / "celegans" / "atanas2023_worm_2022-08-02-01.npz"
    recording = read(path, dt=0.6, axes="neuron,time", key="trace_z")
    assert recording.activity.shape == (1600, 98)
    assert recording.neurons[:3] == ("SAADR", "IL1R", "AWAR")
    assert recording.dt == 0.6
    # The file's own clock jitters by 12 per cent and says 0.6016 s.
    assert read(path, axes="neuron,time", key="trace_z").dt == pytest.approx(0.6016, abs=1e-4)
    with pytest.raises(ValueError, match=r"1600 times.*pass axes='neuron,time'"):
        read(path, dt=0.6, axes="time,neuron", key="trace_z")
