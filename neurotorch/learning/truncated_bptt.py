"""Backpropagation through time, truncated: updates while a window comes in, each through its last frames only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from neurotorch.core.checks import check_count
from neurotorch.core.trees import transform
from neurotorch.data.windows import Batch
from neurotorch.engine import Run
from neurotorch.learning.base import BatchReport
from neurotorch.learning.forcing_plan import ForcingPlan
from neurotorch.learning.gradient_rule import GradientRule, autocast, check_autocast
from neurotorch.learning.losses import SummedLoss
from neurotorch.learning.penalty import Penalty, check_penalties, penalised
from neurotorch.network.delays import held, last_steps_at
from neurotorch.network.forcing import Forcing
from neurotorch.network.layer import LayerState
from neurotorch.network.network import Network, NetworkRun, NetworkState


class _Chunk(NamedTuple):
    """Frames of a window: the graph begins at `start`, that of the next chunk at `split`; `first` to `stop` count."""

    start: int
    split: int
    first: int
    stop: int


class TruncatedBPTT(GradientRule):
    """Truncated backpropagation through time, BPTT(k2; k1): every `k1` frames an update, through `k2` frames.

    A window of ``T`` frames ends chunks at the frames ``e = k1, 2 k1, ...`` and ``T``. For each chunk in turn, with
    ``x_s`` the state before frame ``s = max(0, e - k2)``, taken as a constant, and ``p`` the parameters as the updates
    before have left them::

        g_e = d/dp  sum over the last k1 frames t < e of loss_t(output_t, target_t),    output from x_s, through s .. e

    and the optimizer is stepped along ``g_e``. ``x_s`` is carried on from chunk to chunk, never reset inside a window:
    with a learning rate of 0 the activity is that of one run over the window. For ``k2 > k1`` the frames from ``s`` on
    are run again, under the parameters of the moment, so that ``g_e`` is the exact gradient of a stated function
    (Williams and Peng keep the activity of older parameters there); each frame is run ``k2 / k1`` times. With
    ``k1 >= T`` it is `BPTT`, number by number. Memory grows with `k2` and not with ``T``.

    The parts of a loss add up to that of the window, so that an update is about ``k1 / T`` of one by `BPTT`, and a
    chunk of which the loss skips every frame makes an update with a gradient of zero. A penalty is taken over the
    frames that count, times their share of the window.

    `compute` makes all updates but the last; it leaves the last chunk's gradient in ``parameter.grad`` and its update
    to `apply`, so that a callback between the two sees a gradient, as with every gradient rule. `gradient` sums the
    ``g_e`` of all chunks at fixed parameters.

    Parameters
    ----------
    network
        What is trained; see `Network.freeze` for training a part of it.
    loss
        A `SummedLoss`, such as `MeanSquaredError`.
    optimizer
        Any torch optimizer over parameters of `network` whose step needs no closure.
    k1
        Frames between updates.
    k2
        Frames that each update reaches back, at least `k1`.
    forcing
        How the network is forced on the target; by default it is not.
    clip
        Largest norm of the whole gradient of an update; longer ones are scaled down. None leaves them.
    penalties
        Added to the loss and reported by name, beside ``"data"``.
    autocast
        As in `BPTT`.

    Raises
    ------
    TypeError
        If the loss is not a sum over time.
    ValueError
        If `k1` is longer than `k2`.
    NonFiniteError
        In `compute`, if a gradient is NaN or infinite before one of its updates; the frames are named, and the updates
        before them have been made.

    References
    ----------
    Williams & Peng 1990, doi:10.1162/neco.1990.2.4.490: BPTT(h; h') with h = k2 and h' = k1.
    """

    def __init__(
        self,
        network: Network,
        loss: SummedLoss,
        *,
        optimizer: Optimizer,
        k1: int,
        k2: int,
        forcing: ForcingPlan | None = None,
        clip: float | None = None,
        penalties: Sequence[Penalty] = (),
        autocast: torch.dtype | None = None,
    ) -> None:
        super().__init__(network, optimizer=optimizer, clip=clip)
        if not isinstance(loss, SummedLoss) or isinstance(loss, type):
            raise TypeError(
                f"`loss` is {loss!r}, but truncated backpropagation takes a loss part by part: use one that is a sum "
                "over time and has `part(output, target, *, start, frames)`, such as MeanSquaredError(), or use BPTT."
            )
        self.k1, self.k2 = check_count("k1", k1), check_count("k2", k2)
        if self.k1 > self.k2:
            raise ValueError(
                f"`k1` is {k1} and `k2` is {k2}, but an update every k1 frames must reach back over all of them: "
                f"use k2 >= {k1}, or k1 <= {k2}."
            )
        self.loss, self.forcing = loss, forcing
        self.penalties = check_penalties(penalties)
        self.autocast = check_autocast(autocast)

    def compute(self, batch: Batch) -> BatchReport:
        """Make the updates of all chunks but the last, and leave the gradient of the last in ``parameter.grad``.

        The report sums the parts of the loss, each found before its own update.
        """
        return self._run(batch, update=True)

    def gradient(self, batch: Batch) -> BatchReport:
        """Write the sum of the gradients of all chunks to ``parameter.grad``, without any update."""
        return self._run(batch, update=False)

    def _run(self, batch: Batch, *, update: bool) -> BatchReport:
        self.check_batch(batch)
        self.zero_grad()
        frames, samples = batch.target.shape[:2]
        forcing = self.forcing_of(self.forcing, batch)
        state = self.network.initial_state(samples)
        total, totals = 0.0, dict[str, float]()
        for chunk in self._chunks(frames):
            loss, terms, state = self._forward(batch, forcing, chunk, state)
            self.backward(loss)
            total += float(loss.detach())
            totals = {name: totals.get(name, 0.0) + value for name, value in terms.items()}
            if update and chunk.stop < frames:
                self.step(f"at the update after frame {chunk.stop} of a window of {frames}")
                self.zero_grad()
        return BatchReport(total, samples=samples, terms=totals)

    def _chunks(self, frames: int) -> Iterator[_Chunk]:
        first = 0
        while first < frames:
            stop = min(first + self.k1, frames)
            next_stop = min(stop + self.k1, frames)
            yield _Chunk(max(0, stop - self.k2), max(0, next_stop - self.k2), first, stop)
            first = stop

    def _forward(
        self, batch: Batch, forcing: Forcing | None, chunk: _Chunk, state: NetworkState
    ) -> tuple[Tensor, dict[str, float], NetworkState]:
        """Return loss and terms of a chunk that starts in `state`, and the state in which the next one starts."""
        start, split, first, stop = chunk
        inputs = None if batch.inputs is None else batch.inputs[start:stop]
        forced = None if forcing is None else Forcing(forcing.target[start:stop], forcing.strength[start:stop])
        within = start < split < stop
        with autocast(self.network, self.autocast):
            try:
                run = self.network.run(inputs, state, frames=stop - start, forcing=forced, record=within)
            except (ArithmeticError, ValueError) as error:
                error.add_note(f"Counted from frame {start} of the window on, in a run to frame {stop}.")
                raise
            if split == stop:
                state = run.state
            elif within:
                state = _state_after(run, state, inputs, split - start)
            counted = _last(run, stop - first)
            data = self.loss.part(counted.output, batch.target[first:stop], start=first, frames=len(batch.target))
            share = (stop - first) / len(batch.target)
            loss, terms = penalised(data, self.penalties, network=self.network, run=counted, share=share)
        return loss, terms, transform(state, _constant)


def _state_after(run: NetworkRun, start: NetworkState, inputs: Tensor | None, frames: int) -> NetworkState:
    """Return the state after some frames of a recorded run, which began in the state `start`."""
    states = []
    for each, before in zip(run.runs, start, strict=True):
        step = len(each.emitted) // len(run.output) * frames - 1
        underway = None
        if before.underway is not None:
            underway = last_steps_at(before.underway, held(inputs, len(each.emitted), before.underway), step)
        neuron = transform(each.states, partial(torch.select, dim=0, index=step))
        states.append(LayerState(neuron, last_steps_at(before.history, each.emitted, step), underway))
    return tuple(states)


def _constant(tensor: Tensor) -> Tensor:
    """Return a copy without a graph: a view would keep the whole run in memory."""
    return tensor.detach().clone()


def _last(run: NetworkRun, frames: int) -> NetworkRun:
    """Return the last frames of a run, without what was recorded."""
    if len(run.output) == frames:
        return run
    steps = len(run.runs[0].emitted) // len(run.output) * frames
    runs = tuple(Run(each.emitted[-steps:], each.seen[-steps:], each.state) for each in run.runs)
    return NetworkRun(run.output[-frames:], run.state, runs)
