import numpy as np
import pytest

from neurotorch.data.recording import Recording
from neurotorch.evaluation import literature_companions, p_variance, prepare_literature, time_shuffled


@pytest.fixture
def recording():
    activity = np.cumsum(np.random.default_rng(0).normal(size=(200, 6)), axis=0)
    activity[:, 3] = 0.0
    return Recording(activity, dt=1.0, neurons=tuple("abcdef"))


def test_dead_rows_go_and_all_neurons_share_one_scale(recording):
    prepared = prepare_literature(recording, sigma=3.0)
    assert prepared.dropped == ("d",)
    assert prepared.neurons == tuple("abcef")
    assert prepared.activity.min() == 0
    assert prepared.activity.max() == 1
    restored = prepared.invert(prepared.activity)
    assert restored.min() == pytest.approx(prepared.minimum)
    raw = prepare_literature(recording, sigma=0.0)
    np.testing.assert_allclose(raw.invert(raw.activity), recording.activity[:, [0, 1, 2, 4, 5]], atol=1e-12)


def test_smoothing_looks_ahead_as_the_literature_does(recording):
    changed = recording.activity.copy()
    changed[150, 0] += 50
    other = Recording(changed, dt=1.0, neurons=recording.neurons)
    one, two = (p.invert(p.activity) for p in map(prepare_literature, (recording, other)))
    assert not np.allclose(one[149], two[149])


def test_companions_are_their_definitions(recording):
    y = prepare_literature(recording, sigma=2.0).activity
    companions = literature_companions(y, rank=2)
    assert companions.own_mean == pytest.approx(1 - y.var(axis=0).mean() / y.var(), rel=1e-12)
    values = np.linalg.eigvalsh(np.cov(y.T, bias=True))[::-1]
    assert companions.static_rank == pytest.approx(1 - values[2:].sum() / y.shape[1] / y.var(), rel=1e-9)
    assert companions.repeated_last_frame == p_variance(y[1:], y[:-1])
    assert companions.to_json()["rank"] == 2
    assert literature_companions(y, rank=5).static_rank == pytest.approx(1, abs=1e-12)


def test_shuffling_keeps_what_is_static_and_takes_the_dynamics(recording):
    y = prepare_literature(recording).activity
    shuffled = time_shuffled(y, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(shuffled, axis=0), np.sort(y, axis=0))
    before, after = literature_companions(y), literature_companions(shuffled)
    assert after.own_mean == pytest.approx(before.own_mean, rel=1e-9)
    assert after.static_rank == pytest.approx(before.static_rank, rel=1e-9)
    assert before.repeated_last_frame > 0.99
    assert after.repeated_last_frame < 0.7
    np.testing.assert_array_equal(shuffled, time_shuffled(y, np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: prepare_literature(r, sigma=-1.0), "`sigma` is -1"),
        (
            lambda r: prepare_literature(Recording(r.activity, dt=1.0, trials=((0, 90), (90, 200)))),
            "2 unbroken segments",
        ),
        (lambda r: prepare_literature(r.select([3])), "dead"),
        (lambda r: literature_companions(np.ones(5)), r"shape \(5,\)"),
        (lambda r: literature_companions(np.full((5, 2), np.nan)), "`activity` holds 10 NaN"),
        (lambda r: literature_companions(r.activity, rank=0), "`rank` is 0"),
    ],
)
def test_errors_say_what_came(recording, call, message):
    with pytest.raises(ValueError, match=message):
        call(recording)


@pytest.mark.data
def test_the_known_numbers_of_fish_one(data_folder):
    activity = np.load(data_folder / "zebrafish_regions" / "timeseries_regions_fish1.npy").T
    recording = Recording(activity, dt=1.01)
    prepared = prepare_literature(recording)
    assert len(prepared.dropped) == 3
    dropped = literature_companions(prepared.activity)
    assert dropped.own_mean == pytest.approx(0.418, abs=5e-4)
    assert dropped.static_rank == pytest.approx(0.908, abs=5e-4)
    assert dropped.repeated_last_frame == pytest.approx(0.9988, abs=5e-5)
    assert literature_companions(prepare_literature(recording, sigma=0.0).activity).own_mean == pytest.approx(
        0.195, abs=5e-4
    )


@pytest.mark.data
@pytest.mark.parametrize(("sigma", "own_mean", "static_rank"), [(0, 0.48, 0.883), (10, 0.733, 0.957)])
def test_dead_rows_kept_flatter_every_companion(data_folder, sigma, own_mean, static_rank):
    # design.md quotes 0.48-0.73 and 0.957: they hold with the three all-zero rows of fish 1 left in
    from scipy.ndimage import gaussian_filter1d

    activity = np.load(data_folder / "zebrafish_regions" / "timeseries_regions_fish1.npy").T
    companions = literature_companions(gaussian_filter1d(activity, sigma, axis=0) if sigma else activity)
    assert companions.own_mean == pytest.approx(own_mean, abs=1e-3)
    assert companions.static_rank == pytest.approx(static_rank, abs=1e-3)
