"""The reverse scan of a circuit: exact gradients from the local Jacobians of its steps, block by block in time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from neurotorch.core.trees import leaves
from neurotorch.engine.asked import Received, Wanted
from neurotorch.engine.circuit import Link, Population
from neurotorch.engine.forward import Trace
from neurotorch.engine.linearise import Local, linearise
from neurotorch.engine.reverse_loop import Carried, Found, run_block, through_links


class Reverse:
    """The reverse scan of a circuit, as a loop in torch: for every step and device.

    Parameters
    ----------
    populations, links, traces
        The circuit, and what its forward scan left.
    wanted, weights, received
        Whose gradients are wanted, and those of the outputs.
    block_elements
        Elements of one Jacobian entry in a block.
    """

    def __init__(
        self,
        populations: Sequence[Population],
        links: Sequence[Link],
        traces: Sequence[Trace],
        *,
        wanted: Sequence[Wanted],
        weights: Sequence[bool],
        received: Sequence[Received],
        block_elements: int,
    ) -> None:
        self.populations, self.links, self.traces = populations, links, traces
        self.wanted, self.received = wanted, received
        self.steps = populations[0].current.shape[0]
        largest = max(trace.current[0].numel() for trace in traces)
        self.block = max(1, min(self.steps, block_elements // max(1, largest)))
        self.carried = [
            Carried([torch.zeros_like(p.history[0]) if g is None else g for g in each.final], [])
            for p, each in zip(populations, received, strict=True)
        ]
        self.weights: list[Tensor | None] = [
            torch.zeros_like(link.weight) if need else None for link, need in zip(links, weights, strict=True)
        ]
        self.currents: list[list[Tensor]] = [[] for _ in populations]  # newest block first
        self.coefficients: list[list[Tensor]] = [
            [
                torch.zeros_like(leaf)
                for leaf, need in zip(leaves(p.coefficients), want.coefficients, strict=True)
                if need
            ]
            for p, want in zip(populations, wanted, strict=True)
        ]
        self.drives: list[list[list[Tensor]]] = [[] for _ in populations]

    def run(self) -> list[Tensor | None]:
        """Return the gradients in the order of the tensors that the scan was given."""
        for stop in range(self.steps, 0, -self.block):
            self._run_block(slice(max(0, stop - self.block), stop))
        gradients: list[Tensor | None] = []
        for index, (carry, want) in enumerate(zip(self.carried, self.wanted, strict=True)):
            found = iter(self.coefficients[index])
            gradients += [next(found) if need else None for need in want.coefficients]
            gradients += [g if need else None for g, need in zip(carry.states, want.state, strict=True)]
            gradients.append(self._of_history(index) if want.history else None)
            gradients.append(torch.cat(self.currents[index][::-1]) if want.current else None)
            drives = iter([torch.cat(blocks[::-1]) for blocks in self.drives[index]])
            gradients += [next(drives) if need else None for need in want.drive]
        return gradients + self.weights

    def _of_history(self, index: int) -> Tensor:
        first = [carry.currents for carry in self.carried]
        rows = []
        for row, zero in enumerate(torch.zeros_like(self.populations[index].history)):
            before = len(self.populations[index].history) - row  # the first step
            total = through_links(index, self.links, zero, [None] * len(first), first, before=before)
            rows.append(zero if total is None else total)
        return torch.stack(rows)

    def _run_block(self, block: slice) -> None:
        locals_ = [
            linearise(
                population,
                trace,
                block,
                need_coefficients=self.wanted[index].coefficients,
                need_drive=self.wanted[index].drive,
                seen=self.received[index].seen,
            )
            for index, (population, trace) in enumerate(zip(self.populations, self.traces, strict=True))
        ]
        received = [each.during(block) for each in self.received]
        found, self.carried = run_block(locals_, received, self.carried, self.links)
        for index, (local, gradients) in enumerate(zip(locals_, found, strict=True)):
            self._collect(index, block, local, gradients, received[index].seen)

    def _collect(self, index: int, block: slice, local: Local, found: Found, seen: Tensor | None) -> None:
        """Add what a block contributes to the gradients of weights, coefficients and inputs."""
        for number, link in enumerate(self.links):
            total = self.weights[number]
            if link.post == index and total is not None:
                if link.field is None:
                    start = block.start + len(self.populations[link.pre].history) - link.lag
                    activity = self.traces[link.pre].emitted[start : start + found.current.shape[0]]
                else:
                    activity = self.traces[link.pre].before[link.field][block]
                total += found.current.flatten(0, 1).t() @ activity.flatten(0, 1)
        if self.wanted[index].current:
            self.currents[index].append(found.current)
        if not local.wanted:
            return
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
