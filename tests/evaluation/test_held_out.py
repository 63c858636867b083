import json

import numpy as np
import pytest

from neurotorch.data.recording import Recording
from neurotorch.evaluation import (
    HorizonScore,
    Mean,
    Persistence,
    Unscored,
    evaluate_held_out,
    fit_baselines,
    r_squared,
    skill,
    verdict,
)
from neurotorch.evaluation import held_out as module
from neurotorch.evaluation.score import HeldOut, Skill

START = 320


class Oracle:
    """Knows the future, up to noise; scored as any other forecaster."""

    def __init__(self, activity, noise):
        self.activity, self.noise = activity, noise

    def forecast(self, recording, origins, steps):
        frames = np.minimum(origins[:, None] + np.arange(1, steps + 1), recording.frames - 1)
        rng = np.random.default_rng(0)
        return self.activity[frames] + self.noise * rng.normal(size=(*frames.shape, self.activity.shape[1]))


@pytest.fixture(scope="module")
def recording(small):
    return small.standardize(fit_on=small.window(0, START))


@pytest.fixture(scope="module")
def baselines(recording):
    return fit_baselines(recording.window(0, START))


@pytest.fixture(scope="module")
def scored(recording, baselines):
    model = Oracle(recording.activity, 0.1)
    return evaluate_held_out(
        recording, START, forecaster=model, baselines=baselines, without_connections=baselines["ar"]
    )


@pytest.mark.parametrize("horizon", [1, 4, 8, 16])
def test_the_definition_written_as_a_loop(recording, baselines, horizon):
    model = baselines["ridge_var"]
    score = evaluate_held_out(recording, START, forecaster=model, baselines=baselines).horizons[horizon]
    targets, predictions, others = [], [], {name: [] for name in baselines}
    for o in range(START, recording.frames - horizon):
        targets.append(recording.activity[o + horizon])
        predictions.append(model.forecast(recording, np.array([o]), horizon)[0, -1])
        for name, baseline in baselines.items():
            others[name].append(baseline.forecast(recording, np.array([o]), horizon)[0, -1])
    y, p = np.array(targets), np.array(predictions)
    held_out, train = recording.activity[START:], recording.activity[:START][recording.valid[:START]]
    error = ((y - p) ** 2).sum()
    assert score.forecasts == recording.frames - START - horizon
    assert score.r2 == pytest.approx(1 - error / ((y - held_out.mean(axis=0)) ** 2).sum(), rel=1e-9)
    assert score.r2_training_mean == pytest.approx(1 - error / ((y - train.mean(axis=0)) ** 2).sum(), rel=1e-9)
    each = 1 - ((y - p) ** 2).sum(axis=0) / ((y - held_out.mean(axis=0)) ** 2).sum(axis=0)
    assert score.r2_neuron_median == pytest.approx(np.median(each), rel=1e-9)
    r2 = {name: r_squared(y, np.array(b), reference=held_out.mean(axis=0)) for name, b in others.items()}
    assert dict(score.baselines) == pytest.approx(r2, rel=1e-9)
    best = max(r2, key=lambda name: r2[name])
    assert score.skill.over == best
    assert score.skill.value == pytest.approx(skill(y, p, np.array(others[best])), rel=1e-9, abs=1e-12)


def test_origins_and_targets_are_held_out_and_share_a_segment():
    activity = np.random.default_rng(0).normal(size=(100, 2))
    missing = np.zeros(100, dtype=bool)
    missing[85] = True
    recording = Recording(activity, dt=0.1, trials=((0, 75), (75, 100)), missing=missing)

    class Records:
        origins = None

        def forecast(self, recording, origins, steps):
            self.origins = origins
            return np.zeros((len(origins), steps, 2))

    model = Records()
    result = evaluate_held_out(recording, 70, forecaster=model, baselines={}, horizons=(4,))
    # held-out segments: 70..74, 75..84, 86..99
    assert list(model.origins) == [70, *range(75, 81), *range(86, 96)]
    assert result.frames == 29
    assert result.horizons[4].forecasts == 17


