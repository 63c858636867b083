"""The reverse scan: exact gradients from the local Jacobians of a step, block by block in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from neurotorch.core.trees import leaves, rebuild
from neurotorch.engine.circuit import Link, Population, drive_at
from neurotorch.engine.forward import Trace


class Local(NamedTuple):
    """The local Jacobian of one population over a block of time; entries that vanish are None."""

    outputs: list[Tensor]  # emitted, seen, state fields: with a graph to `wanted` and the block's inputs
    of_emitted: list[Tensor | None]  # d emitted / d (state fields, current)
    of_state: list[list[Tensor | None]]  # d state field / d (state fields, current)
    from_seen: list[Tensor | None]  # (dL/d seen) d seen / d (state fields, current)
    wanted: list[Tensor]  # coefficients and drives whose gradient is wanted
    emitted_field: int | None  # the state field that is the emitted activity itself, as in most rate models


class Reverse:
    """The reverse scan of a circuit, block by block."""

    def __init__(
        self,
        populations: Sequence[Population],
        links: Sequence[Link],
        traces: Sequence[Trace],
        needs: Sequence[bool],
        gradients: list[Tensor | None],
        record: bool,
    ) -> None:
        self.populations, self.links, self.traces, self.record = populations, links, traces, record
        self.steps = populations[0].current.shape[0]
        largest = max(trace.current[0].numel() for trace in traces)
        self.block = max(1, min(self.steps, BLOCK_ELEMENTS // max(1, largest)))
        self._split_needs(list(needs))
        self._split_gradients(gradients)
        self.weights: list[Tensor | None] = [
            torch.zeros_like(link.weight) if need else None for link, need in zip(links, self.need_weight, strict=True)
        ]
        self.currents: list[list[Tensor]] = [[] for _ in populations]  # newest block first
        self.next_current: list[Tensor | None] = [None] * len(populations)  # g_I of the step after
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
        self.of_emitted, self.of_seen = [], []
        self.of_states: list[list[Tensor | None]] = []
        self.of_currents: list[Tensor | None] = []
        self.lambdas: list[list[Tensor]] = []  # gradient with respect to the state after the step in hand
        for p, trace in zip(self.populations, self.traces, strict=True):
            fields = len(leaves(p.state))
            self.of_emitted.append(gradients.pop(0))
            self.of_seen.append(gradients.pop(0))
            final = [gradients.pop(0) for _ in range(fields)]
            zero = torch.zeros_like(trace.current[0])
            self.lambdas.append([zero if gradient is None else gradient for gradient in final])
            self.of_states.append([gradients.pop(0) for _ in range(fields)] if self.record else [None] * fields)
            self.of_currents.append(gradients.pop(0) if self.record else None)

    def run(self) -> list[Tensor | None]:
        """Return the gradients in the order of `_tensors`."""
        for stop in range(self.steps, 0, -self.block):
            self._run_block(slice(max(0, stop - self.block), stop))
        gradients: list[Tensor | None] = []
        for index in range(len(self.populations)):
            found = iter(self.coefficients[index])
            gradients += [next(found) if need else None for need in self.need_coefficients[index]]
            gradients += [
                g if need else None for g, need in zip(self.lambdas[index], self.need_state[index], strict=True)
            ]
            gradients.append(self._through_links(index, delayed=True) if self.need_history[index] else None)
            gradients.append(torch.cat(self.currents[index][::-1]) if self.need_current[index] else None)
            drives = iter([torch.cat(blocks[::-1]) for blocks in self.drives[index]])
            gradients += [next(drives) if need else None for need in self.need_drive[index]]
        return gradients + self.weights

    def _run_block(self, block: slice) -> None:
        locals_ = [self._linearise(index, block) for index in range(len(self.populations))]
        steps = block.stop - block.start
        lambda_z: list[list[Tensor]] = [[] for _ in self.populations]
        lambda_s: list[list[list[Tensor]]] = [[] for _ in self.populations]
        lambda_i: list[list[Tensor]] = [[] for _ in self.populations]
        now: list[Tensor | None] = [None] * len(self.populations)
        for t in range(steps - 1, -1, -1):
            now = [None] * len(self.populations)
            for index in range(len(self.populations) - 1, -1, -1):
                g_z = self._gradient_of_emitted(index, block.start + t, now)
                g_s = self._gradients_of_state(index, block.start + t)
                field = locals_[index].emitted_field
                if field is not None and g_z is not None:
                    g_s[field] = g_s[field] + g_z
                *g_before, g_i = _pull_back(locals_[index], t, g_z, g_s)
                if (extra := self.of_currents[index]) is not None:
                    g_i = g_i + extra[block.start + t]
                now[index] = g_i
                self.lambdas[index] = g_before
                if field is None:
                    lambda_z[index].append(torch.zeros_like(g_i) if g_z is None else g_z)
                lambda_s[index].append(g_s)
                lambda_i[index].append(g_i)
            self.next_current = now
        for index, local in enumerate(locals_):
            g_current = torch.stack(lambda_i[index][::-1])
            g_state = [torch.stack(field[::-1]) for field in zip(*lambda_s[index], strict=True)]
            g_z = torch.stack(lambda_z[index][::-1]) if lambda_z[index] else None
            self._collect(index, block, local, g_z, g_state, g_current)

    def _gradient_of_emitted(self, index: int, step: int, now: Sequence[Tensor | None]) -> Tensor | None:
        external = self.of_emitted[index]
        total = None if external is None else external[step]
        for gradients, delayed in ((self.next_current, True), (now, False)):
            for link in self.links:
                gradient = gradients[link.post]
                if link.pre == index and link.delayed == delayed and gradient is not None:
                    product = gradient @ link.weight
                    total = product if total is None else total + product
        return total

    def _through_links(self, index: int, *, delayed: bool) -> Tensor:
        total = torch.zeros_like(self.traces[index].current[0])
        for link in self.links:
            gradient = self.next_current[link.post]
            if link.pre == index and link.delayed == delayed and gradient is not None:
                total = total + gradient @ link.weight
        return total

    def _gradients_of_state(self, index: int, step: int) -> list[Tensor]:
        externals = self.of_states[index]
        return [
            g if external is None else g + external[step]
            for g, external in zip(self.lambdas[index], externals, strict=True)
        ]

    def _linearise(self, index: int, block: slice) -> Local:
        """Call the step on a whole block of time and take its pointwise derivatives."""
        population, trace = self.populations[index], self.traces[index]
        with torch.enable_grad():
            before = [field[block].detach().requires_grad_() for field in trace.before]
            current = trace.current[block].detach().requires_grad_()
            coefficients = [
                leaf.detach().requires_grad_(need)
                for leaf, need in zip(leaves(population.coefficients), self.need_coefficients[index], strict=True)
            ]
            drive = [
                leaf.detach().requires_grad_(need)
                for leaf, need in zip(drive_at(population, block), self.need_drive[index], strict=True)
            ]
            z, y, after = population.step(
                rebuild(population.coefficients, coefficients),
                rebuild(population.state, before),
                current,
                tuple(drive),
            )
        fields = leaves(after)
        outputs = [z, y, *fields]
        emitted_field = next((number for number, leaf in enumerate(fields) if leaf is z), None)
        inputs = [*before, current]
        seen = self.of_seen[index]
        return Local(
            outputs,
            [None] * len(inputs) if emitted_field is not None else _derivatives(z, inputs, torch.ones_like(z)),
            [_derivatives(field, inputs, torch.ones_like(field)) for field in fields],
            [None] * len(inputs) if seen is None else _derivatives(y, inputs, seen[block]),
            [leaf for leaf in (*coefficients, *drive) if leaf.requires_grad],
            emitted_field,
        )

    def _collect(
        self, index: int, block: slice, local: Local, g_z: Tensor | None, g_state: list[Tensor], g_current: Tensor
    ) -> None:
        """Add what a block contributes to the gradients of weights, coefficients and inputs."""
        for number, link in enumerate(self.links):
            total = self.weights[number]
            if link.post == index and total is not None:
                start = block.start + (0 if link.delayed else 1)
                activity = self.traces[link.pre].emitted[start : start + g_current.shape[0]]
                total += g_current.flatten(0, 1).t() @ activity.flatten(0, 1)
        if self.need_current[index]:
            self.currents[index].append(g_current)
        if not local.wanted:
            return
        seen = self.of_seen[index]
        pairs = list(zip(local.outputs, [g_z, None if seen is None else seen[block], *g_state], strict=True))
        pairs = [(output, gradient) for output, gradient in pairs if gradient is not None and output.requires_grad]
        found = torch.autograd.grad(
            [output for output, _ in pairs], local.wanted, [gradient for _, gradient in pairs], allow_unused=True
        )
        gradients = [torch.zeros_like(x) if g is None else g for x, g in zip(local.wanted, found, strict=True)]
        for total, gradient in zip(self.coefficients[index], gradients, strict=False):
            total += gradient
        drives = gradients[len(self.coefficients[index]) :]
        if drives and not self.drives[index]:
            self.drives[index] = [[] for _ in drives]
        for blocks, gradient in zip(self.drives[index], drives, strict=True):
            blocks.append(gradient)


def _derivatives(output: Tensor, inputs: Sequence[Tensor], seed: Tensor) -> list[Tensor | None]:
    """Return ``seed * d output / d input`` for every input, None where it vanishes."""
    if not output.requires_grad:
        return [None] * len(inputs)
    return list(torch.autograd.grad(output, inputs, seed, retain_graph=True, allow_unused=True))


def _pull_back(local: Local, t: int, g_z: Tensor | None, g_state: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradients with respect to the state fields before step `t` and the current of step `t`."""
    pulled = []
    for number, base in enumerate(local.from_seen):
        total = None if base is None else base[t]
        for row, gradient in ((local.of_emitted, g_z), *zip(local.of_state, g_state, strict=True)):
            entry = row[number]
            if entry is not None and gradient is not None:
                total = entry[t] * gradient if total is None else torch.addcmul(total, entry[t], gradient)
        pulled.append(torch.zeros_like(g_state[0]) if total is None else total)
    return pulled
