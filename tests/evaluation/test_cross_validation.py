import numpy as np
import pytest

from neurotorch.data.recording import Recording
from neurotorch.evaluation import Mean, Persistence, best_setting, cross_validate, rolling_origin


@pytest.fixture
def walk():
    return Recording(np.cumsum(np.random.default_rng(0).normal(size=(100, 3)), axis=0), dt=0.1)


def test_folds_tile_the_second_half_and_fit_only_on_the_past(walk):
    folds = rolling_origin(walk, folds=3)
    assert [(fold.start, fold.recording.frames) for fold in folds] == [(50, 67), (67, 83), (83, 100)]
    for fold in folds:
        np.testing.assert_array_equal(fold.fit_part().activity, walk.activity[: fold.start])


def test_the_error_of_persistence_is_the_mean_squared_increment(walk):
    errors = cross_validate(walk, lambda part: {"last": Persistence().fit(part)}, horizons=(1, 2))["last"]
    variance = walk.activity.var(axis=0)
    for horizon, error in zip((1, 2), errors, strict=True):
        squared = []
        for start, stop in ((50, 67), (67, 83), (83, 100)):
            target = np.arange(start + horizon, stop)
            squared.append((walk.activity[target] - walk.activity[target - horizon]) ** 2)
        assert error == pytest.approx((np.concatenate(squared) / variance).mean(), rel=1e-12)


def test_no_fit_sees_a_frame_that_is_scored(walk):
    seen = []

    def candidates(part):
        seen.append(part.frames)
        return {"mean": Mean().fit(part)}

    cross_validate(walk, candidates)
    assert seen == [50, 67, 83]


def test_what_lies_after_a_recording_cannot_change_a_choice(walk):
    train = walk.window(0, 80)
    longer = walk.activity.copy()
    longer[80:] = 1e6
    other = Recording(longer, dt=0.1).window(0, 80)

    def candidates(part):
        return {"mean": Mean().fit(part), "last": Persistence().fit(part)}

    one, two = cross_validate(train, candidates), cross_validate(other, candidates)
    for key in one:
        np.testing.assert_array_equal(one[key], two[key])
    assert best_setting(one) == "last"


def test_a_constant_neuron_has_no_weight(walk):
    with_constant = Recording(np.column_stack([walk.activity, np.full(100, 0.3)]), dt=0.1)
    fit = {"last": Persistence(), "mean": Mean()}
    with_it, without = (
        cross_validate(r, lambda part: {k: b.fit(part) for k, b in fit.items()}) for r in (with_constant, walk)
    )
    for name in fit:
        np.testing.assert_allclose(with_it[name], without[name], rtol=1e-12)


def test_horizons_that_no_fold_holds_are_nan_and_do_not_decide(walk):
    errors = cross_validate(walk, lambda part: {"last": Persistence().fit(part)}, horizons=(1, 40))["last"]
    assert np.isfinite(errors[0])
    assert np.isnan(errors[1])
    assert best_setting({"worse": errors + 1, "last": errors}) == "last"


def test_a_setting_that_explodes_is_not_chosen_and_none_left_is_an_error(walk):
    class Explodes:
        def forecast(self, recording, origins, steps):
            return np.full((len(origins), steps, 3), np.inf)

    errors = cross_validate(walk, lambda part: {"explodes": Explodes(), "last": Persistence().fit(part)})
    assert best_setting(errors) == "last"
    with pytest.raises(ValueError, match="none of the 1 settings gave finite forecasts"):
        best_setting({"explodes": errors["explodes"]})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"folds": 0}, ValueError, "`folds` is 0"),
        ({"folds": 40}, ValueError, "100 frames, but 40 folds"),
        ({"first": 2.0}, ValueError, "`first` is 2"),
    ],
)
def test_errors_say_what_came(walk, options, error, message):
    with pytest.raises(error, match=message):
        rolling_origin(walk, **options)
