r"""Exact gradients without a graph through time, for every model and with no code per model.

The forward scan keeps no graph, only the states and currents it met. Because a step is pointwise, its Jacobian at all
steps of a block is a handful of ``(time, batch, neuron)`` tensors, found by one call of the step on the whole block.
With ``lambda_a`` the gradient with respect to output ``a`` of the step (a state field, or the emitted activity ``z``)
the reverse scan is::

    g_z(t) = dL/dz(t) + W^T g_I(t+1)
    g_I(t) = sum_a J[a, I](t) lambda_a(t)
    lambda_b(t-1) = sum_a J[a, b](t) lambda_a(t)

and afterwards the weight gradients are one product over time and batch, those of the coefficients one vector-Jacobian
product.

Both scans over time exist twice, as a loop in torch and compiled; `neurotorch.engine.choice` says which runs. They
differ by rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from neurotorch.core.trees import leaves, rebuild, transform
from neurotorch.engine import compiled_forward, compiled_reverse, forward, reverse_loop
from neurotorch.engine.choice import Compiled, choose
from neurotorch.engine.circuit import Link, Population, Run, check_circuit
from neurotorch.engine.reverse import Reverse
from neurotorch.engine.slopes import slopes

BLOCK_ELEMENTS = 1 << 18
"""Elements of one Jacobian entry in a block of time. Larger blocks save calls, smaller ones memory."""


def scan(populations: Sequence[Population], links: Sequence[Link], *, record: bool = False) -> tuple[Run, ...]:
    """Run a circuit; the gradients equal those of the reference loop, and can be taken once (not through a gradient).

    Parameters and result are those of `neurotorch.engine.reference.scan`. Under autocast the scan keeps the dtype of
    its weights: a state that is rounded to half precision at every step does not keep small increments.
    """
    check_circuit(populations, links)
    with torch.autocast(populations[0].current.device.type, enabled=False):
        compiled = choose(populations, links)
        circuit = _Circuit(tuple(populations), tuple(links), record, compiled)
        if torch.is_grad_enabled():
            outputs = list(_Adjoint.apply(circuit, *_tensors(populations, links)))
        else:
            outputs = _forward(circuit, keep=False)[1]
    return _runs(populations, outputs, record)


class _Circuit(NamedTuple):
    """A circuit, what its caller wants recorded, and how it runs: None in torch."""

    populations: tuple[Population, ...]
    links: tuple[Link, ...]
    record: bool
    compiled: Compiled | None


def _forward(circuit: _Circuit, *, keep: bool) -> tuple[list[forward.Trace], list[Tensor]]:
    """Run the circuit without a graph; return what the reverse scan needs, and the outputs."""
    populations, links, record, compiled = circuit
    if compiled is None:
        return forward.run_forward(populations, links, record=record, keep=keep)
    return compiled_forward.run_forward(
        compiled.kernel, populations, links, compiled.programs, record=record, keep=keep
    )


def _tensors(populations: Sequence[Population], links: Sequence[Link]) -> list[Tensor]:
    return [leaf for population in populations for leaf in leaves(_open(population))] + [link.weight for link in links]


def _open(population: Population) -> tuple[Any, ...]:
    """Return the parts of a population that hold tensors."""
    return (population.coefficients, population.state, population.history, population.current, population.drive)


def _restore(circuit: _Circuit, tensors: Sequence[Tensor]) -> _Circuit:
    """Put tensors, in the order of `_tensors`, back into the circuit."""
    populations, start = [], 0
    for population in circuit.populations:
        count = len(leaves(_open(population)))
        populations.append(Population(population.step, *rebuild(_open(population), tensors[start : start + count])))
        start += count
    links = [link._replace(weight=weight) for link, weight in zip(circuit.links, tensors[start:], strict=True)]
    return circuit._replace(populations=tuple(populations), links=tuple(links))


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
        needed = any(ctx.needs_input_grad)
        traces, outputs = _forward(_restore(circuit, tensors), keep=needed)
        if needed:
            # Saved with autograd, not on `ctx`: freed after the backward pass, and guarded against changes in place.
            ctx.circuit, ctx.inputs = _hollow(circuit), len(tensors)
            ctx.kernel, ctx.known = None, None
            if circuit.compiled is not None:
                fields = [len(leaves(population.state)) for population in circuit.populations]
                ctx.kernel = circuit.compiled.kernel
                ctx.known = [slopes(*each) for each in zip(circuit.compiled.programs, fields, strict=True)]
            ctx.traces = transform(tuple(traces), lambda _: torch.empty(0))
            ctx.save_for_backward(*tensors, *leaves(tuple(traces)))
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        circuit = _restore(ctx.circuit, ctx.saved_tensors[: ctx.inputs])
        run_block: Any = reverse_loop.run_block
        if ctx.kernel is not None:
            run_block = functools.partial(compiled_reverse.run_block, ctx.kernel)
        # A caller may still be inside its autocast: the reverse scan keeps the dtype of the forward one.
        with torch.autocast(circuit.populations[0].current.device.type, enabled=False):
            reverse = Reverse(
                circuit.populations,
                circuit.links,
                rebuild(ctx.traces, ctx.saved_tensors[ctx.inputs :]),
                needs=ctx.needs_input_grad[1:],
                gradients=list(gradients),
                record=circuit.record,
                run_block=run_block,
                block_elements=BLOCK_ELEMENTS,
                known=ctx.known,
            )
            return (None, *reverse.run())


def _hollow(circuit: _Circuit) -> _Circuit:
    """Return the circuit with empty tensors in place of its own, which autograd keeps, and without its programs."""
    empty = torch.empty(0)
    tensors = [empty] * len(_tensors(circuit.populations, circuit.links))
    return _restore(circuit, tensors)._replace(compiled=None)
