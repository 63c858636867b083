"""Augmentations of spike trains."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurotorch.core.config import build, describe
from neurotorch.data import SpikeTrain, Transformed, augmentations, read_spike_trains, time_first
from neurotorch.data.augmentations import ChannelShift, DropSpikes, Jitter, TimeStretch
from neurotorch.data.encodings import BinSpikes
from tests.data.files import write_spikes

SPIKES = 4000
ALL = [ChannelShift(20), TimeStretch(0.8, 1.25), Jitter(0.01, 2.0), DropSpikes(0.3)]


def name(augmentation):
    return type(augmentation).__name__


def test_every_augmentation_is_tested_here():
    assert {name(each) for each in ALL} | {"Augmentation"} == set(augmentations.__all__)


@pytest.fixture
def train(generator):
    times = torch.rand(SPIKES, generator=generator, dtype=torch.float64)
    return SpikeTrain(times, torch.randint(0, 700, (SPIKES,), generator=generator), 3)


def with_seed(augmentation, seed):
    fields = {"seed": seed} | {k: v for k, v in vars(augmentation).items() if k not in ("seed", "_randomness")}
    return type(augmentation)(**fields)


@pytest.mark.parametrize("augmentation", ALL, ids=name)
def test_it_follows_from_the_seed_keeps_the_label_and_leaves_the_sample(augmentation, train):
    before = SpikeTrain(train.times.clone(), train.units.clone(), train.label)
    first, again, other = (with_seed(augmentation, seed)(train) for seed in (1, 1, 2))
    assert torch.equal(train.times, before.times)
    assert torch.equal(train.units, before.units)
    assert first.label == 3
    assert (first.times.dtype, first.units.dtype) == (torch.float64, torch.int64)
    assert first.times.shape == first.units.shape
    assert torch.equal(first.times, again.times)
    assert torch.equal(first.units, again.units)
    assert first.times.shape != other.times.shape or not (
        torch.equal(first.times, other.times) and torch.equal(first.units, other.units)
    )


@pytest.mark.parametrize("augmentation", ALL, ids=name)
def test_a_silent_sample_stays_silent(augmentation):
    silent = augmentation(SpikeTrain(torch.zeros(0), torch.zeros(0, dtype=torch.int64), 1))
    assert (len(silent.times), len(silent.units), silent.label) == (0, 0, 1)


@pytest.mark.parametrize("augmentation", ALL, ids=name)
def test_it_is_described_and_built_again(augmentation):
    assert build(describe(augmentation)) == augmentation


def test_all_channels_move_together_and_every_shift_is_equally_likely(train):
    shift, seen = ChannelShift(3), []
    for _ in range(700):
        moved = shift(train)
        by = [k for k in range(-3, 4) if torch.equal(moved.units, (train.units + k)[inside(train.units + k)])]
        assert len(by) == 1
        assert torch.equal(moved.times, train.times[inside(train.units + by[0])])
        seen += by
    counts = np.bincount(np.array(seen) + 3, minlength=7)
    # Chi squared of 6 degrees of freedom: above 30 with a chance of 4e-5.
    assert ((counts - 100) ** 2 / 100).sum() < 30


def inside(units):
    return (units >= 0) & (units < 700)


def test_stretching_multiplies_all_times_by_one_factor(train):
    stretch = TimeStretch(0.8, 1.25)
    factors = []
    for _ in range(300):
        stretched = stretch(train)
        assert torch.equal(stretched.units, train.units)
        ratio = stretched.times / train.times
        torch.testing.assert_close(ratio, ratio[:1].expand(SPIKES))
        factors.append(ratio[0].item())
    assert 0.8 <= min(factors) < 0.82
    assert 1.23 < max(factors) <= 1.25
    assert abs(np.mean(factors) - 1.025) < 4.5 * 0.45 / math.sqrt(12 * 300)


def test_jitter_is_normal_in_time_and_channel():
    still = SpikeTrain(torch.full((SPIKES,), 0.5), torch.full((SPIKES,), 350), 0)
    moved = Jitter(0.01, 3.0)(still)
    late = (moved.times - 0.5).numpy()
    aside = (moved.units - 350).numpy()
    error = 4.5 / math.sqrt(SPIKES)
    assert abs(late.mean()) < 0.01 * error
    assert abs(late.std() / 0.01 - 1) < error / math.sqrt(2)
    assert abs(aside.mean()) < 3 * error
    # Rounding adds the variance 1/12.
    assert abs(aside.var() / (9 + 1 / 12) - 1) < error * math.sqrt(2)
    assert torch.equal(Jitter(0.01)(still).units, still.units)


def test_jitter_leaves_no_negative_time_and_no_channel_that_is_not_there():
    edge = SpikeTrain(torch.zeros(SPIKES), torch.full((SPIKES,), 699), 0)
    moved = Jitter(0.01, 3.0)(edge)
    assert (moved.times >= 0).all()
    assert moved.units.max() == 699
    # Half of them and those that rounding keeps: P(3 g < 0.5).
    expected = 0.5 * (1 + math.erf(0.5 / 3 / math.sqrt(2)))
    assert abs(len(moved.units) / SPIKES - expected) < 4.5 * 0.5 / math.sqrt(SPIKES)


@given(fraction=st.floats(0, 1), seed=st.integers(0, 1000))
def test_spikes_are_dropped_independently(fraction, seed):
    whole = SpikeTrain(torch.arange(SPIKES) / SPIKES, torch.arange(SPIKES) % 700, 0)
    left = DropSpikes(fraction, seed=seed)(whole)
    error = math.sqrt(fraction * (1 - fraction) / SPIKES)
    assert abs(1 - len(left.times) / SPIKES - fraction) <= 6 * error + 1e-12
    rows = torch.searchsorted(whole.times, left.times)
    assert torch.equal(whole.units[rows], left.units)


def test_nothing_is_changed_where_nothing_is_asked_for(train):
    for augmentation in (ChannelShift(0), TimeStretch(1.0, 1.0), Jitter(0.0), DropSpikes(0.0)):
        same = augmentation(train)
        assert torch.equal(same.times, train.times)
        assert torch.equal(same.units, train.units)


def test_they_are_transforms_of_a_data_set(tmp_path):
    times = [[0.125 * k for k in range(8)]] * 5
    path = write_spikes(tmp_path / "x.h5", times, [list(range(8))] * 5, [0, 1, 2, 1, 0])
    trains = read_spike_trains(path, channels=8)
    plain = Transformed(trains, BinSpikes(8, 0.125, channels=8))
    loader = torch.utils.data.DataLoader(plain, batch_size=5, collate_fn=time_first)
    ((batch, labels),) = loader
    np.testing.assert_array_equal(batch.transpose(0, 1), trains.bin(dt=0.125, steps=8))
    assert labels.tolist() == plain.labels.tolist() == [0, 1, 2, 1, 0]
    assert plain.part is None
    shifted = Transformed(trains, ChannelShift(2, channels=8), DropSpikes(0.5), BinSpikes(8, 0.125, channels=8))
    total = sum(shifted[index][0].sum() for index in range(5))
    assert 0 < total < 40


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: ChannelShift(-1), "`largest` is -1"),
        (lambda: ChannelShift(1, 0), "`channels` is 0"),
        (lambda: TimeStretch(0.0, 1.0), "`shortest` is 0"),
        (lambda: TimeStretch(1.2, 0.8), "`shortest` is 1.2, more than `longest`, 0.8"),
        (lambda: Jitter(-0.1), "`time` is -0.1"),
        (lambda: Jitter(0.1, math.nan), "`spread` is nan"),
        (lambda: DropSpikes(1.5), "lies in 0..1"),
    ],
)
def test_what_cannot_be_is_refused(call, told):
    with pytest.raises(ValueError, match=told):
        call()
