"""The gradient of rules that are local in time, gathered block by block as a window goes by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from neurotorch.engine.eligibility import Eligibility, filters_of, groups_of, through_readout
from neurotorch.engine.jacobian import EMITTED, SEEN, Jacobian, PulledBack, pull_back
from neurotorch.learning.feedback import Path
from neurotorch.learning.local_block import LayerBlock, held_steps, run_block, steps_at_once
from neurotorch.network.forcing import Forcing
from neurotorch.network.network import Network, NetworkRun, NetworkState


class LocalWindow:
    """One batch of windows: where the network is, the traces of every layer, and the block in hand.

    Parameters
    ----------
    network
        The network.
    samples
        Of the batch.
    filtered
        The layers below the last whose traces are filtered by it, a linear readout.
    rated
        Names of layers of which the gradient of the summed activity is gathered, for penalties on mean rates.

    Attributes
    ----------
    state
        Where the network is.
    blocks
        The block in hand, per layer; empty before the first.
    """

    def __init__(
        self, network: Network, samples: int, *, filtered: Sequence[int] = (), rated: Sequence[str] = ()
    ) -> None:
        self.network, self.filtered = network, set(filtered)
        self.names = list(network.layers)
        self.state: NetworkState = network.initial_state(samples)
        self.blocks: list[LayerBlock] = []
        self.weights = network.effective_weights()
        self.gradients: dict[int, list[Tensor]] = {}
        self.traces: list[Eligibility] = []
        self._at_once = steps_at_once(network, samples)
        self._linearised: dict[int, list[Jacobian]] = {}
        self.rates: dict[str, Tensor] = {}
        self.rated = [self.names.index(name) for name in rated]
        self.of_rates: dict[int, list[Tensor]] = {}
        self.steps, self._groups = 0, None if not filtered else torch.zeros(network.neurons, dtype=torch.long)

    def run(self, inputs: Tensor | None, *, frames: int, forcing: Forcing | None) -> NetworkRun:
        """Run the network over the next block of frames."""
        run, self.blocks = run_block(
            self.network, inputs, self.state, frames=frames, forcing=forcing, weights=self.weights
        )
        self._linearised = {}
        if not self.traces:
            self.traces = [Eligibility(len(block.weights)) for block in self.blocks]
        self.state = run.state
        self.steps += len(self.blocks[0].emitted)
        for index in self.rated:
            emitted = self.blocks[index].emitted.sum((0, 1)) / run.output.shape[1]
            name = self.names[index]
            self.rates[name] = emitted if name not in self.rates else self.rates[name] + emitted
        return run

    def tensors(self) -> list[Tensor]:
        """Return every tensor that is carried from block to block."""
        return [tensor for traces in self.traces for tensor in traces.tensors()]

    def learn_from_error(self, error: Tensor, paths: Mapping[int, Path], *, own_step: bool) -> None:
        """Add the gradient over the block to what `write` will hand on.

        Parameters
        ----------
        error
            ``(frame, batch, neuron)``: gradient of the loss by the output of every frame.
        paths
            Per layer below the last, where its learning signal comes from.
        own_step
            Whether layers whose traces are not filtered by the readout learn from the error of the own step of what is
            above them, as they must online; otherwise from what the whole block makes of it.
        """
        last, held, seen = len(self.blocks) - 1, held_steps(self.network), error
        if held > 1:
            seen = error.new_zeros(held * len(error), *error.shape[1:])
            seen[held - 1 :: held] = error
        after: dict[int, Tensor] = {}
        for piece in self._pieces()[::-1]:
            pulled = self._errors(piece, seen[piece], paths, own_step, after)
            after = {index: found.start for index, found in pulled.items()}
            for index, found in pulled.items():
                through = None
                if index in self.filtered and (groups := self.traces[index].groups) is not None:
                    through = through_readout(pulled[last].start[0], groups, paths[index].matrix)
                _accumulate(self.gradients, index, self._gradients(index, piece, found, through))

    def _errors(
        self, piece: slice, seen: Tensor, paths: Mapping[int, Path], own_step: bool, after: Mapping[int, Tensor]
    ) -> dict[int, PulledBack]:
        """Return what the error over a piece of the block means for each layer; `after` is by the state behind it."""
        jacobians, last = self._jacobians(piece), len(self.blocks) - 1
        pulled = {last: pull_back(jacobians[last], final=after.get(last), seen=seen[None])}
        now = {last: _current(jacobians[last], SEEN) * seen}
        for index in range(last - 1, -1, -1):
            source, matrix = paths[index]
            direct = now[source] @ matrix
            signal = direct if own_step and index not in self.filtered else pulled[source].current @ matrix
            pulled[index] = pull_back(jacobians[index], final=after.get(index), emitted=signal[None])
            now[index] = _current(jacobians[index], EMITTED) * direct
        return pulled

    def learn_from_signals(self, signals: Mapping[int, Tensor]) -> None:
        """Add ``sum_t signal_j(t) e_ji(t)`` over the block; signals are ``(step, batch, neuron)`` by layer."""
        self._learn_from_emitted(signals, self.gradients)

    def gather_rates(self) -> None:
        """Add the gradient of the summed activity over the block, neuron by neuron, to what is kept of it."""
        ones = {index: torch.ones_like(self.blocks[index].emitted) for index in self.rated}
        self._learn_from_emitted(ones, self.of_rates)

    def _learn_from_emitted(self, signals: Mapping[int, Tensor], totals: dict[int, list[Tensor]]) -> None:
        after: dict[int, Tensor] = {}
        for piece in self._pieces()[::-1] if signals else []:
            for index, signal in signals.items():
                found = pull_back(
                    self._jacobians(piece)[index], final=after.get(index), emitted=signal[piece].unsqueeze(0)
                )
                after[index] = found.start
                _accumulate(totals, index, self._gradients(index, piece, found, None))

    def learn_from_rates(self, factors: Mapping[str, Tensor]) -> None:
        """Add the kept gradients of the summed activity, times a factor per neuron."""
        for name, factor in factors.items():
            index = self.names.index(name)
            count = sum(activity is not None for activity in self.blocks[index].activity)
            kept = self.of_rates.pop(index)
            scaled = [g * (factor[:, None] if k < count else factor) for k, g in enumerate(kept)]
            _accumulate(self.gradients, index, scaled)

    def advance(self) -> None:
        """Carry the traces over the block in hand."""
        for piece in self._pieces():
            jacobians, filters = self._jacobians(piece), None
            if self.filtered:
                self._groups = groups_of(jacobians[-1], self._groups)
                filters = filters_of(jacobians[-1], self._groups)
            for index, (block, traces) in enumerate(zip(self.blocks, self.traces, strict=True)):
                activity = [None if z is None else z[piece] for z in block.activity]
                traces.advance(jacobians[index], activity, filters if index in self.filtered else None)

    def write(self) -> None:
        """Add what was learnt since the last call to ``parameter.grad``; the weights may change after it."""
        learned, found = [], []
        for index, gradients in self.gradients.items():
            tensors = self.blocks[index].learned()
            learned += tensors
            # a constant of all neurons gets the sum over them
            found += [g.sum_to_size(tensor.shape) for tensor, g in zip(tensors, gradients, strict=True)]
        if learned:
            torch.autograd.backward(learned, found)
        self.gradients = {}

    def refresh(self) -> None:
        """Take up weights that have changed."""
        self.weights = self.network.effective_weights()

    def _pieces(self) -> list[slice]:
        """Return the pieces of the block that are linearised together, in order: as a rule one."""
        steps = len(self.blocks[0].emitted)
        return [slice(first, min(first + self._at_once, steps)) for first in range(0, steps, self._at_once)]

    def _jacobians(self, piece: slice) -> list[Jacobian]:
        """Return the Jacobian of every layer over a piece; those of the last piece asked for are kept."""
        if piece.start not in self._linearised:
            self._linearised = {piece.start: [block.jacobian(piece) for block in self.blocks]}
        return self._linearised[piece.start]

    def _gradients(self, index: int, piece: slice, found: PulledBack, through: Tensor | None) -> list[Tensor]:
        """Return gradients of a layer: of learned weights ``(post, pre)``, then of bias and constants per neuron."""
        block, traces = self.blocks[index], self.traces[index]
        current, start, first = found.current.flatten(0, 1), found.start[0], piece.start == 0
        gradients = [
            current.t() @ z[piece].flatten(0, 1) + (traces.link_gradient(number, start, through) if first else 0.0)
            for number, z in enumerate(block.activity)
            if z is not None
        ]
        own = found.inputs[0].sum((1, 2)) + (traces.own_gradient(start, through) if first else 0.0)
        return gradients + list((own if block.bias is not None else own[1:]).unbind())


def _accumulate(totals: dict[int, list[Tensor]], index: int, gradients: list[Tensor]) -> None:
    """Add gradients of a layer to its totals; they are this function's to keep."""
    if index not in totals:
        totals[index] = gradients
        return
    for total, gradient in zip(totals[index], gradients, strict=True):
        total += gradient


def _current(jacobian: Jacobian, row: int) -> Tensor:
    """Return the derivative of an output by the current of the same step."""
    return jacobian.values[row, jacobian.fields]
