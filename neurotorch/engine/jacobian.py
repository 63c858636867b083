"""The local Jacobian of a step over a block of time, and what a gradient becomes when it goes back through it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from neurotorch.core.trees import leaves, rebuild
from neurotorch.engine.circuit import Population

EMITTED, SEEN, STATE = 0, 1, 2
"""Rows of a Jacobian: what is emitted, what is seen, and from here on the fields of the state."""


class Jacobian(NamedTuple):
    """Derivatives of what a step returns by what it takes; pointwise, so that each is one number per neuron.

    Attributes
    ----------
    values
        ``(output, input, time, batch, neuron)``. Outputs are emitted, seen, and the fields of the state; inputs are the
        fields of the state, the current, and the constants that were asked for.
    fields
        How many fields the state has: the number of the input that is the current.
    """

    values: Tensor
    fields: int

    def of_state(self) -> Tensor:
        """Return the part from state and current to state, ``(field, field + 1, time, batch, neuron)``."""
        return self.values[STATE:, : self.fields + 1]

    def same_for_all_neurons(self) -> bool:
        """Return whether what a current leaves in the state is the same for all neurons, at every step."""
        part = self.of_state()
        return bool((part == part[..., :1]).all())


def local_jacobian(
    population: Population, before: Sequence[Tensor], current: Tensor, *, constants: Sequence[bool]
) -> Jacobian:
    """Call the step once on a whole block of time and take its pointwise derivatives.

    Parameters
    ----------
    population
        Its `step`, `coefficients` and `drive` are used.
    before
        The fields of the state before every step, ``(time, batch, neuron)`` each.
    current
        The summed current at every step.
    constants
        For every tensor in the coefficients, whether derivatives by it are wanted.
    """
    with torch.enable_grad():
        fields = [field.detach().requires_grad_() for field in before]
        at = current.detach().requires_grad_()
        coefficients = [
            leaf.detach().expand(current.shape).requires_grad_() if wanted else leaf.detach()
            for leaf, wanted in zip(leaves(population.coefficients), constants, strict=True)
        ]
        emitted, seen, after = population.step(
            rebuild(population.coefficients, coefficients),
            rebuild(population.state, fields),
            at,
            tuple(drive.detach() for drive in population.drive),
        )
    inputs = [*fields, at, *(leaf for leaf in coefficients if leaf.requires_grad)]
    outputs = [emitted, seen, *leaves(after)]
    values = current.new_zeros(len(outputs), len(inputs), *current.shape)
    done: dict[int, int] = {}  # an emitted rate is a field of the state, and often what is seen as well
    for row, output in enumerate(outputs):
        if (same := done.setdefault(id(output), row)) != row:
            values[row] = values[same]
        elif output.requires_grad:
            ones = torch.ones_like(output)
            found = torch.autograd.grad(output, inputs, ones, retain_graph=True, allow_unused=True)
            for column, entry in enumerate(found):
                if entry is not None:
                    values[row, column] = entry
    return Jacobian(values, len(fields))


class PulledBack(NamedTuple):
    """Gradients by what a block takes.

    `start` ``(seed, field, batch, neuron)``: by the state before it; `inputs` ``(seed, input, time, batch, neuron)``:
    by the current and by each constant, at every step.
    """

    start: Tensor
    inputs: Tensor

    @property
    def current(self) -> Tensor:
        """Of the first seed by the current, ``(time, batch, neuron)``."""
        return self.inputs[0, 0]


def pull_back(
    jacobian: Jacobian, *, final: Tensor | None = None, emitted: Tensor | None = None, seen: Tensor | None = None
) -> PulledBack:
    """Take gradients backwards through a block, along the states of each neuron alone.

    With ``lambda`` the gradient by the state after a step, and ``J[a, b]`` that of output ``a`` by input ``b``::

        lambda_b(t - 1) = sum_a J[a, b](t) lambda_a(t) + J[z, b](t) g_z(t) + J[y, b](t) g_y(t)

    Parameters
    ----------
    final
        ``(seed, field, batch, neuron)``: gradient by the state after the block; zero unless given.
    emitted, seen
        ``(seed, time, batch, neuron)`` or what broadcasts against it: gradient by what each step emits, and shows.
    """
    values, fields = jacobian
    steps, batch, neurons = values.shape[2:]
    if final is None:
        final = values.new_zeros(1, fields, batch, neurons)
    received: Tensor | None = None
    for row, gradient in ((EMITTED, emitted), (SEEN, seen)):
        if gradient is not None:
            part = gradient.unsqueeze(-4) * values[row]
            part = part if part.dim() == 5 else part.unsqueeze(0)
            received = part if received is None else received + part
    after, start = _carry(values[STATE:, :fields], final, None if received is None else received[:, :fields])
    inputs = final.new_zeros(final.shape[0], values.shape[1] - fields, steps, batch, neurons)
    if received is not None:
        inputs += received[:, fields:]
    for field in range(fields):
        inputs += after[:, :, field].transpose(0, 1).unsqueeze(1) * values[STATE + field, fields:]
    return PulledBack(start, inputs)


def _carry(between: Tensor, final: Tensor, received: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the gradient by the state after every step, ``(time, seed, field, batch, neuron)``, and before the first.

    `between` is ``(field, field, time, batch, neuron)``, `received` ``(seed, field, time, batch, neuron)``.
    """
    by_step = between.movedim(2, 0).unsqueeze(1).contiguous()  # (time, 1, after, before, batch, neuron)
    added = None if received is None else received.movedim(2, 0).contiguous()
    after, carried, single = [], final, between.shape[0] == 1
    for step in range(len(by_step) - 1, -1, -1):
        after.append(carried)
        carried = carried * by_step[step, :, 0] if single else (carried.unsqueeze(2) * by_step[step]).sum(1)
        if added is not None:
            carried = carried + added[step]
    return torch.stack(after[::-1]), carried


