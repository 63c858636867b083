"""The gradient of rules that are local in time, gathered block by block as a window goes by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from neurotorch.engine.eligibility import Eligibility, Filters, filters_of, groups_of, through_readout
from neurotorch.engine.jacobian import EMITTED, SEEN, Jacobian, PulledBack, pull_back
from neurotorch.learning.feedback import Path
from neurotorch.learning.local_block import LayerBlock, held_steps, run_block
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
        self.rates: dict[str, Tensor] = {}
        self.rated = [self.names.index(name) for name in rated]
        self.of_rates: dict[int, list[Tensor]] = {}
        self.steps, self._groups = 0, None if not filtered else torch.zeros(network.neurons, dtype=torch.long)

    def run(self, inputs: Tensor | None, *, frames: int, forcing: Forcing | None) -> NetworkRun:
        """Run the network over the next block of frames."""
        run, self.blocks = run_block(
            self.network, inputs, self.state, frames=frames, forcing=forcing, weights=self.weights
        )
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
        last = len(self.blocks) - 1
        held, seen = held_steps(self.network), error
        if held > 1:
            seen = error.new_zeros(held * len(error), *error.shape[1:])
            seen[held - 1 :: held] = error
        pulled = {last: pull_back(self.blocks[last].jacobian, seen=seen[None])}
        now = {last: _current(self.blocks[last].jacobian, SEEN) * seen}
        for index in range(last - 1, -1, -1):
            source, matrix = paths[index]
            jacobian = self.blocks[index].jacobian
            direct = now[source] @ matrix
            signal = direct if own_step and index not in self.filtered else pulled[source].current @ matrix
            pulled[index] = pull_back(jacobian, emitted=signal[None])
            now[index] = _current(jacobian, EMITTED) * direct
        for index, found in pulled.items():
            through = None
            if index in self.filtered and (groups := self.traces[index].groups) is not None:
                through = through_readout(pulled[last].start[0], groups, paths[index].matrix)
            self._add(index, self._gradients(index, found, through))

    def learn_from_signals(self, signals: Mapping[int, Tensor]) -> None:
        """Add ``sum_t signal_j(t) e_ji(t)`` over the block; signals are ``(step, batch, neuron)`` by layer."""
        for index, signal in signals.items():
            found = pull_back(self.blocks[index].jacobian, emitted=signal[None])
            self._add(index, self._gradients(index, found, None))

    def gather_rates(self) -> None:
        """Add the gradient of the summed activity over the block, neuron by neuron, to what is kept of it."""
        for index in self.rated:
            jacobian = self.blocks[index].jacobian
            found = pull_back(jacobian, emitted=jacobian.values.new_ones(1, 1, 1, 1))
            gradients = self._gradients(index, found, None)
            kept = self.of_rates.get(index)
            self.of_rates[index] = gradients if kept is None else [a + b for a, b in zip(kept, gradients, strict=True)]

    def learn_from_rates(self, factors: Mapping[str, Tensor]) -> None:
        """Add the kept gradients of the summed activity, times a factor per neuron."""
        for name, factor in factors.items():
            index = self.names.index(name)
            count = sum(activity is not None for activity in self.blocks[index].activity)
            kept = self.of_rates.pop(index)
            self._add(index, [g * (factor[:, None] if k < count else factor) for k, g in enumerate(kept)])

    def advance(self) -> None:
        """Carry the traces over the block in hand."""
        filters: Filters | None = None
        if self.filtered:
            readout = self.blocks[-1].jacobian
            assert self._groups is not None
            self._groups = groups_of(readout, self._groups)
            filters = filters_of(readout, self._groups)
        for index, (block, traces) in enumerate(zip(self.blocks, self.traces, strict=True)):
            traces.advance(block.jacobian, block.activity, filters if index in self.filtered else None)

    def write(self) -> None:
        """Add what was learnt since the last call to ``parameter.grad``; the weights may change after it."""
        learned, found = [], []
        for index, gradients in self.gradients.items():
            block = self.blocks[index]
            tensors = [w for w, z in zip(block.weights, block.activity, strict=True) if z is not None]
            tensors += [] if block.bias is None else [block.bias]
            tensors += block.constants
            learned += tensors
            # a constant of all neurons gets the sum over them
            found += [g.sum_to_size(tensor.shape) for tensor, g in zip(tensors, gradients, strict=True)]
        if learned:
            torch.autograd.backward(learned, found)
        self.gradients = {}

    def refresh(self) -> None:
        """Take up weights that have changed."""
        self.weights = self.network.effective_weights()

    def _gradients(self, index: int, found: PulledBack, through: Tensor | None) -> list[Tensor]:
        """Return gradients of a layer: of learned weights ``(post, pre)``, then of bias and constants per neuron."""
        block, traces = self.blocks[index], self.traces[index]
        current, start = found.current.flatten(0, 1), found.start[0]
        gradients = [
            current.t() @ z.flatten(0, 1) + traces.link_gradient(number, start, through)
            for number, z in enumerate(block.activity)
            if z is not None
        ]
        own = found.inputs[0].sum((1, 2)) + traces.own_gradient(start, through)
        return gradients + list((own if block.bias is not None else own[1:]).unbind())

    def _add(self, index: int, gradients: list[Tensor]) -> None:
        _accumulate(self.gradients, index, gradients)


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
