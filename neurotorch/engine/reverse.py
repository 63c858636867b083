"""The reverse scan of a circuit: exact gradients from the local Jacobians of its steps, block by block in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from neurotorch.core.trees import leaves
from neurotorch.engine.circuit import Link, Population
from neurotorch.engine.forward import Trace
from neurotorch.engine.linearise import Local, linearise
from neurotorch.engine.reverse_loop import Carried, Found, Received, through_links
from neurotorch.engine.slopes import Slope

RunBlock = Callable[
    [Sequence[Local], Sequence[Received], Sequence[Carried], Sequence[Link]], tuple[list[Found], list[Carried]]
]


class Reverse:
    """The reverse scan of a circuit.

    Parameters
    ----------
    populations, links, traces
        The circuit, and what its forward scan left.
    needs
        Whose gradients are wanted, in the order of the tensors that the scan was given.
    gradients
        Those of its outputs, in their order; None where an output has no part in the loss.
    record
        Whether states and currents are among the outputs.
    run_block
        The scan over one block: `reverse_loop.run_block`, or the compiled one.
    block_elements
        Elements of one Jacobian entry in a block.
    known
        What is known beforehand of the Jacobian of each population, where `run_block` can do with it.
    """

    def __init__(
        self,
        populations: Sequence[Population],
        links: Sequence[Link],
        traces: Sequence[Trace],
        *,
        needs: Sequence[bool],
        gradients: list[Tensor | None],
        record: bool,
        run_block: RunBlock,
        block_elements: int,
        known: Sequence[Sequence[Sequence[Slope]]] | None = None,
    ) -> None:
        self.populations, self.links, self.traces, self.record = populations, links, traces, record
        self.run_block, self.known = run_block, known
        self.steps = populations[0].current.shape[0]
        largest = max(trace.current[0].numel() for trace in traces)
        self.block = max(1, min(self.steps, block_elements // max(1, largest)))
        self._split_needs(list(needs))
        self._split_gradients(gradients)
        self.weights: list[Tensor | None] = [
            torch.zeros_like(link.weight) if need else None for link, need in zip(links, self.need_weight, strict=True)
        ]
        self.currents: list[list[Tensor]] = [[] for _ in populations]  # newest block first
        self.coefficients: list[list[Tensor]] = [
            [torch.zeros_like(leaf) for leaf, need in zip(leaves(p.coefficients), needed, strict=True) if need]
            for p, needed in zip(populations, self.need_coefficients, strict=True)
        ]
        self.drives: list[list[list[Tensor]]] = [[] for _ in populations]

    def _split_needs(self, needs: list[bool]) -> None:
        self.need_coefficients, self.need_state, self.need_history = [], [], []
        self.need_current, self.need_drive = [], []
        for p in self.populations:
            self.need_coefficients.append([needs.pop(0) for _ in leaves(p.coefficients)])
            self.need_state.append([needs.pop(0) for _ in leaves(p.state)])
            self.need_history.append(needs.pop(0))
            self.need_current.append(needs.pop(0))
            self.need_drive.append([needs.pop(0) for _ in p.drive])
        self.need_weight = needs

    def _split_gradients(self, gradients: list[Tensor | None]) -> None:
        self.received: list[Received] = []
        self.of_seen: list[Tensor | None] = []
        self.carried: list[Carried] = []
        for p, trace in zip(self.populations, self.traces, strict=True):
            fields = len(leaves(p.state))
            emitted = gradients.pop(0)
            self.of_seen.append(gradients.pop(0))
            final = [gradients.pop(0) for _ in range(fields)]
            zero = torch.zeros_like(trace.current[0])
            self.carried.append(Carried([zero if gradient is None else gradient for gradient in final], None))
            states: list[Tensor | None] = [None] * fields
            if self.record:
                states = [gradients.pop(0) for _ in range(fields)]
            self.received.append(Received(emitted, states, gradients.pop(0) if self.record else None))

    def run(self) -> list[Tensor | None]:
        """Return the gradients in the order of the tensors that the scan was given."""
        for stop in range(self.steps, 0, -self.block):
            self._run_block(slice(max(0, stop - self.block), stop))
        gradients: list[Tensor | None] = []
        for index, carry in enumerate(self.carried):
            found = iter(self.coefficients[index])
            gradients += [next(found) if need else None for need in self.need_coefficients[index]]
            gradients += [g if need else None for g, need in zip(carry.states, self.need_state[index], strict=True)]
            gradients.append(self._of_history(index) if self.need_history[index] else None)
            gradients.append(torch.cat(self.currents[index][::-1]) if self.need_current[index] else None)
            drives = iter([torch.cat(blocks[::-1]) for blocks in self.drives[index]])
            gradients += [next(drives) if need else None for need in self.need_drive[index]]
        return gradients + self.weights

    def _of_history(self, index: int) -> Tensor:
        zero = torch.zeros_like(self.traces[index].current[0])
        nothing: list[Tensor | None] = [None] * len(self.populations)
        total = through_links(index, self.links, zero, [carry.current for carry in self.carried], nothing)
        assert total is not None
        return total

    def _run_block(self, block: slice) -> None:
        locals_ = [
            linearise(
                population,
                trace,
                block,
                need_coefficients=self.need_coefficients[index],
                need_drive=self.need_drive[index],
                seen=self.of_seen[index],
                known=None if self.known is None else self.known[index],
            )
            for index, (population, trace) in enumerate(zip(self.populations, self.traces, strict=True))
        ]
        received = [
            Received(_during(block, r.emitted), [_during(block, g) for g in r.states], _during(block, r.current))
            for r in self.received
        ]
        found, self.carried = self.run_block(locals_, received, self.carried, self.links)
        for index, (local, gradients) in enumerate(zip(locals_, found, strict=True)):
            self._collect(index, block, local, gradients)

    def _collect(self, index: int, block: slice, local: Local, found: Found) -> None:
        """Add what a block contributes to the gradients of weights, coefficients and inputs."""
        for number, link in enumerate(self.links):
            total = self.weights[number]
            if link.post == index and total is not None:
                start = block.start + (0 if link.delayed else 1)
                activity = self.traces[link.pre].emitted[start : start + found.current.shape[0]]
                total += found.current.flatten(0, 1).t() @ activity.flatten(0, 1)
        if self.need_current[index]:
            self.currents[index].append(found.current)
        if not local.wanted:
            return
        seen = _during(block, self.of_seen[index])
        pairs = list(zip(local.outputs, [found.emitted, seen, *found.states], strict=True))
        pairs = [(output, gradient) for output, gradient in pairs if gradient is not None and output.requires_grad]
        taken = torch.autograd.grad(
            [output for output, _ in pairs], local.wanted, [gradient for _, gradient in pairs], allow_unused=True
        )
        gradients = [torch.zeros_like(x) if g is None else g for x, g in zip(local.wanted, taken, strict=True)]
        for total, gradient in zip(self.coefficients[index], gradients, strict=False):
            total += gradient
        drives = gradients[len(self.coefficients[index]) :]
        if drives and not self.drives[index]:
            self.drives[index] = [[] for _ in drives]
        for blocks, gradient in zip(self.drives[index], drives, strict=True):
            blocks.append(gradient)


def _during(block: slice, sequence: Tensor | None) -> Tensor | None:
    return None if sequence is None else sequence[block]
