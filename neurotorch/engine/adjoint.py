r"""Exact gradients without a graph through time, for every model and with no code per model.

The forward scan keeps no graph, only what the reverse scan reads of the states and currents it met. With ``lambda_a``
the gradient with respect to output ``a`` of the step (a state field, or the emitted activity ``z``) and ``J`` the
Jacobian of the pointwise step, the reverse scan is::

    g_z(t) = dL/dz(t) + W^T g_I(t+1)
    g_I(t) = sum_a J[a, I](t) lambda_a(t)
    lambda_b(t-1) = sum_a J[a, b](t) lambda_a(t)

Both scans exist twice. Compiled, the products with ``J`` are the reverse program of the step, found by differentiating
its list of operations; everything, the gradients of weights and coefficients too, is found in one pass
(`neurotorch.engine.compiled_scan`). In torch, ``J`` is found by one call of the step on a block of time
(`neurotorch.engine.reverse`), for every step and device. `neurotorch.engine.choice` says which runs; they differ by
rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from neurotorch.core.trees import leaves, rebuild, transform
from neurotorch.engine import compiled_scan, forward
from neurotorch.engine.asked import Wanted, split_received, split_wanted
from neurotorch.engine.choice import Compiled, choose
from neurotorch.engine.circuit import Link, Population, Run, project
from neurotorch.engine.circuit_checks import check_circuit
from neurotorch.engine.reverse import Reverse

BLOCK_ELEMENTS = 1 << 18
"""Elements of one Jacobian entry in a block of time of the scan in torch. Larger blocks save calls, smaller ones
memory."""


def scan(
    populations: Sequence[Population], links: Sequence[Link], *, record: bool = False, recompute: bool = False
) -> tuple[Run, ...]:
    """Run a circuit; the gradients equal those of the reference loop, and can be taken once (not through a gradient).

    Parameters and result are those of `neurotorch.engine.reference.scan`. With `recompute`, states are kept at the
    borders of about ``sqrt(time)`` blocks, and run again within a block for the reverse scan: less memory, one more
    forward scan, the same gradients bit for bit. It concerns compiled scans that record
    nothing and whose states take more memory than their weights.

    Under autocast the scan keeps the dtype of its weights: a state that is rounded to half precision at every step does
    not keep small increments.
    """
    check_circuit(populations, links)
    with torch.autocast(populations[0].current.device.type, enabled=False):
        compiled = choose(populations, links)
        if compiled is None:
            populations = [project(population) for population in populations]
        circuit = _Circuit(tuple(populations), tuple(links), record, recompute)
        if torch.is_grad_enabled():
            outputs: Sequence[Any] = _Adjoint.apply(circuit, compiled, *_tensors(populations, links))
        else:
            outputs = _forward(circuit, compiled, None)[1]
    return _runs(populations, outputs, record)


class _Circuit(NamedTuple):
    """A circuit, and what its caller wants recorded or recomputed."""

    populations: tuple[Population, ...]
    links: tuple[Link, ...]
    record: bool
    recompute: bool


def _forward(
    circuit: _Circuit, compiled: Compiled | None, wanted: Sequence[Wanted] | None
) -> tuple[Any, Sequence[Tensor | None]]:
    """Run the circuit without a graph; return what the reverse scan needs, and the outputs."""
    populations, links, record, recompute = circuit
    if compiled is None:
        return forward.run_forward(populations, links, record=record, keep=wanted is not None)
    return compiled_scan.forward(compiled, populations, links, wanted=wanted, record=record, recompute=recompute)


def _tensors(populations: Sequence[Population], links: Sequence[Link]) -> list[Tensor]:
    return [leaf for population in populations for leaf in leaves(_open(population))] + [link.weight for link in links]


def _open(population: Population) -> tuple[Any, ...]:
    """Return the parts of a population that hold tensors."""
    return (
        population.coefficients,
        population.state,
        population.history,
        population.current,
        population.drive,
        population.inputs,
    )


def _restore(circuit: _Circuit, tensors: Sequence[Tensor]) -> _Circuit:
    """Put tensors, in the order of `_tensors`, back into the circuit."""
    populations, start = [], 0
    for population in circuit.populations:
        count = len(leaves(_open(population)))
        populations.append(Population(population.step, *rebuild(_open(population), tensors[start : start + count])))
        start += count
    links = [link._replace(weight=weight) for link, weight in zip(circuit.links, tensors[start:], strict=True)]
    return circuit._replace(populations=tuple(populations), links=tuple(links))


def _runs(populations: Sequence[Population], outputs: Sequence[Any], record: bool) -> tuple[Run, ...]:
    runs, outputs = [], list(outputs)
    for population in populations:
        fields = len(leaves(population.state))
        emitted, seen = outputs.pop(0), outputs.pop(0)
        seen = emitted if seen is None else seen
        state = rebuild(population.state, [outputs.pop(0) for _ in range(fields)])
        if not record:
            runs.append(Run(emitted, seen, state))
            continue
        states = rebuild(population.state, [outputs.pop(0) for _ in range(fields)])
        runs.append(Run(emitted, seen, state, states, outputs.pop(0)))
    return tuple(runs)


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, circuit: _Circuit, compiled: Compiled | None, *tensors: Tensor) -> tuple[Tensor | None, ...]:
        ctx.set_materialize_grads(False)
        given = _restore(circuit, tensors)
        wanted = None
        if any(ctx.needs_input_grad):
            wanted, _ = split_wanted(circuit.populations, ctx.needs_input_grad[2:])
        kept, outputs = _forward(given, compiled, wanted)
        if wanted is not None:
            # Saved with autograd, not on `ctx`: freed after the backward pass, and guarded against changes in place.
            ctx.circuit, ctx.compiled, ctx.inputs = _hollow(circuit), compiled, len(tensors)
            ctx.kept = transform(kept, lambda _: torch.empty(0))
            ctx.save_for_backward(*tensors, *leaves(kept))
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        populations, links, record, _ = _restore(ctx.circuit, ctx.saved_tensors[: ctx.inputs])
        kept = rebuild(ctx.kept, ctx.saved_tensors[ctx.inputs :])
        wanted, weights = split_wanted(populations, ctx.needs_input_grad[2:])
        asked: dict[str, Any] = {
            "wanted": wanted,
            "weights": weights,
            "received": split_received(populations, gradients, record=record),
        }
        # A caller may still be inside its autocast: the reverse scan keeps the dtype of the forward one.
        with torch.autocast(populations[0].current.device.type, enabled=False):
            if ctx.compiled is not None:
                return (None, None, *compiled_scan.backward(ctx.compiled, populations, links, kept, **asked))
            return (None, None, *Reverse(populations, links, kept, **asked, block_elements=BLOCK_ELEMENTS).run())


def _hollow(circuit: _Circuit) -> _Circuit:
    """Return the circuit with empty tensors in place of its own, which autograd keeps."""
    empty = torch.empty(0)
    return _restore(circuit, [empty] * len(_tensors(circuit.populations, circuit.links)))