def test_json_is_the_object_of_the_report(scored):
    report = json.loads(json.dumps(scored.to_json(), allow_nan=False))
    assert report["frames"] == 80
    assert list(report["horizons"]) == ["1", "4", "8", "16"]
    for score in report["horizons"].values():
        assert {"r2", "r2_training_mean", "r2_neuron_median", "without_connections", "skill"} <= set(score)
        assert list(score["baselines"]) == ["mean", "persistence", "ar", "ar_direct", "ridge_var", "low_rank"]
        low, high = score["skill"]["interval"]
        assert low <= score["skill"]["value"] <= high
        assert score["connections"]["over"] == "without_connections"


def test_without_a_refit_its_fields_are_null(recording, baselines):
    result = evaluate_held_out(recording, START, forecaster=baselines["ar"], baselines=baselines)
    score = result.to_json()["horizons"]["4"]
    assert score["without_connections"] is None
    assert score["connections"] is None
    assert "was not measured" in verdict(result)


def test_the_same_forecasts_have_no_skill_over_themselves(recording, baselines):
    result = evaluate_held_out(
        recording, START, forecaster=baselines["ar"], baselines={"ar": baselines["ar"]}, horizons=(1,)
    )
    over = result.horizons[1].skill
    assert (over.value, over.interval.low, over.interval.high) == (0, 0, 0)


def test_forecasts_made_in_blocks_are_the_same(recording, baselines, monkeypatch):
    options = {"forecaster": baselines["ridge_var"], "baselines": baselines}
    whole = evaluate_held_out(recording, START, **options).to_json()
    monkeypatch.setattr(module, "VALUES_AT_ONCE", 16 * 5 * 7)
    assert evaluate_held_out(recording, START, **options).to_json()["horizons"]["8"]["r2"] == pytest.approx(
        whole["horizons"]["8"]["r2"], rel=1e-12
    )


def test_a_horizon_longer_than_the_held_out_part_is_null_with_a_reason(recording):
    train = recording.window(0, 390)
    baselines = {"mean": Mean().fit(train), "persistence": Persistence().fit(train)}
    result = evaluate_held_out(recording, 390, forecaster=baselines["mean"], baselines=baselines, horizons=(1, 16))
    assert isinstance(result.horizons[1], HorizonScore)
    assert isinstance(result.horizons[16], Unscored)
    null = result.to_json()["horizons"]["16"]
    assert null["r2"] is None
    assert null["baselines"] == {"mean": None, "persistence": None}
    assert "16 frames ahead" in null["reason"]
    assert result.to_json()["horizons"]["1"]["skill"]["interval"] is None  # nine forecasts
    assert "too short to score 16 frames ahead" in verdict(result)


def test_a_neuron_that_changes_by_rounding_alone_has_no_score_of_its_own(recording, baselines):
    activity = recording.activity.copy()
    activity[START:, 2] = 0.3 + 5.6e-17 * (np.arange(recording.frames - START) % 2)
    assert np.ptp(activity[START:, 2]) > 0
    rounded = Recording(activity, recording.dt, trials=recording.trials, missing=recording.missing)
    score = evaluate_held_out(rounded, START, forecaster=baselines["ar"], baselines=baselines).horizons[4]
    assert np.isnan(score.r2_per_neuron).tolist() == [False, False, True, False, False]


def test_a_neuron_that_is_silent_on_held_out_time_does_not_stop_the_report(recording):
    activity = np.where(np.isnan(recording.activity), 0, recording.activity)
    activity[START:, 1] = 0.25
    silent = Recording(activity, dt=0.5)
    model = Persistence().fit(silent)
    score = evaluate_held_out(silent, START, forecaster=model, baselines={}).horizons[1]
    assert np.isnan(score.r2_per_neuron[1])
    assert np.isfinite(score.r2_neuron_median)


