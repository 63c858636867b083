"""What an engine runs: populations of pointwise units, and the links that mix their activity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor
from torch.nn import functional

from neurotorch.core.trees import leaves
from neurotorch.engine.pattern import Pattern

Step = Callable[[Any, Any, Tensor, tuple[Tensor, ...]], tuple[Tensor, Tensor, Any]]
"""``step(coefficients, state, current, drive) -> (emitted, seen, state)``, pure and pointwise."""


class Projection(NamedTuple):
    """Data that enter through a weight: they add ``weight @ activity(t)`` to a current.

    `activity` is ``(time, batch, channel)`` and gets no gradient, `weight` ``(neuron, channel)``. A current that is
    computed outside the scan takes memory for every neuron and step, and so does its gradient; here neither is kept.
    """

    activity: Tensor
    weight: Tensor


class Population(NamedTuple):
    """One population of a circuit.

    Attributes
    ----------
    step
        The pointwise step. `emitted` acts on other neurons, `seen` is what leaves the scan to be compared with data.
    coefficients
        Tree of tensors that broadcast against ``(batch, neuron)``.
    state
        Tree of ``(batch, neuron)`` tensors: the state before the first step.
    history
        ``(step, batch, neuron)``: what was emitted in the last steps before the first, the oldest first; at least as
        many as the longest lag of a link that leaves the population, and at least one.
    current
        ``(time, batch, neuron)``: input from outside the circuit.
    drive
        Further pointwise inputs of the step, each ``(time, batch or 1, neuron or 1)``.
    inputs
        What adds to `current` from outside the circuit.
    """

    step: Step
    coefficients: Any
    state: Any
    history: Tensor
    current: Tensor
    drive: tuple[Tensor, ...] = ()
    inputs: tuple[Projection, ...] = ()


class Link(NamedTuple):
    """A linear connection between populations `pre` and `post`, numbered in the order in which a step visits them.

    Activity arrives `delay` steps later; without one as soon as it can, within the step where ``pre < post`` and one
    step later otherwise. `weight` is ``(post, pre)``. With `detached`, what arrives is a constant: the weight gets its
    gradient, the activity of `pre` none. A circuit whose links with ``pre >= post`` are all detached is the graph of
    e-prop.

    With `field`, what the weight carries is not what `pre` emits but a field of its state as it is before the step, the
    number among ``leaves(state)``: electrical coupling within one population, ``pre == post``.

    A `pattern` says where the weight exists: elsewhere it is zero, and its gradient there is not wanted. Compiled scans
    multiply what exists only, where that is faster, and leave the rest of the gradient zero; activity that is not
    finite then reaches its targets only. Elsewhere the weight is dense, gradient included.
    """

    pre: int
    post: int
    weight: Tensor
    detached: bool = False
    delay: int | None = None
    field: int | None = None
    pattern: Pattern | None = None

    @property
    def closes_loop(self) -> bool:
        """Whether the link leads back to its own population or one before it."""
        return self.pre >= self.post

    @property
    def lag(self) -> int:
        """How many steps later activity arrives."""
        return int(self.closes_loop) if self.delay is None else self.delay


class Run(NamedTuple):
    """What a scan returns for one population.

    Attributes
    ----------
    emitted, seen
        ``(time, batch, neuron)``.
    state
        Tree of ``(batch, neuron)``: the state after the last step.
    states, currents
        The states after every step (a tree of ``(time, batch, neuron)``) and the summed currents, where they were asked
        for.
    """

    emitted: Tensor
    seen: Tensor
    state: Any
    states: Any = None
    currents: Tensor | None = None


def summed_current(
    post: int,
    external: Tensor,
    links: Sequence[Link],
    emitted: Sequence[Sequence[Tensor]],
    starts: Sequence[int],
    state: Any,
) -> Tensor:
    """Return the current into population `post` in one step: ``I + sum W z``.

    `emitted` holds what each population has emitted so far, and `starts` where this step's activity stands in it;
    `state` is that of `post` before the step.
    """
    for link in links:
        if link.post == post:
            if link.field is None:
                activity = emitted[link.pre][starts[link.pre] - link.lag]
            else:
                activity = leaves(state)[link.field]
            external = external + functional.linear(activity.detach() if link.detached else activity, link.weight)
    return external


def project(population: Population) -> Population:
    """Return the population with its inputs in its current."""
    current = population.current
    for activity, weight in population.inputs:
        current = current + functional.linear(activity.detach(), weight)
    return population._replace(current=current, inputs=())


def drive_at(population: Population, steps: int | slice) -> tuple[Tensor, ...]:
    """Return the drive of a population at one step or over a block of steps."""
    return tuple(drive[steps] for drive in population.drive)
