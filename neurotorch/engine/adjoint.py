r"""Exact gradients without a graph through time, for every model and with no code per model.

The forward scan keeps no graph, only the states and currents it met. Because a step is pointwise, its Jacobian at all steps of a
block is a handful of ``(time, batch, neuron)`` tensors, found by one call of the step on the whole block. With ``lambda_a`` the
gradient with respect to output ``a`` of the step (a state field, or the emitted activity ``z``) the reverse scan is::

    g_z(t) = dL/dz(t) + W^T g_I(t+1)
    g_I(t) = sum_a J[a, I](t) lambda_a(t)
    lambda_b(t-1) = sum_a J[a, b](t) lambda_a(t)

and afterwards the weight gradients are one product over time and batch, those of the coefficients one vector-Jacobian product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from neurotorch.core.trees import leaves, rebuild, transform
from neurotorch.engine.circuit import Link, Population, Run, check_circuit, drive_at, summed_current

BLOCK_ELEMENTS = 1 << 18
"""Elements of one Jacobian entry in a block of time. Larger blocks save calls, smaller ones memory; between 2**16 and 2**20 the time
of a gradient differs by less than a tenth."""


def scan(populations: Sequence[Population], links: Sequence[Link], *, record: bool = False) -> tuple[Run, ...]:
    """Run a circuit; the gradients equal those of the reference loop, and can be taken once (not through a gradient).

    Parameters and result are those of `neurotorch.engine.reference.scan`. Under autocast the scan keeps the dtype of its weights:
    a state that is rounded to half precision at every step does not keep small increments.
    """
    check_circuit(populations, links)
    with torch.autocast(populations[0].current.device.type, enabled=False):
        if torch.is_grad_enabled():
            circuit = _Circuit(tuple(populations), tuple(links), record)
            outputs = list(_Adjoint.apply(circuit, *_tensors(populations, links)))
        else:
            outputs = _forward(populations, links, record, keep=False)[1]
    return _runs(populations, outputs, record)


class _Circuit(NamedTuple):
    """A circuit, and what its caller wants recorded."""

    populations: tuple[Population, ...]
    links: tuple[Link, ...]
    record: bool


class _Trace(NamedTuple):
    """What the forward scan of one population leaves for the reverse scan; time is axis 0."""

    before: tuple[Tensor, ...]  # state fields before every step
    current: Tensor
    emitted: Tensor  # one step longer: the history comes first


def _tensors(populations: Sequence[Population], links: Sequence[Link]) -> list[Tensor]:
    return [leaf for population in populations for leaf in leaves(_open(population))] + [link.weight for link in links]


def _open(population: Population) -> tuple[Any, ...]:
    """Return the parts of a population that hold tensors."""
    return (population.coefficients, population.state, population.history, population.current, population.drive)


def _restore(circuit: _Circuit, tensors: Sequence[Tensor]) -> tuple[list[Population], list[Link]]:
    """Put tensors, in the order of `_tensors`, back into the circuit."""
    populations, start = [], 0
    for population in circuit.populations:
        count = len(leaves(_open(population)))
        populations.append(Population(population.step, *rebuild(_open(population), tensors[start : start + count])))
        start += count
    links = [link._replace(weight=weight) for link, weight in zip(circuit.links, tensors[start:], strict=True)]
    return populations, links


def _runs(populations: Sequence[Population], outputs: list[Tensor], record: bool) -> tuple[Run, ...]:
    runs = []
    for population in populations:
        fields = len(leaves(population.state))
        emitted, seen = outputs.pop(0), outputs.pop(0)
        state = rebuild(population.state, [outputs.pop(0) for _ in range(fields)])
        if not record:
            runs.append(Run(emitted, seen, state))
            continue
        states = rebuild(population.state, [outputs.pop(0) for _ in range(fields)])
        runs.append(Run(emitted, seen, state, states, outputs.pop(0)))
    return tuple(runs)


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, circuit: _Circuit, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        populations, links = _restore(circuit, tensors)
        needed = any(ctx.needs_input_grad)
        traces, outputs = _forward(populations, links, circuit.record, needed)
        if needed:
            # Saved with autograd, not on `ctx`: freed after the backward pass, and guarded against changes in place.
            ctx.circuit, ctx.inputs = _hollow(circuit), len(tensors)
            ctx.traces = transform(tuple(traces), lambda _: torch.empty(0))
            ctx.save_for_backward(*tensors, *leaves(tuple(traces)))
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        populations, links = _restore(ctx.circuit, ctx.saved_tensors[: ctx.inputs])
        traces = rebuild(ctx.traces, ctx.saved_tensors[ctx.inputs :])
        # A caller may still be inside its autocast: the reverse scan keeps the dtype of the forward one.
        with torch.autocast(populations[0].current.device.type, enabled=False):
            reverse = _Reverse(
                populations, links, traces, ctx.needs_input_grad[1:], list(gradients), ctx.circuit.record
            )
            return (None, *reverse.run())


def _hollow(circuit: _Circuit) -> _Circuit:
    """Return the circuit with empty tensors in place of its own, which autograd keeps."""
    empty = torch.empty(0)
    tensors = [empty] * len(_tensors(circuit.populations, circuit.links))
    populations, links = _restore(circuit, tensors)
    return _Circuit(tuple(populations), tuple(links), circuit.record)


def _forward(
    populations: Sequence[Population], links: Sequence[Link], record: bool, keep: bool
) -> tuple[list[_Trace], list[Tensor]]:
    """Run the circuit without a graph; return what the reverse scan needs, and the outputs."""
    states: list[Any] = [population.state for population in populations]
    emitted = [[population.history] for population in populations]
    seen: list[list[Tensor]] = [[] for _ in populations]
    fields: list[list[list[Tensor]]] = [[leaves(state)] for state in states]
    currents: list[list[Tensor]] = [[] for _ in populations]
    for t in range(populations[0].current.shape[0]):
        before = [sequence[-1] for sequence in emitted]
        now: list[Tensor] = []
        for index, population in enumerate(populations):
            current = summed_current(index, population.current[t], links, now, before)
            z, y, states[index] = population.step(
                population.coefficients, states[index], current, drive_at(population, t)
            )
            now.append(z)
            emitted[index].append(z)
            seen[index].append(y)
            if keep or record:
                fields[index].append(leaves(states[index]))
                currents[index].append(current)
    traces, outputs = [], []
    for index, state in enumerate(states):
        activity = torch.stack(emitted[index])
        outputs += [activity[1:], torch.stack(seen[index]), *[leaf.clone() for leaf in leaves(state)]]
        if keep or record:
            sequences = [torch.stack(field) for field in zip(*fields[index], strict=True)]
            current = torch.stack(currents[index])
            traces.append(_Trace(tuple(sequence[:-1] for sequence in sequences), current, activity))
            if record:
                outputs += [*[sequence[1:] for sequence in sequences], current]
    return traces, outputs


class _Local(NamedTuple):
    """The local Jacobian of one population over a block of time; entries that vanish are None."""

    outputs: list[Tensor]  # emitted, seen, state fields: with a graph to `wanted` and the block's inputs
    of_emitted: list[Tensor | None]  # d emitted / d (state fields, current)
    of_state: list[list[Tensor | None]]  # d state field / d (state fields, current)
    from_seen: list[Tensor | None]  # (dL/d seen) d seen / d (state fields, current)
    wanted: list[Tensor]  # coefficients and drives whose gradient is wanted
    emitted_field: int | None  # the state field that is the emitted activity itself, as in most rate models


class _Reverse:
    """The reverse scan of a circuit, block by block."""

    def __init__(
        self,
        populations: Sequence[Population],
        links: Sequence[Link],
        traces: Sequence[_Trace],
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

    def _linearise(self, index: int, block: slice) -> _Local:
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
        return _Local(
            outputs,
            [None] * len(inputs) if emitted_field is not None else _derivatives(z, inputs, torch.ones_like(z)),
            [_derivatives(field, inputs, torch.ones_like(field)) for field in fields],
            [None] * len(inputs) if seen is None else _derivatives(y, inputs, seen[block]),
            [leaf for leaf in (*coefficients, *drive) if leaf.requires_grad],
            emitted_field,
        )

    def _collect(
        self, index: int, block: slice, local: _Local, g_z: Tensor | None, g_state: list[Tensor], g_current: Tensor
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


def _pull_back(local: _Local, t: int, g_z: Tensor | None, g_state: Sequence[Tensor]) -> list[Tensor]:
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
