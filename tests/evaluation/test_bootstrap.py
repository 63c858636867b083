import numpy as np
import pytest
from scipy.signal import lfilter

from neurotorch.evaluation.bootstrap import _resampled_sums, autocorrelation_time, block_length, ratio_interval


def autoregressive(rng, frames, coefficient):
    return lfilter([np.sqrt(1 - coefficient**2)], [1, -coefficient], rng.normal(size=frames + 500))[500:]


def losses(rng, frames, coefficient):
    """Two losses with an expected ratio of 0.8, so a skill of 0.2."""
    x, y = (autoregressive(rng, frames, coefficient) for _ in range(2))
    return x**2, (x + 0.5 * y) ** 2


@pytest.mark.parametrize("coefficient", [0.0, 0.5, 0.9])
def test_autocorrelation_time_of_an_autoregression_is_the_known_one(coefficient):
    series = autoregressive(np.random.default_rng(0), 100_000, coefficient)
    assert autocorrelation_time(series) == pytest.approx((1 + coefficient) / (1 - coefficient), rel=0.1)


def test_sums_over_blocks_equal_the_frames_gathered_one_by_one():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 23))
    sums_a, sums_b = _resampled_sums(a, b, 5, 40, np.random.default_rng(9))
    starts = np.random.default_rng(9).integers(23, size=(40, 5))
    frames = ((starts[:, :, None] + np.arange(5)) % 23).reshape(40, 25)[:, :23]
    np.testing.assert_allclose(sums_a, a[frames].sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(sums_b, b[frames].sum(axis=1), rtol=1e-12)


def test_intervals_cover_the_true_skill_about_as_often_as_they_say():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        interval = ratio_interval(*losses(rng, 800, 0.6), generator=rng, resamples=400)
        inside += interval.low <= 0.2 <= interval.high
    assert 0.88 <= inside / 200 <= 0.99  # nominal 0.95; three standard errors of 200 runs are 0.05


def test_independent_frames_would_give_too_narrow_an_interval():
    rng = np.random.default_rng(2)
    a, b = losses(rng, 2000, 0.9)
    single = ratio_interval(a, b, generator=np.random.default_rng(0), block=1)
    blocks = ratio_interval(a, b, generator=np.random.default_rng(0))
    assert blocks.high - blocks.low > 1.5 * (single.high - single.low)


def test_the_same_seed_gives_the_same_interval_and_it_ignores_units():
    a, b = losses(np.random.default_rng(3), 100, 0.5)
    first = ratio_interval(a, b, generator=np.random.default_rng(5))
    second = ratio_interval(a * 4, b * 4, generator=np.random.default_rng(5))
    assert first == second


def test_equal_losses_have_a_skill_of_exactly_zero():
    a, _ = losses(np.random.default_rng(3), 100, 0.5)
    interval = ratio_interval(a, a, generator=np.random.default_rng(5))
    assert interval.low == interval.high == 0


def test_blocks_are_longer_than_the_horizon_and_leave_at_least_five():
    a, b = losses(np.random.default_rng(3), 1000, 0.5)
    assert block_length(a, b, horizon=16) == 15 + block_length(a, b, horizon=1)
    assert block_length(a[:40], b[:40], horizon=16) == 8


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.ones(20), np.ones(19)), {}, r"\(20,\) and `reference` \(19,\)"),
        ((np.ones(5), np.ones(5)), {}, "5 frames are too few"),
        ((np.full(20, np.nan), np.ones(20)), {}, "`error` holds 20 NaN"),
        ((np.ones(20), np.zeros(20)), {}, "sums to 0"),
        ((np.ones(20), np.ones(20)), {"level": 95.0}, "`level` is 95"),
        ((np.ones(20), np.ones(20)), {"block": 0}, "`block` is 0"),
    ],
)
def test_errors_say_what_came(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        ratio_interval(*arguments, generator=np.random.default_rng(0), **options)
