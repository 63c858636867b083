"""What an engine refuses: circuits whose shapes or dtypes do not fit together."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from neurotorch.core.trees import leaves
from neurotorch.engine.circuit import Link, Population


def check_circuit(populations: Sequence[Population], links: Sequence[Link]) -> None:
    """Raise if shapes or dtypes of a circuit do not fit together."""
    if not len(populations[0].current):
        raise ValueError("The sequence has no time steps: give inputs of at least one step.")
    dtype = populations[0].history.dtype
    extent = tuple(populations[0].current.shape[:2])
    for index, population in enumerate(populations):
        reach = max([1, *(link.lag for link in links if link.pre == index)])
        _check_shapes(index, population, extent, reach)
        _check_dtypes(index, population, dtype)
    for link in links:
        _check_link(link, populations, dtype)


def _check_shapes(index: int, population: Population, extent: tuple[int, ...], reach: int) -> None:
    steps, batch = extent
    neurons = population.history.shape[-1]
    expected = (steps, batch, neurons)
    if tuple(population.current.shape) != expected:
        raise ValueError(
            f"The current of population {index} is {tuple(population.current.shape)}, "
            f"but (time, batch, neuron) is {expected} here."
        )
    for tensor in leaves(population.state):
        if tuple(tensor.shape) != (batch, neurons):
            raise ValueError(
                f"A state of population {index} is {tuple(tensor.shape)}, but (batch, neuron) is "
                f"{(batch, neurons)} here: start from a state of the same batch size, such as initial_state(batch)."
            )
    if population.history.shape[1:] != (batch, neurons) or len(population.history) < reach:
        raise ValueError(
            f"The history of population {index} is {tuple(population.history.shape)}, but (step, batch, neuron) is "
            f"{(reach, batch, neurons)} here, the longest delay counted in steps: start from a state of the same "
            "network and batch size, such as initial_state(batch)."
        )
    for activity, weight in population.inputs:
        shapes = ((steps, batch, weight.shape[-1]), (neurons, activity.shape[-1]))
        if (tuple(activity.shape), tuple(weight.shape)) != shapes:
            raise ValueError(
                f"Inputs of population {index} are {tuple(activity.shape)} through a weight "
                f"{tuple(weight.shape)}, but (time, batch, channel) and (neuron, channel) are {shapes} here."
            )


def _check_dtypes(index: int, population: Population, dtype: torch.dtype) -> None:
    # A constant of no dimension takes the dtype of what it meets; one given per neuron would promote it.
    constants = [leaf for leaf in leaves(population.coefficients) if leaf.dim()]
    for what, tensors in (
        ("The current", [population.current]),
        ("A state", [population.history, *leaves(population.state)]),
        ("The drive (the forcing, say)", population.drive),
        ("A constant given per neuron", constants),
        ("An input", leaves(population.inputs)),
    ):
        for tensor in tensors:
            if tensor.dtype != dtype:
                raise TypeError(
                    f"{what} of population {index} is {tensor.dtype}, but the circuit runs in {dtype}: "
                    "cast them to one dtype, for instance with inputs.to(dtype) or network.to(dtype)."
                )


def _check_link(link: Link, populations: Sequence[Population], dtype: torch.dtype) -> None:
    if link.field is not None and (link.pre != link.post or link.field >= len(leaves(populations[link.pre].state))):
        raise ValueError(
            f"A link from field {link.field} of the state of population {link.pre} ends on population {link.post}, "
            "but potentials act within one population, and the field must exist."
        )
    if link.lag < int(link.closes_loop):
        raise ValueError(
            f"A link from population {link.pre} to {link.post} has a delay of {link.lag} steps, but activity can "
            f"arrive no earlier than {int(link.closes_loop)} steps later."
        )
    shape = (populations[link.post].history.shape[-1], populations[link.pre].history.shape[-1])
    if tuple(link.weight.shape) != shape:
        raise ValueError(f"A weight is {tuple(link.weight.shape)}, but (post, pre) is {shape} here.")
    if link.pattern is not None and tuple(link.pattern.shape) != shape:
        raise ValueError(f"A pattern is of a weight {tuple(link.pattern.shape)}, but (post, pre) is {shape} here.")
    if link.weight.dtype != dtype:
        raise TypeError(
            f"A weight is {link.weight.dtype}, but the inputs are {dtype}: cast them to one dtype, "
            "for instance with inputs.to(dtype) or network.to(dtype)."
        )
