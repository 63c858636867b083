"""Encodings against their formula, written out for single values, and their statistics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from neurotorch.core.config import build, describe
from neurotorch.data import Images, SpikeTrain, Transformed, encodings, time_first
from neurotorch.data.encodings import (
    BinSpikes,
    Delta,
    DirectCurrent,
    Latency,
    LinearLatency,
    LinearPeriods,
    Poisson,
    Population,
    Rate,
)

ALL = [
    DirectCurrent(7, gain=2.0),
    Poisson(7, 0.01, max_rate=50.0),
    Rate(7, gain=0.5),
    Latency(7, 0.01),
    LinearLatency(7),
    LinearPeriods(7),
    Population(4, Latency(7, 0.01)),
]
DRAWN = [Poisson(50, 0.01), Rate(50)]


def name(encoding):
    return type(encoding).__name__


def test_every_encoding_is_tested_here():
    assert {name(each) for each in ALL} | {"BinSpikes", "Delta", "Encoding"} == set(encodings.__all__)


@pytest.mark.parametrize("encoding", ALL, ids=name)
def test_a_sample_and_a_batch_of_any_shape_become_time_first(encoding, generator):
    values = torch.rand(5, 4, 3, generator=generator)
    width = 4 * 12 if isinstance(encoding, Population) else 12
    assert encoding(values[0]).shape == (7, width)
    whole = encoding.batch(values)
    assert whole.shape == (7, 5, width)
    assert whole.dtype == torch.float32
    assert encoding.batch(values[:0]).shape == (7, 0, width)
    assert encoding.batch(values.double()).dtype == torch.float64
    if encoding not in (ALL[1], ALL[2]):  # each drawn for itself
        torch.testing.assert_close(torch.stack([encoding(value) for value in values], 1), whole, rtol=0, atol=0)


@pytest.mark.parametrize("encoding", ALL, ids=name)
def test_grey_levels_are_fractions_of_255(encoding, generator):
    pixels = torch.randint(0, 256, (2, 3, 3), generator=generator, dtype=torch.uint8)
    first, second = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    torch.testing.assert_close(
        encoding.batch(pixels, generator=first), encoding.batch(pixels.float() / 255, generator=second), rtol=0, atol=0
    )


@pytest.mark.parametrize("encoding", [*ALL, Delta(0.5)], ids=name)
def test_an_encoding_is_described_and_built_again(encoding):
    assert build(describe(encoding)) == encoding


@pytest.mark.parametrize("encoding", DRAWN, ids=name)
def test_what_is_drawn_follows_from_the_seed(encoding):
    values = torch.full((20,), 0.5)
    new = type(encoding)
    first, again, other = new(50, seed=1), new(50, seed=1), new(50, seed=2)
    drawn = first(values)
    assert torch.equal(drawn, again(values))
    assert not torch.equal(drawn, other(values))
    assert not torch.equal(drawn, first(values))  # it goes on
    handed = [first(values, generator=torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*handed)


def test_workers_draw_different_numbers_that_can_be_repeated():
    images = Images(torch.full((8, 4, 4), 128, dtype=torch.uint8), torch.zeros(8, dtype=torch.int64), ("a",))
    data = Transformed(images, Rate(20))

    def epochs():
        loader = DataLoader(
            data, batch_size=2, num_workers=2, collate_fn=time_first, generator=torch.Generator().manual_seed(0)
        )
        return [[batch for batch, _ in loader] for _ in range(2)]

    first, again = epochs(), epochs()
    for ours, theirs in zip(first, again, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    samples = [sample for epoch in first for batch in epoch for sample in batch.unbind(1)]
    assert len(samples) == 16
    assert len({tuple(sample.flatten().tolist()) for sample in samples}) == 16


def test_a_direct_current_is_the_value_at_all_steps():
    values = torch.tensor([[-1.0, 0.5], [2.0, 0.0]])
    current = DirectCurrent(3, gain=2.0).batch(values)
    np.testing.assert_array_equal(current, np.stack([[[-2, 1], [4, 0]]] * 3))


@pytest.mark.parametrize(
    ("encoding", "probability"),
    [
        (Poisson(4000, 0.002, max_rate=200.0), lambda x: 1 - math.exp(-200 * x * 0.002)),
        (Rate(4000, gain=0.8), lambda x: 0.8 * x),
        (Rate(4000, gain=3.0), lambda x: min(3.0 * x, 1)),
    ],
    ids=["Poisson", "Rate", "Rate saturated"],
)
def test_spikes_come_as_often_as_they_should_and_independently(encoding, probability):
    values = torch.tensor([0.0, 0.1, 0.3, 0.6, 1.0])
    spikes = encoding(values.repeat_interleave(20))
    assert set(spikes.unique().tolist()) <= {0.0, 1.0}
    spikes = spikes.reshape(4000, 5, 20).numpy()
    for place, value in enumerate(values.tolist()):
        p, trains = probability(value), spikes[:, place].astype(np.float64)
        error = math.sqrt(p * (1 - p) / trains.size)
        assert abs(trains.mean() - p) <= 4.5 * error  # two-sided chance 7e-6, and the seed is fixed
        if 0 < p < 1:
            lagged = ((trains[1:] - p) * (trains[:-1] - p)).mean() / (p * (1 - p))
            assert abs(lagged) < 4.5 / math.sqrt(trains.size)


def test_latency_is_that_of_a_leaky_integrator_by_simulation():
    encoding, values = Latency(100, 1e-3, tau=20e-3, threshold=0.2), np.linspace(0, 1, 41)
    spikes = encoding(torch.tensor(values)).numpy()
    fine = 1e-6
    for place, value in enumerate(values):
        # The exact solution of tau v' = -v + x on a fine grid: the first time at or above the threshold.
        times = np.arange(0, 0.1, fine)
        reached = np.flatnonzero(value * -np.expm1(-times / 20e-3) >= 0.2)
        steps = np.flatnonzero(spikes[:, place])
        if len(reached) == 0:
            assert len(steps) == 0
        else:
            exact = times[reached[0]]
            assert len(steps) == 1
            assert steps[0] * 1e-3 - fine <= exact <= (steps[0] + 1) * 1e-3 + fine
    assert spikes.sum() == (values > 0.2).sum()


def test_latencies_beyond_the_window_are_silent():
    values = torch.tensor([0.2, 0.201, 0.3, 1.0])
    assert Latency(30, 1e-3)(values).sum(0).tolist() == [0, 0, 1, 1]  # 20 ms ln(201) = 106 ms, ln 3 = 22 ms


def test_linear_latency_has_one_spike_for_each_value():
    values = torch.tensor([1.0, 0.75, 0.5, 0.25, 0.01, 0.0])
    spikes = LinearLatency(5)(values)
    assert spikes.sum(0).tolist() == [1, 1, 1, 1, 1, 0]
    assert spikes.argmax(0)[:5].tolist() == [0, 1, 2, 3, 4]
    assert LinearLatency(5, silent_zero=False)(values).sum(0).tolist() == [1] * 6


@pytest.mark.parametrize("value", [0.01, 0.2, 0.5, 0.77, 0.9, 1.0])
def test_periods_are_linear_in_the_value(value):
    encoding = LinearPeriods(200, 2.0, longest=40.0)
    steps = np.flatnonzero(encoding(torch.tensor([value], dtype=torch.float64)))
    period = 40 - 38 * value
    assert len(steps) == math.floor(200 / period)
    # The k-th period ends within step ceil(k period) - 1.
    np.testing.assert_array_equal(steps, [math.ceil(k * period) - 1 for k in range(1, len(steps) + 1)])


def test_the_extreme_periods():
    spikes = LinearPeriods(10)(torch.tensor([1.0, 0.0]))
    assert spikes[:, 0].tolist() == [1] * 10
    assert spikes[:, 1].sum() == 0
    assert LinearPeriods(10, silent_zero=False)(torch.tensor([0.0]))[:, 0].tolist() == [0] * 9 + [1]


def test_receptive_fields_are_those_of_the_paper():
    encoding = Population(6, DirectCurrent(2), low=-1.0, high=3.0, beta=2.0)
    values = torch.tensor([[0.3, -1.0], [5.0, 1.0]], dtype=torch.float64)
    seen = encoding.batch(values)
    assert encoding.steps == 2
    for sample in range(2):
        for channel in range(2):
            for i in range(1, 7):
                centre = -1 + (2 * i - 3) / 2 * 4 / 4
                expected = math.exp(-((values[sample, channel].item() - centre) ** 2) / (2 * (4 / (2 * 4)) ** 2))
                assert seen[0, sample, channel * 6 + i - 1].item() == pytest.approx(expected, rel=1e-12)


def test_a_population_of_latencies_spikes_first_where_the_value_is():
    spikes = Population(5, LinearLatency(50))(torch.tensor([0.5]))
    assert spikes.argmax(0).argmin() == 2
    assert spikes[0, 2] == 1


def test_delta_events_give_the_signal_back(generator):
    signal = torch.cumsum(torch.randn(60, 3, generator=generator, dtype=torch.float64), 0)
    events = Delta(0.25)(signal)
    assert events.shape == (60, 6)
    on, off = events[:, :3], events[:, 3:]
    assert (on * off).sum() == 0
    followed = signal[0] + 0.25 * torch.cumsum(on - off, 0)
    # At most one threshold away, to rounding.
    assert (signal - followed).abs().max() < 0.25 * (1 + 1e-9)
    assert torch.equal(Delta(0.25, binary=True)(signal), events.clamp(max=1))


def test_delta_counts_the_thresholds_that_are_crossed():
    signal = torch.tensor([[0.0], [0.5], [0.75], [2.0], [1.5], [-0.25]])
    np.testing.assert_array_equal(Delta(0.5)(signal), [[0, 0], [1, 0], [0, 0], [3, 0], [0, 1], [0, 3]])
    assert Delta(0.5).batch(torch.stack([signal, -signal])).shape == (6, 2, 2)
    assert Delta(100.0)(torch.tensor([[0], [255]], dtype=torch.uint8)).sum() == 0  # bytes are fractions here, too


def test_events_are_binned():
    train = SpikeTrain(torch.tensor([0.0, 0.25, 0.3, 0.99]), torch.tensor([0, 3, 2, 3]), 1)
    binned = BinSpikes(4, 0.25, channels=4)(train)
    expected = np.zeros((4, 4))
    for step, unit in ((0, 0), (1, 3), (1, 2), (3, 3)):
        expected[step, unit] += 1
    np.testing.assert_array_equal(binned, expected)
    np.testing.assert_array_equal(BinSpikes(4, 0.25, channels=4, pool=2)(train), expected.reshape(4, 2, 2).sum(2))
    assert BinSpikes(4, 0.25, channels=4, pool=2, binary=True)(train).max() == 1
    assert BinSpikes(4, 0.25, channels=4).batch([train, train, train]).shape == (4, 3, 4)
    assert build(describe(BinSpikes(4, 0.25))) == BinSpikes(4, 0.25)
    with pytest.raises(ValueError, match="The sample has 1 spikes beyond the window of 3 steps"):
        BinSpikes(3, 0.25, channels=4)(train)
    with pytest.raises(ValueError, match="unit 3, but units are 0..1"):
        BinSpikes(4, 0.25, channels=2)(train)
    silent = SpikeTrain(torch.zeros(0), torch.zeros(0, dtype=torch.int64), 0)
    assert BinSpikes(4, 0.25, channels=4)(silent).sum() == 0


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: Poisson(5)(torch.tensor([1.5])), "reaches from 1.5 to 1.5, but Poisson takes values in 0..1"),
        (lambda: Rate(5)(torch.tensor([-0.1, 0.1])), "Rate takes values in 0..1"),
        (lambda: DirectCurrent(5)(torch.tensor([0.0, math.nan])), "`samples` holds 1 NaN or infinite values"),
        (lambda: Delta(0.5)(torch.zeros(5)), r"Delta takes \(batch, time, channel\)"),
        (lambda: DirectCurrent(0), "`steps` is 0"),
        (lambda: DirectCurrent(5, math.inf), "`gain` holds 1 NaN or infinite"),
        (lambda: Poisson(5, -1.0), "`dt` is -1 s"),
        (lambda: Poisson(5, seed=-1), "`seed` is -1"),
        (lambda: Rate(5, 0.0), "`gain` is 0"),
        (lambda: Latency(5, threshold=1.0), "all would be silent"),
        (lambda: LinearPeriods(5, 0.5), "periods must be 1 <= shortest"),
        (lambda: LinearPeriods(5, 6.0), "`longest` 5"),
        (lambda: Population(2, Rate(5)), "`neurons` is 2"),
        (lambda: Population(3, Rate(5), low=1.0, high=1.0), "`high - low` is 0"),
        (lambda: Population(3, Delta(0.5)), "`then` is Delta"),
        (lambda: Delta(0.0), "`threshold` is 0"),
        (lambda: BinSpikes(5, 0.1, pool=3), "`pool` is 3"),
    ],
)
def test_what_cannot_be_encoded_is_refused(call, told):
    with pytest.raises(ValueError, match=told):
        call()


def test_a_population_takes_an_encoding_and_not_its_class():
    with pytest.raises(TypeError, match="`then` is the class Latency"):
        Population(3, Latency)
