"""Windows cross nothing; a loader draws each of them, and goes on after a stop as if there had been none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurotorch.data import Recording, WindowLoader, Windows
from tests.data.strategies import recordings


def counting(frames=23, **fields):
    """A recording that holds its frame numbers, so that a window tells where it comes from."""
    return Recording(np.arange(frames, dtype=float)[:, None] * [1.0, 10.0], 0.5, **fields)


def loader(seed=3, *, length=4, batch_size=6, batches=None, recording=None):
    windows = Windows(counting() if recording is None else recording, length)
    return WindowLoader(windows, batch_size, generator=torch.Generator().manual_seed(seed), batches=batches)


def starts(batch):
    return batch.target[0, :, 0].int().tolist()


def joined(lists):
    return [item for part in lists for item in part]


def epochs(source, number):
    return [[starts(batch) for batch in source] for _ in range(number)]


@given(recordings(), st.integers(1, 6), st.integers(1, 4))
def test_windows_never_cross_a_trial_or_a_missing_frame_and_none_is_left_out(recording, length, stride):
    segments = recording.segments()
    expected = [first for start, stop in segments for first in range(start, stop, stride) if first + length <= stop]
    if not expected:
        with pytest.raises(ValueError, match="`length`"):
            Windows(recording, length, stride=stride)
        return
    windows = Windows(recording, length, stride=stride)
    assert windows.starts.tolist() == expected
    assert windows.skipped == tuple(segment for segment in segments if segment[1] - segment[0] < length)
    batch = windows.gather(range(len(windows)), dtype=torch.float64)
    assert torch.isfinite(batch.target).all()
    assert (batch.target[:, :, 0].diff(dim=0) == 1).all()


@given(recordings(), st.integers(2, 5), st.floats(0.1, 0.9))
def test_windows_never_cross_a_split(recording, length, held_out):
    try:
        parts = [Windows(part, length) for part in recording.split(held_out)]
    except ValueError:
        return
    seen = [set(windows.gather(range(len(windows))).target[:, :, 0].flatten().int().tolist()) for windows in parts]
    assert not seen[0] & seen[1]
    assert max(seen[0]) < min(seen[1])


def test_a_batch_is_time_by_batch_by_neuron_with_the_inputs_of_the_same_frames():
    recording = counting(inputs=np.arange(23.0)[:, None] * -1)
    batch = Windows(recording, 4).gather([7, 2, 2])
    assert batch.target.shape == (4, 3, 2)
    assert batch.target.dtype == batch.inputs.dtype == torch.float32
    assert batch.target[:, 0, 0].tolist() == [7, 8, 9, 10]
    assert batch.target[:, 1, 1].tolist() == [20, 30, 40, 50]
    assert batch.inputs.shape == (4, 3, 1)
    torch.testing.assert_close(batch.inputs[..., 0], -batch.target[..., 0], rtol=0, atol=0)
    assert Windows(counting(), 4).gather([0]).inputs is None


def test_a_batch_is_a_copy():
    windows = Windows(counting(), 4)
    windows.gather([0], dtype=torch.float64).target.zero_()
    assert windows.recording.activity[1, 0] == 1


BAD = {
    "too long": (lambda: Windows(counting(), 24), ValueError, "`length` is 24 frames.*has 23"),
    "too long for every segment": (
        lambda: Windows(counting(missing=np.arange(23) == 9), 14), ValueError, "`length` is 14 frames.*has 13",
    ),
    "no frame": (lambda: Windows(counting(), 0), ValueError, "`length` is 0"),
    "half a frame": (lambda: Windows(counting(), 1.5), TypeError, "`length` is 1.5"),
    "no stride": (lambda: Windows(counting(), 4, stride=0), ValueError, "`stride` is 0"),
    "NaN": (lambda: Windows(Recording([[1.0, 2], [3, np.nan]], 1.0), 1), ValueError, "'1'.*drop_dead"),
    "no such window": (lambda: Windows(counting(), 4).gather([20]), IndexError, r"20.*windows are 0\.\.19"),
    "a negative window": (lambda: Windows(counting(), 4).gather([-1]), IndexError, "-1"),
    "no window": (lambda: Windows(counting(), 4).gather([]), ValueError, "at least one window"),
    "no batch": (lambda: loader(batch_size=0), ValueError, "`batch_size` is 0"),
    "no batches": (lambda: loader(batches=0), ValueError, "`batches` is 0"),
    "state of other windows": (
        lambda: loader().load_state_dict(loader(length=5).state_dict()), ValueError, "`windows` 19, but this one.* 20",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_drawn_is_one_clear_error(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_an_epoch_draws_every_window_once_and_the_last_batch_may_be_short():
    first, second = epochs(loader(), 2)
    assert [len(batch) for batch in first] == [6, 6, 6, 2]
    assert sorted(joined(first)) == sorted(joined(second)) == list(range(20))
    assert first != second
    assert len(loader()) == 4


def test_a_number_of_batches_is_drawn_without_replacement_across_epochs():
    source = loader(batches=3)
    assert len(source) == 3
    drawn = epochs(source, 4)
    assert [len(epoch) for epoch in drawn] == [3, 3, 3, 3]
    batches = joined(drawn)
    for shuffle in range(3):
        assert sorted(joined(batches[4 * shuffle : 4 * shuffle + 4])) == list(range(20))


def test_the_same_seed_gives_the_same_epochs_and_another_seed_does_not():
    assert epochs(loader(5), 3) == epochs(loader(5), 3) != epochs(loader(6), 3)


@given(st.integers(0, 3), st.integers(0, 6), st.sampled_from([None, 1, 3, 7]), st.integers(1, 25))
def test_a_loader_resumed_anywhere_yields_exactly_what_was_still_to_come(epoch, batch, batches, batch_size):
    whole = epochs(loader(batches=batches, batch_size=batch_size), 5)
    stopped = loader(batches=batches, batch_size=batch_size)
    epochs(stopped, epoch)
    state = stopped.state_dict()
    done = 0
    for done, _ in enumerate(stopped, start=1):
        state = stopped.state_dict()  # while the batch is worked on
        if done > batch:
            break
    resumed = loader(seed=99, batches=batches, batch_size=batch_size)
    resumed.load_state_dict(state)
    assert epochs(resumed, 5 - epoch) == [whole[epoch][done:], *whole[epoch + 1 :]]


def test_a_state_saved_between_epochs_resumes_with_the_next_epoch():
    whole = epochs(loader(), 3)
    stopped = loader()
    epochs(stopped, 1)
    resumed = loader(seed=99)
    resumed.load_state_dict(stopped.state_dict())
    assert epochs(resumed, 2) == whole[1:]


def test_saving_changes_nothing_and_a_state_does_not_change_later():
    saved = loader()
    seen = []
    states = []
    for batch in saved:
        states.append(saved.state_dict())
        seen.append(starts(batch))
    assert seen == epochs(loader(), 1)[0]
    assert [state["drawn"] for state in states] == [1, 2, 3, 4]
    epochs(saved, 2)
    resumed = loader(seed=99)
    resumed.load_state_dict(states[0])
    assert epochs(resumed, 1) == [seen[1:]]


def test_a_state_holds_only_tensors_and_json_values():
    state = loader().state_dict()
    assert state["generator"].dtype == torch.uint8
    assert all(isinstance(value, torch.Tensor | int | bool) for value in state.values())


def test_a_new_iteration_starts_a_new_epoch_and_ends_the_old_one():
    source = loader()
    old = iter(source)
    next(old)
    assert sorted(joined(epochs(source, 1)[0])) == list(range(20))
    with pytest.raises(RuntimeError, match="newer iteration"):
        next(old)
