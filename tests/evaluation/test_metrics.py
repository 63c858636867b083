import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import r2_score

from neurotorch.evaluation.metrics import p_variance, p_variance_per_neuron, r_squared, r_squared_per_neuron, skill


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(50, 4)) * [1, 2, 3, 4] + [0, 5, -5, 1]
    return target, target + rng.normal(size=(50, 4))


def test_scores_agree_with_scikit_learn(pair):
    target, prediction = pair
    assert p_variance(target, prediction) == pytest.approx(r2_score(target.ravel(), prediction.ravel()), rel=1e-12)
    each = r2_score(target, prediction, multioutput="raw_values")
    np.testing.assert_allclose(p_variance_per_neuron(target, prediction), each, rtol=1e-12)
    mean = target.mean(axis=0)
    np.testing.assert_allclose(r_squared_per_neuron(target, prediction, reference=mean), each, rtol=1e-12)
    pooled = r2_score(target, prediction, multioutput="variance_weighted")
    assert r_squared(target, prediction, reference=mean) == pytest.approx(pooled, rel=1e-12)


def test_own_mean_scores_zero_per_neuron_and_flatters_globally(pair):
    target, _ = pair
    mean = np.broadcast_to(target.mean(axis=0), target.shape)
    np.testing.assert_allclose(p_variance_per_neuron(target, mean), 0, atol=1e-12)
    assert r_squared(target, mean, reference=target.mean(axis=0)) == pytest.approx(0, abs=1e-12)
    assert p_variance(target, mean) > 0.5


def test_drift_counts_as_skill_only_around_another_mean(pair):
    target, _ = pair
    mean = np.broadcast_to(target.mean(axis=0), target.shape)
    assert r_squared(target, mean, reference=target.mean(axis=0) - 3) > 0.3


def test_frames_with_an_unknown_target_are_left_out(pair):
    target, prediction = pair
    gappy = target.copy()
    gappy[7, 2] = np.nan
    kept = np.arange(50) != 7
    assert p_variance(gappy, prediction) == p_variance(target[kept], prediction[kept])
    assert skill(gappy, prediction, 0 * target) == skill(target[kept], prediction[kept], 0 * target[kept])


@settings(deadline=None, max_examples=30)
@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3), seed=st.integers(0, 1000))
def test_scores_have_no_unit(scale, shift, seed):
    rng = np.random.default_rng(seed)
    target, prediction, baseline = rng.normal(size=(3, 20, 3))
    moved = [x * scale + shift for x in (target, prediction, baseline)]
    # shifting by 1e3 at a scale of 1e-3 costs six digits, squared
    assert p_variance(*moved[:2]) == pytest.approx(p_variance(target, prediction), rel=1e-6)
    assert skill(*moved) == pytest.approx(skill(target, prediction, baseline), rel=1e-6, abs=1e-6)
    reference = moved[0].mean(axis=0)
    expected = r_squared(target, prediction, reference=target.mean(axis=0))
    assert r_squared(*moved[:2], reference=reference) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_skill_is_zero_for_the_baseline_and_one_for_the_truth(pair):
    target, prediction = pair
    assert skill(target, prediction, prediction) == 0
    assert skill(target, target, prediction) == 1


ONES = np.ones((4, 2))
VARYING = np.arange(8.0).reshape(4, 2)
HALF = np.column_stack([np.arange(4.0), np.full(4, 0.1)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: p_variance(np.ones(4), np.ones(4)), r"shape \(4,\).*\(frame, neuron\)"),
        (
            lambda: p_variance(VARYING, np.ones((2, 4))),
            r"`prediction` has the shape \(2, 4\) but `target` has \(4, 2\)",
        ),
        (lambda: p_variance(VARYING, VARYING * np.nan), "8 places.*first at frame 0, neuron 0"),
        (lambda: p_variance(VARYING * np.nan, VARYING), "no frame without NaN"),
        (lambda: p_variance(VARYING * np.inf, VARYING), "`target` holds"),
        (lambda: p_variance(0.1 * ONES, ONES), "drop_dead"),
        (lambda: p_variance_per_neuron(HALF, HALF), "neuron 1 is constant"),
        (lambda: p_variance_per_neuron(HALF, HALF, neurons=["AVAL", "RIML"]), "'RIML' is constant"),
        (lambda: r_squared(VARYING, VARYING, reference=np.ones(3)), r"`reference` has the shape \(3,\)"),
        (lambda: r_squared(VARYING, VARYING, reference=[np.nan, 0]), "`reference` holds NaN"),
        (lambda: r_squared(0.1 * ONES, ONES, reference=(0.1 * ONES).mean(axis=0)), "R\\^2 means nothing"),
        (lambda: r_squared_per_neuron(HALF, HALF, reference=HALF.mean(axis=0)), "neuron 1 is constant"),
        (lambda: skill(VARYING, ONES, VARYING), "without any error"),
        (lambda: skill(VARYING, ONES, np.ones((4, 3))), "`baseline` has the shape"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in multiply:RuntimeWarning")
def test_errors_say_what_came(call, message):
    with pytest.raises(ValueError, match=message):
        call()
