"""Windows of a recording, and the loader that draws batches of them: time first, then batch, then neuron."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from neurotorch.core.checks import check_count
from neurotorch.data.dead import listed
from neurotorch.data.recording import Recording


class Batch(NamedTuple):
    """Windows of a recording, side by side.

    Parameters
    ----------
    target : Tensor, (time, batch, neuron)
        The recorded activity.
    inputs : Tensor, (time, batch, channel), optional
        The inputs of the same frames, if the recording has any.
    """

    target: torch.Tensor
    inputs: torch.Tensor | None


class Windows:
    """All windows of `length` frames that cross no trial border and no missing frame.

    Parameters
    ----------
    recording : Recording
        Free of NaN outside missing frames.
    length : int
        Frames in a window.
    stride : int
        Frames from the start of one window to the next, counted from the start of each segment.

    Attributes
    ----------
    starts : ndarray of int, (window,)
        The first frame of each window, in order of time.
    skipped : tuple of (start, stop)
        Segments too short to hold a window.

    Raises
    ------
    ValueError
        If no segment is long enough, or a neuron holds NaN.
    """

    def __init__(self, recording: Recording, length: int, *, stride: int = 1) -> None:
        self.recording = recording
        self.length = check_count("length", length)
        self.stride = check_count("stride", stride)
        nan = recording.dead().nan
        if nan:
            raise ValueError(
                f"{len(nan)} neurons hold NaN outside missing frames: {listed(nan)}. Drop the neurons with "
                "`recording.drop_dead()` or the frames with `recording.mark_missing()` first."
            )
        segments = recording.segments()
        longest = max(stop - start for start, stop in segments)
        if self.length > longest:
            raise ValueError(
                f"`length` is {self.length} frames, but the longest segment without a trial border or a missing frame "
                f"has {longest}: use windows of at most {longest} frames."
            )
        self.skipped = tuple((start, stop) for start, stop in segments if stop - start < self.length)
        self.starts = np.concatenate(
            [np.arange(start, stop - self.length + 1, self.stride, dtype=np.int64) for start, stop in segments]
        )
        self.starts.setflags(write=False)

    def __len__(self) -> int:
        return len(self.starts)

    def gather(
        self, indices: Sequence[int] | np.ndarray | torch.Tensor, *, dtype: torch.dtype = torch.float32
    ) -> Batch:
        """Return the windows with these indices, in this order, as tensors of `dtype`.

        Raises
        ------
        IndexError
            If there is no such window.
        ValueError
            If no index is given.
        """
        wanted = np.asarray(indices, dtype=np.int64)
        if wanted.ndim != 1 or len(wanted) == 0:
            raise ValueError(f"`indices` has shape {wanted.shape}, but it must be a list of at least one window.")
        if wanted.min() < 0 or wanted.max() >= len(self):
            raise IndexError(
                f"`indices` reaches from {wanted.min()} to {wanted.max()}, but windows are 0..{len(self) - 1}."
            )
        frames = np.arange(self.length)[:, None] + self.starts[wanted][None, :]
        inputs = self.recording.inputs
        return Batch(
            target=torch.from_numpy(self.recording.activity[frames]).to(dtype),
            inputs=None if inputs is None else torch.from_numpy(inputs[frames]).to(dtype),
        )


class Gathered(Protocol):
    """What a loader draws from: `Windows`, or anything else that puts numbered samples into a batch."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def gather(
        self, indices: Sequence[int] | np.ndarray | torch.Tensor, *, dtype: torch.dtype = torch.float32
    ) -> Batch:
        """Return those with these indices, in this order."""
        ...


class WindowLoader:
    """An iterable over one epoch of shuffled batches that can be saved and continued in the middle of it.

    Windows are drawn without replacement; once all have been drawn they are shuffled again. Nothing is dropped: the
    last batch before a new shuffle holds what is left and may be short. Starting a new iteration starts a new epoch,
    except right after `load_state_dict`, when it finishes the epoch that was saved.

    Parameters
    ----------
    windows : Windows
        What is drawn from, or any other `Gathered`.
    batch_size : int
        Windows in a batch.
    generator : torch.Generator
        On the CPU; used by each shuffle and by nothing else here.
    batches : int, optional
        Batches in an epoch. By default an epoch draws every window once; with a number, the next epoch goes on where
        the last one left the shuffled windows.
    dtype : torch.dtype
        Of the batches.
    """

    def __init__(
        self,
        windows: Gathered,
        batch_size: int,
        *,
        generator: torch.Generator,
        batches: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.windows = windows
        self.batch_size = check_count("batch_size", batch_size)
        self.generator = generator
        self.batches = None if batches is None else check_count("batches", batches)
        self.dtype = dtype
        self._order = torch.zeros(0, dtype=torch.int64)
        self._position = 0  # in the order
        self._drawn = 0  # batches in this epoch
        self._open = False  # whether an epoch has begun and not ended
        self._resumed = False
        self._iterations = 0

    def __len__(self) -> int:
        return self.batches or -(-len(self.windows) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        if not (self._open and self._resumed):
            self._drawn = 0
            self._open = True
            if self.batches is None:
                self._position = len(self._order)
        self._resumed = False
        self._iterations += 1
        return self._epoch(self._iterations)

    def state_dict(self) -> dict[str, Any]:
        """Return the generator, the shuffled order and the place in it and in the epoch; taken between two batches."""
        return {
            "generator": self.generator.get_state(),
            "order": self._order.clone(),
            "position": self._position,
            "drawn": self._drawn,
            "open": self._open,
            "batch_size": self.batch_size,
            "windows": len(self.windows),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state: the next iteration yields exactly the batches that were still to come.

        Raises
        ------
        ValueError
            If the state was saved with other windows or another batch size.
        """
        for name, mine in (("windows", len(self.windows)), ("batch_size", self.batch_size)):
            if state[name] != mine:
                raise ValueError(
                    f"The saved loader had `{name}` {state[name]}, but this one has {mine}: build it with the same "
                    "recording, window length, stride and batch size."
                )
        self.generator.set_state(state["generator"])
        self._order = state["order"].clone()
        self._position = int(state["position"])
        self._drawn = int(state["drawn"])
        self._open = bool(state["open"])
        self._resumed = True
        self._iterations += 1

    def _epoch(self, iteration: int) -> Iterator[Batch]:
        while True:
            if iteration != self._iterations:
                raise RuntimeError("A newer iteration of this loader has begun: only one can run at a time.")
            if self._drawn >= len(self):
                self._open = False
                return
            if self._position >= len(self._order):
                self._order = torch.randperm(len(self.windows), generator=self.generator)
                self._position = 0
            indices = self._order[self._position : self._position + self.batch_size]
            # Moved on before the batch is handed out: a state saved while it is worked on is the state after it.
            self._position += len(indices)
            self._drawn += 1
            yield self.windows.gather(indices, dtype=self.dtype)