class Returns:
    def __init__(self, value, shape=None):
        self.value, self.shape = value, shape

    def forecast(self, recording, origins, steps):
        return np.full(self.shape or (len(origins), steps, recording.activity.shape[1]), self.value)


@pytest.mark.parametrize(
    ("start", "options", "message"),
    [
        (400, {}, "`start` is 400, but the recording ends after 400 frames"),
        (0, {}, "`start` is 0"),
        (START, {"horizons": (0,)}, "`horizons` is 0"),
        (START, {"forecaster": Returns(np.nan)}, "the model gave 395 NaN .* from frame 320 for neuron '0'"),
        (START, {"without_connections": Returns(np.inf)}, "the model without connections gave"),
        (START, {"baselines": {"ar_direct": Returns(np.nan)}}, "the baseline 'ar_direct' gave.*horizons="),
        (START, {"forecaster": Returns(0.0, (3, 2))}, r"forecast the shape \(3, 2\), but 79 origins, 16 steps and 5"),
    ],
)
def test_errors_say_what_came(recording, start, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate_held_out(recording, start, **{"forecaster": Returns(0.0), "baselines": {}, **options})


def test_a_neuron_with_nan_and_a_training_part_without_frames_are_refused(recording):
    activity = np.where(np.isnan(recording.activity), 0, recording.activity)
    late = Recording(activity, dt=0.5, trials=((350, 400),))
    with pytest.raises(ValueError, match="the training part, split at frame 320, has no valid frame"):
        evaluate_held_out(late, START, forecaster=Returns(0.0), baselines={})
    activity[390, 2] = np.nan
    with pytest.raises(ValueError, match=r"neuron '2': .*drop_dead"):
        evaluate_held_out(Recording(activity, dt=0.5), START, forecaster=Returns(0.0), baselines={})


def judged(recording, baselines, model, **options):
    return verdict(evaluate_held_out(recording, START, forecaster=model, baselines=baselines, **options))


def test_the_verdict_says_who_wins(recording, baselines):
    good = judged(recording, baselines, Oracle(recording.activity, 0.1), without_connections=baselines["ar"])
    assert "beats the best baseline at 1, 4, 8 and 16 frames" in good
    assert "the connections improve the forecast at 1, 4, 8 and 16 frames" in good
    bad = judged(recording, baselines, Oracle(recording.activity, 3.0))
    assert "is below its baselines at 1, 4, 8 and 16 frames" in bad
    assert "worse than knowing each neuron's held-out mean" in bad
    assert "no skill that forecasts without a network do not have" in bad
    same = judged(recording, {"ar": baselines["ar"]}, baselines["ar"], without_connections=baselines["ar"])
    assert "ties with the best baseline" in same
    assert "make no measurable difference" in same
    assert "compared with no baseline" in judged(recording, {}, baselines["ar"])


def test_the_verdict_groups_horizons_by_outcome(scored):
    base = scored.horizons[1]

    def with_skill(low, high):
        interval = type(base.skill.interval)(low, high, 0.95, 5)
        return HorizonScore(
            **{**vars(base), "skill": Skill("ar", (low + high) / 2, interval), "connections": None, "r2": 0.5}
        )

    text = verdict(HeldOut(10, 80, {1: with_skill(-0.3, -0.1), 4: with_skill(-0.1, 0.1), 8: with_skill(0.1, 0.3)}))
    assert "beats the best baseline at 8 frames (skill +0.200 [+0.100, +0.300] over ar)" in text
    assert "ties with the best baseline, within the interval of its skill, at 4 frames" in text
    assert "is below its baselines at 1 frame (" in text


def test_the_verdict_on_nothing_gives_the_reason():
    assert verdict(HeldOut(10, 1, {1: Unscored("too short.", ())})) == (
        "Nothing could be scored on held-out time: too short."
    )
