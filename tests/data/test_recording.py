"""A recording never changes, never hides a missing frame, and remembers what was done to it."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from neurotorch.data import Recording
from tests.data.strategies import frame_numbers, recordings

NAN = float("nan")


def plain(frames=20, neurons=3, seed=0, **fields):
    return Recording(np.random.default_rng(seed).normal(size=(frames, neurons)), fields.pop("dt", 0.5), **fields)


def same(first, second):
    for item in dataclasses.fields(Recording):
        np.testing.assert_equal(getattr(first, item.name), getattr(second, item.name))


def test_the_arrays_are_float64_copies_that_cannot_be_written():
    mine = np.ones((4, 2), dtype=np.float32)
    mine[0] = 3
    recording = Recording(mine, 0.5, inputs=np.zeros((4, 1), dtype=int))
    mine[:] = 7
    assert recording.activity.dtype == recording.inputs.dtype == np.float64
    assert recording.activity[0, 0] == 3
    for array in (recording.activity, recording.inputs, recording.missing):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        recording.dt = 1.0
    with pytest.raises(TypeError):
        recording.provenance["path"] = "elsewhere"


def test_neurons_trials_and_missing_frames_have_plain_defaults():
    recording = plain(5, 2)
    assert recording.neurons == ("0", "1")
    assert recording.trials == recording.segments() == ((0, 5),)
    assert not recording.missing.any()
    assert recording.missing.shape == (5,)


@pytest.mark.parametrize("travel", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])  # noqa: S301
def test_copies_and_pickles_are_equal_and_still_read_only(travel):
    recording = plain(neurons=2, inputs=np.ones((20, 1)), missing=np.arange(20) == 4).smooth(1.0)
    other = travel(recording)
    same(recording, other)
    assert not other.activity.flags.writeable


def test_provenance_can_be_written_as_json():
    train, test = plain().drop_dead().split()
    done = test.standardize(fit_on=train).smooth(2.0).resample(1.0).select(["1"]).window(0, 2).mark_missing()
    steps = json.loads(json.dumps(dict(done.provenance)))["steps"]
    names = ["drop_dead", "split", "standardize", "smooth", "resample", "select", "window", "mark_missing"]
    assert [step["step"] for step in steps] == names


def test_a_missing_frame_holds_nan_and_a_frame_of_nan_is_missing():
    activity = np.ones((5, 2))
    activity[3] = NAN
    recording = Recording(activity, 0.5, missing=np.array([False, True, False, False, False]))
    assert recording.missing.tolist() == [False, True, False, True, False]
    assert np.isnan(recording.activity[recording.missing]).all()
    assert recording.segments() == ((0, 1), (2, 3), (4, 5))


def test_an_infinite_value_in_a_missing_frame_is_no_error():
    activity = np.ones((3, 2))
    activity[1, 0] = np.inf
    assert Recording(activity, 0.5, missing=np.array([False, True, False])).segments() == ((0, 1), (2, 3))


BAD = {
    "one dimension": ({"activity": np.ones(5)}, ValueError, r"shape \(5,\).*\(time, neuron\).*activity\[:, None\]"),
    "three dimensions": ({"activity": np.ones((5, 2, 2))}, ValueError, r"\(5, 2, 2\).*trials="),
    "one frame": ({"activity": np.ones((1, 9))}, ValueError, r"1 frame of 9 neurons.*at least 2.*transpose"),
    "zero frames": ({"activity": np.ones((0, 9))}, ValueError, "0 frames of 9 neurons"),
    "zero neurons": ({"activity": np.ones((5, 0))}, ValueError, "5 frames of zero neurons"),
    "complex": ({"activity": np.ones((5, 2), complex)}, TypeError, "complex128.*real numbers"),
    "text": ({"activity": np.full((5, 2), "a")}, TypeError, "`activity`.*real numbers"),
    "infinite": ({"activity": np.array([[1.0, 2], [3, -np.inf]])}, ValueError, "1 infinite.*frame 1.*'1'.*drop_dead"),
    "all missing": ({"activity": np.full((5, 2), NAN)}, ValueError, "Of 5 frames all are missing"),
    "zero dt": ({"dt": 0}, ValueError, "`dt` is 0 s.*above 0"),
    "negative dt": ({"dt": -1.0}, ValueError, "`dt` is -1 s"),
    "dt not a number": ({"dt": NAN}, ValueError, "`dt` is nan"),
    "dt in nanoseconds": ({"dt": 1e9}, ValueError, "`dt` is 1e.09 s.*in seconds, not in milliseconds"),
    "tiny dt": ({"dt": 1e-9}, ValueError, "in seconds"),
    "dt as text": ({"dt": "fast"}, TypeError, "`dt` is 'fast'"),
    "too few names": ({"neurons": ("a",)}, ValueError, "1 names.*2 neurons"),
    "names twice": ({"neurons": ("a", "a")}, ValueError, "more than once: 'a'"),
    "names as a text": ({"neurons": "ab"}, TypeError, "sequence with one name per neuron"),
    "missing too short": ({"missing": np.zeros(3, bool)}, ValueError, r"\(3,\).*one bool per frame.*\(5,\)"),
    "missing as indices": ({"missing": np.arange(5)}, ValueError, "int64.*one bool per frame"),
    "inputs too short": ({"inputs": np.ones((4, 1))}, ValueError, "4 frames.*5"),
    "inputs of one dimension": ({"inputs": np.ones(5)}, ValueError, r"\(time, channel\).*inputs\[:, None\]"),
    "inputs with NaN": ({"inputs": np.array([[0.0], [0], [NAN], [0], [0]])}, ValueError, "frame 2 of channel 0"),
    "overlapping trials": ({"trials": ((0, 3), (2, 5))}, ValueError, r"\(2, 5\) overlaps.*\(0, 3\)"),
    "trials out of order": ({"trials": ((3, 5), (0, 3))}, ValueError, "order of time"),
    "trial beyond the end": ({"trials": ((0, 6),)}, ValueError, r"\(0, 6\) does not fit.*5 frames"),
    "empty trial": ({"trials": ((2, 2),)}, ValueError, "start < stop"),
    "half a frame": ({"trials": ((0, 2.5),)}, ValueError, "whole frames"),
    "a trial that is a number": ({"trials": (0, 5)}, TypeError, "pair of frames"),
    "unknown kind": ({"kind": "spike"}, ValueError, "`kind` is 'spike'.*Did you mean 'spikes'"),
}


@pytest.mark.parametrize(("fields", "error", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_a_recording_is_one_clear_error(fields, error, message):
    with pytest.raises(error, match=message):
        Recording(**{"activity": np.ones((5, 2)), "dt": 0.5, **fields})


BAD_CALLS = {
    "held_out above one": (lambda it: it.split(1.5), "`held_out` is 1.5"),
    "nothing held out": (lambda it: it.split(0.0), "20 frames into 20 and 0"),
    "everything held out": (lambda it: it.split(1.0), "20 frames into 0 and 20"),
    "window beyond the end": (lambda it: it.window(3, 21), "3 to 21.*20 frames"),
    "window backwards": (lambda it: it.window(9, 3), "start < stop"),
    "unknown name": (lambda it: it.select(["AVA"]), "no neuron 'AVA'"),
    "index too large": (lambda it: it.select([3]), "no neuron with index 3: there are 3"),
    "mask too short": (lambda it: it.select([True, False]), "2 entries.*3 neurons"),
    "neuron twice": (lambda it: it.select([0, -3]), "'0' is selected more than once"),
    "nothing selected": (lambda it: it.select([]), "selection is empty"),
    "a ratio that is not whole": (lambda it: it.resample(1.2), "1 s and 1.5 s"),
    "a finer dt": (lambda it: it.resample(0.1), "0.5 s and 1 s"),
    "a dt longer than the trial": (lambda it: it.resample(15), "30 frames, but the longest trial has 20"),
    "zero sigma": (lambda it: it.smooth(0), "`sigma_frames` is 0"),
    "other neurons": (lambda it: it.standardize(fit_on=it.select([0, 1])), r"select\(fit_on.neurons\)"),
    "the past smoothed with the future": (
        lambda it: it.smooth(1, causal=False).split(),
        "symmetric kernel.*split first",
    ),
}


@pytest.mark.parametrize(("call", "message"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_a_wrong_call_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call(plain())


@given(recordings(), st.floats(0.01, 0.99))
def test_train_and_test_share_no_frame_and_lose_none(recording, held_out):
    try:
        train, test = recording.split(held_out)
    except ValueError:
        return
    assert train.frames + test.frames == recording.frames
    assert min(train.frames, test.frames) >= 2
    np.testing.assert_array_equal(np.concatenate([frame_numbers(train), frame_numbers(test)]), frame_numbers(recording))
    valid = np.concatenate([train.valid, test.valid])
    np.testing.assert_array_equal(valid, recording.valid)
    np.testing.assert_array_equal(np.concatenate([train.missing, test.missing]), recording.missing)
    if recording.inputs is not None:
        np.testing.assert_array_equal(np.concatenate([train.inputs, test.inputs]), recording.inputs)


def test_a_split_holds_out_the_last_frames_and_says_so():
    train, test = plain(892).split(0.2)
    assert (train.frames, test.frames) == (714, 178)
    assert test.provenance["steps"][-1] == {
        "step": "split", "held_out": 0.2, "part": "test", "start": 714, "stop": 892, "of": 892,
    }  # fmt: skip


def test_a_trial_that_spans_the_cut_goes_on_in_both_parts():
    train, test = plain(10, trials=((0, 3), (4, 9))).split(0.4)
    assert train.trials == ((0, 3), (4, 6))
    assert test.trials == ((0, 3),)


@given(recordings())
def test_segments_are_the_longest_runs_of_valid_frames_in_one_trial(recording):
    expected, run = [], None
    for start, stop in recording.trials:
        for frame in range(start, stop):
            if recording.missing[frame]:
                run = None
            elif run is None:
                run = [frame, frame + 1]
                expected.append(run)
            else:
                run[1] = frame + 1
        run = None
    assert recording.segments() == tuple(map(tuple, expected))


@pytest.mark.parametrize("selection", [[2, 0], ["c", "a"], np.array([2, 0]), (-1, 0)])
def test_neurons_are_selected_in_the_order_given(selection):
    recording = plain(neurons=3)
    recording = dataclasses.replace(recording, neurons=("a", "b", "c"))
    chosen = recording.select(selection)
    assert chosen.neurons == ("c", "a")
    np.testing.assert_array_equal(chosen.activity, recording.activity[:, [2, 0]])


def test_a_mask_and_a_single_name_select_too():
    recording = plain()
    assert recording.select(recording.activity[0] > -np.inf).neurons == ("0", "1", "2")
    assert recording.select([False, True, False]).neurons == recording.select("1").neurons == ("1",)


def test_resampling_averages_blocks_within_trials_and_keeps_missing_frames_missing():
    activity = np.arange(12.0)[:, None]
    recording = Recording(
        activity, 0.5, trials=((0, 5), (6, 12)), missing=np.arange(12) == 7, inputs=activity * 2, kind="spikes"
    )
    slower = recording.resample(1.0)
    np.testing.assert_array_equal(slower.activity[:, 0], [0.5, 2.5, NAN, 8.5, 10.5])
    assert slower.inputs is not None
    np.testing.assert_array_equal(slower.inputs[:, 0], [1, 5, 13, 17, 21])
    assert slower.trials == ((0, 2), (2, 5))
    assert slower.dt == 1.0
    assert slower.kind == "rate"
    assert slower.provenance["steps"][-1]["frames_dropped"] == 2


def test_resampling_to_the_same_dt_changes_no_value():
    recording = plain(missing=np.arange(20) == 3)
    np.testing.assert_array_equal(recording.resample(0.5).activity, recording.activity)


@given(recordings(), st.floats(0.3, 6.0), st.data())
def test_causal_smoothing_never_looks_ahead(recording, sigma, data):
    frame = data.draw(st.integers(0, recording.frames - 1))
    other = recording.activity.copy()
    other[frame:] = other[frame:] * -3.0 + 11.0
    changed = dataclasses.replace(recording, activity=other).smooth(sigma).activity
    np.testing.assert_array_equal(changed[:frame], recording.smooth(sigma).activity[:frame])


@given(recordings(), st.floats(0.3, 6.0), st.booleans(), st.data())
def test_smoothing_never_crosses_a_segment(recording, sigma, causal, data):
    start, stop = data.draw(st.sampled_from(recording.segments()))
    other = recording.activity.copy()
    other[:start] += 50.0
    other[stop:] -= 50.0
    changed = dataclasses.replace(recording, activity=other).smooth(sigma, causal=causal).activity
    np.testing.assert_array_equal(changed[start:stop], recording.smooth(sigma, causal=causal).activity[start:stop])


@pytest.mark.parametrize("causal", [True, False])
def test_smoothing_is_the_normalised_sum_over_lags(causal, random):
    x, sigma = random.normal(size=30), 2.5
    expected = np.zeros(30)
    for t in range(30):
        weights = [np.exp(-(k**2) / (2 * sigma**2)) if abs(k) <= 10 else 0.0 for k in (t - np.arange(30))]
        weights = [0.0 if causal and s > t else w for s, w in enumerate(weights)]
        expected[t] = np.dot(weights, x) / np.sum(weights)
    smooth = Recording(x[:, None], 0.5).smooth(sigma, causal=causal)
    np.testing.assert_allclose(smooth.activity[:, 0], expected, rtol=0, atol=1e-14)
    assert smooth.provenance["steps"][-1] == {"step": "smooth", "sigma_frames": 2.5, "causal": causal}


def test_standardizing_uses_the_valid_frames_of_the_training_part_only():
    train, test = plain(50, missing=np.arange(50) == 7, trials=((0, 20), (21, 50))).split()
    values = train.activity[train.valid]
    scaled = test.standardize(fit_on=train)
    np.testing.assert_allclose(scaled.activity, (test.activity - values.mean(0)) / values.std(0), rtol=1e-14)
    own = train.standardize()
    np.testing.assert_allclose(own.activity[own.valid].mean(0), 0, atol=1e-14)
    np.testing.assert_allclose(own.activity[own.valid].std(0), 1, rtol=1e-14)
    step = scaled.provenance["steps"][-1]
    np.testing.assert_array_equal(step["mean"], values.mean(0))
    np.testing.assert_array_equal(step["std"], values.std(0))
    assert step["fit_on"]["cuts"][0]["part"] == "train"


def with_dead_neurons():
    activity = np.random.default_rng(1).normal(size=(20, 4))
    activity[:, 1] = 0.1  # its standard deviation is 1.4e-17, not 0
    activity[5, 2] = NAN
    return Recording(activity, 0.5, neurons=("a", "b", "c", "d"))


def test_dead_neurons_are_reported_and_dropped_by_choice():
    recording = with_dead_neurons()
    dead = recording.dead()
    assert (dead.constant, dead.nan, dead.neurons) == (("b",), ("c",), ("b", "c"))
    assert str(dead) == "1 constant: 'b'; 1 with NaN: 'c'"
    kept = recording.drop_dead()
    assert kept.neurons == ("a", "d")
    assert not kept.dead()
    assert kept.provenance["steps"][-1] == {"step": "drop_dead", "constant": ("b",), "nan": ("c",)}
    np.testing.assert_array_equal(kept.activity, recording.activity[:, [0, 3]])


def test_a_neuron_that_is_nan_throughout_is_not_called_constant():
    activity = np.random.default_rng(1).normal(size=(5, 2))
    activity[:, 1] = NAN
    dead = Recording(activity, 0.5).dead()
    assert (dead.constant, dead.nan) == ((), ("1",))


def test_nan_in_missing_frames_and_outside_trials_does_not_make_a_neuron_dead():
    activity = np.random.default_rng(1).normal(size=(10, 2))
    activity[2, 0] = activity[9, 1] = NAN
    assert not Recording(activity, 0.5, missing=np.arange(10) == 2, trials=((0, 9),)).dead()


@pytest.mark.parametrize("use", [lambda it: it.smooth(1.0), lambda it: it.standardize()])
def test_nan_is_refused_where_it_would_spread(use):
    with pytest.raises(ValueError, match=r"hold NaN.*'c'.*drop_dead\(\).*mark_missing\(\)"):
        use(with_dead_neurons())


def test_a_constant_neuron_cannot_be_standardized():
    with pytest.raises(ValueError, match=r"'b'.*drop_dead\(\)"):
        with_dead_neurons().mark_missing().standardize()


def test_frames_with_a_nan_become_missing_by_choice():
    marked = with_dead_neurons().mark_missing()
    assert np.flatnonzero(marked.missing).tolist() == [5]
    assert marked.segments() == ((0, 5), (6, 20))
    assert marked.provenance["steps"][-1] == {"step": "mark_missing", "frames": 1}


def test_no_frame_and_no_neuron_left_is_an_error():
    activity = np.full((5, 2), 2.0)
    with pytest.raises(ValueError, match="All 2 neurons are dead"):
        Recording(activity, 0.5).drop_dead()
    activity[:, 1] = NAN
    with pytest.raises(ValueError, match=r"Every frame holds a NaN.*drop_dead"):
        Recording(activity, 0.5).mark_missing()


@given(recordings(), st.data())
def test_a_window_holds_its_frames_and_no_others(recording, data):
    start = data.draw(st.integers(0, recording.frames - 2))
    stop = data.draw(st.integers(start + 2, recording.frames))
    assume(recording.valid[start:stop].any())
    part = recording.window(start, stop)
    np.testing.assert_array_equal(frame_numbers(part), frame_numbers(recording)[start:stop])
    np.testing.assert_array_equal(part.valid, recording.valid[start:stop])


def test_a_neuron_that_wakes_after_the_training_part_is_to_be_left_out_by_name():
    activity = np.random.default_rng(0).normal(size=(20, 3))
    activity[:16, 1] = 2.0
    recording = Recording(activity, dt=0.5)
    with pytest.raises(ValueError, match=r"'1'.*select"):
        recording.standardize(fit_on=recording.window(0, 16))


def test_neurons_that_are_dead_in_a_part_can_be_dropped_from_the_whole() -> None:
    activity = np.random.default_rng(0).normal(size=(20, 3))
    activity[:16, 1] = 2.0
    whole = Recording(activity, 0.1, neurons=("a", "b", "c"))
    train, _ = whole.split(0.2)
    assert not whole.dead()
    dropped = whole.drop_dead(of=train)
    assert dropped.neurons == ("a", "c")
    assert dropped.provenance["steps"][-1]["constant"] == ("b",)
    with pytest.raises(ValueError, match="other neurons"):
        whole.drop_dead(of=train.select(["a"]))