def check_pointwise(name: str, population: Population) -> None:
    """Raise if a neuron of `population` sees another one, in its sample or in another.

    The state is moved for half of the neurons at a time, halved by each digit of their number in turn, so that any two
    are told apart; the others must not change.

    Parameters
    ----------
    name
        Of the layer, for the error.
    population
        With a state of two samples; `current` ``(1, 2, neuron)`` gives the shape.
    """
    generator = torch.Generator().manual_seed(0)
    like = population.current[0]

    def draw() -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like)

    state, current = [leaf + draw() for leaf in leaves(population.state)], draw()
    other_state, other_current = [leaf + 3 * draw() for leaf in leaves(population.state)], 3 * draw()
    drive = tuple(entry[0] for entry in population.drive)

    def outputs(fields: list[Tensor], at: Tensor) -> list[Tensor]:
        emitted, seen, after = population.step(population.coefficients, rebuild(population.state, fields), at, drive)
        return [emitted, seen, *leaves(after)]

    number = torch.arange(like.numel(), device=like.device).reshape(like.shape)
    with torch.no_grad():
        reference = outputs(state, current)
        if any(output.shape != like.shape for output in reference):
            raise ValueError(f"The step of layer {name!r} does not return (batch, neuron) tensors of its own shape.")
        for digit in range(max(1, (like.numel() - 1).bit_length())):
            for moved in (number >> digit & 1 == 1, number >> digit & 1 == 0):
                fields = [torch.where(moved, new, old) for new, old in zip(other_state, state, strict=True)]
                found = outputs(fields, torch.where(moved, other_current, current))
                for one, other in zip(found, reference, strict=True):
                    if not torch.equal(one[~moved].nan_to_num(), other[~moved].nan_to_num()):
                        raise ValueError(_mixes(name))


def _mixes(name: str) -> str:
    return (
        f"The step of layer {name!r} is not pointwise: moving some neurons changed what others did. Local learning "
        "rules need a step in which each neuron sees only its own state and current: mix neurons by a Connection "
        "instead, or train with BPTT."
    )


def is_linear(population: Population) -> bool:
    """Return whether state and what is seen are affine in the state before and the current, as in a leaky readout.

    Judged by the Jacobian at 64 random points of many sizes, which must be the same.
    """
    generator = torch.Generator().manual_seed(0)
    points, neurons = 64, population.current.shape[-1]
    sizes = torch.logspace(-3, 3, points, dtype=torch.float64)[:, None, None]

    def draw() -> Tensor:
        return (sizes * torch.randn(points, 1, neurons, generator=generator, dtype=torch.float64)).to(
            population.current
        )

    before = [draw() for _ in leaves(population.state)]
    drive = tuple(entry[:1].expand(points, *entry.shape[1:]) for entry in population.drive)
    constants: list[Any] = [False] * len(leaves(population.coefficients))
    jacobian = local_jacobian(population._replace(drive=drive), before, draw(), constants=constants)
    part = jacobian.values[SEEN:]
    return bool(torch.isclose(part, part[:, :, :1], rtol=1e-6, atol=1e-9).all())
