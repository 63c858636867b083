"""A network over a block of frames, as rules that are local in time see it: layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from neurotorch.connections.electrical import laplacian
from neurotorch.core.trees import leaves
from neurotorch.engine import Population
from neurotorch.engine.jacobian import Jacobian, check_pointwise, is_linear, local_jacobian
from neurotorch.network.delays import arriving, held
from neurotorch.network.forcing import Forcing
from neurotorch.network.layer import Layer
from neurotorch.network.network import Network, NetworkRun, NetworkState
from neurotorch.neurons.base import NeuronModel

BLOCK_FRAMES, BLOCK_ELEMENTS = 128, 1 << 23
"""Frames of an online block, and numbers that the Jacobians in hand may hold; they bound memory, not the result."""


class LayerBlock(NamedTuple):
    """One layer over a block of steps.

    Attributes
    ----------
    population
        Its step, coefficients with their graph to learned constants, and drive.
    before
        The fields of the state before every step, ``(time, batch, neuron)`` each.
    current, emitted
        ``(time, batch, neuron)``.
    weights
        Effective weights ``(post, pre)`` that end on the layer, with their graph to the parameters.
    activity
        For each of them what it carries, ``(time, batch, pre)``; None where the weight is not learned.
    bias
        The constant current, with its graph; None where it is not learned.
    """

    population: Population
    before: list[Tensor]
    current: Tensor
    emitted: Tensor
    weights: list[Tensor]
    activity: list[Tensor | None]
    bias: Tensor | None

    def jacobian(self, piece: slice) -> Jacobian:
        """Linearise some of the steps; after state and current, the inputs are the coefficients that are learned."""
        population = self.population._replace(drive=tuple(drive[piece] for drive in self.population.drive))
        wanted = [leaf.requires_grad for leaf in leaves(population.coefficients)]
        return local_jacobian(
            population, [field[piece] for field in self.before], self.current[piece], constants=wanted
        )

    def learned(self) -> list[Tensor]:
        """Return what is learned, with its graph: weights, bias, coefficients."""
        found = [weight for weight, z in zip(self.weights, self.activity, strict=True) if z is not None]
        found += [] if self.bias is None else [self.bias]
        return found + [leaf for leaf in leaves(self.population.coefficients) if leaf.requires_grad]


class AffineCoefficients(NamedTuple):
    """`neuron`: those of the model; `gain`, `offset` of a direct observation."""

    neuron: Any
    gain: Any
    offset: Any


@dataclass(frozen=True)
class AffineStep:
    """The step of a neuron that is observed directly, the affine map of the observation included.

    A scan leaves that map to the network; here its constants have to meet the same Jacobian as those of the neuron.
    """

    model: type[NeuronModel]

    def __call__(self, coefficients: Any, state: Any, current: Tensor, drive: tuple[Tensor, ...]) -> tuple[Any, ...]:
        """Return ``(emitted, seen, state)``."""
        c = coefficients
        emitted, state = self.model.step(c.neuron, state, current)
        seen = c.offset + c.gain * self.model.observe(state, emitted)
        if drive:
            assert self.model.force is not None  # Layer.population checks
            target, strength = drive
            emitted, state = self.model.force(c.neuron, state, (target - c.offset) / c.gain, strength)
        return emitted, seen, state


def population_of(
    network: Network, name: str, current: Tensor, state: Any, forcing: Forcing | None = None
) -> Population:
    """Return layer `name` as a population whose `seen` is the output of the network, for the last layer.

    `current` is ``(time, batch, neuron)``, `state` its `LayerState`.
    """
    layer = network.named_layers()[name]
    if name != list(network.layers)[-1]:
        return layer.population(current, state, dt=network.dt)
    observation = network.observation
    if observation is None or not observation.is_direct():
        return layer.population(current, state, dt=network.dt, observation=observation, forcing=forcing)
    population = layer.population(current, state, dt=network.dt, forcing=forcing)
    constants = AffineCoefficients(population.coefficients, observation.gain(), observation.offset())
    return population._replace(step=AffineStep(type(layer.neuron)), coefficients=constants)


def run_block(
    network: Network,
    inputs: Tensor | None,
    state: NetworkState,
    *,
    frames: int,
    forcing: Forcing | None,
    weights: Mapping[str, Tensor],
) -> tuple[NetworkRun, list[LayerBlock]]:
    """Run a network over a block of frames without a graph, and return what each layer did.

    `weights` are its present effective weights, with their graph.
    """
    with torch.no_grad():
        run = network.run(inputs, state, frames=frames, forcing=forcing, weights=weights, record=True)
    blocks = []
    for index, (name, layer) in enumerate(network.named_layers().items()):
        own = run.runs[index]
        assert own.currents is not None
        before = [
            torch.cat([start[None], after[:-1]])
            for start, after in zip(leaves(state[index].neuron), leaves(own.states), strict=True)
        ]
        links = _links(network, index, inputs, state, run, weights)
        if f"{name}.electrical" in weights:
            assert layer.potential is not None
            links.append((laplacian(weights[f"{name}.electrical"]), before[layer.potential]))
        blocks.append(
            LayerBlock(
                population_of(network, name, own.currents, state[index], forcing),
                before,
                own.currents,
                own.emitted,
                [weight for weight, _ in links],
                [activity if weight.requires_grad else None for weight, activity in links],
                _learned_bias(layer),
            )
        )
    return run, blocks


def _learned_bias(layer: Layer) -> Tensor | None:
    bias = None if layer.bias is None else layer.bias()
    return bias if bias is not None and bias.requires_grad else None


def _links(
    network: Network,
    index: int,
    inputs: Tensor | None,
    state: NetworkState,
    run: NetworkRun,
    weights: Mapping[str, Tensor],
) -> list[tuple[Tensor, Tensor]]:
    """Return the weights that end on a layer, split by delay, and the activity ``(time, batch, pre)`` of each."""
    names, connections = list(network.layers), network.connections()
    name, found = names[index], []

    def add(address: str, before: Tensor, sequence: Tensor, soonest: int) -> None:
        for lag, part in connections[address].parts(network.dt, weights[address], soonest=soonest):
            found.append((part, arriving(before, sequence, lag)))

    if f"{name}.inputs" in connections:
        if index:
            add(f"{name}.inputs", state[index - 1].history, run.runs[index - 1].emitted, 0)
        elif inputs is not None or state[0].underway is not None:
            before = state[0].underway
            if before is None:
                assert inputs is not None
                before = inputs[:0]
            add(f"{name}.inputs", before, held(inputs, len(run.runs[0].emitted), before), 0)
    if f"{name}.recurrent" in connections:
        add(f"{name}.recurrent", state[index].history, run.runs[index].emitted, 1)
    for address in network.feedback:
        source, target = address.split(" -> ")
        if target == name:
            place = names.index(source)
            add(address, state[place].history, run.runs[place].emitted, 1)
    return found


def held_steps(network: Network) -> int:
    """Return the steps in one frame."""
    return 1 if network.observation is None else network.observation.steps_per_frame


def block_ends(network: Network, frames: int, samples: int, *, every: int, whole: bool) -> list[tuple[int, bool]]:
    """Return where the blocks of a window of `frames` end, and whether the weights are updated there.

    Updates come after each `every` frames, save at the end of the window; with `whole` the window is one block.
    """
    if whole:
        return [(frames, False)]
    block = max(1, min(BLOCK_FRAMES, steps_at_once(network, samples) // held_steps(network)))
    ends = {*range(every, frames, every), frames}
    for start in range(0, frames, every):
        ends |= set(range(start + block, min(start + every, frames), block))
    return [(end, end % every == 0 and end < frames) for end in sorted(ends)]


def steps_at_once(network: Network, samples: int) -> int:
    """Return how many steps can be linearised together within `BLOCK_ELEMENTS`."""
    total = 0
    for (name, layer), state in zip(network.named_layers().items(), network.initial_state(samples), strict=True):
        current = layer.like().new_zeros(held_steps(network), samples, layer.neurons)
        population = population_of(network, name, current, state)
        fields = len(leaves(population.state))
        constants = sum(leaf.requires_grad for leaf in leaves(population.coefficients))
        total += (fields + 2) * (fields + 1 + constants) * samples * layer.neurons
    return max(1, BLOCK_ELEMENTS // total)


def check_layers_pointwise(network: Network) -> None:
    """Raise if in the step of a layer one neuron sees another."""
    with torch.no_grad():
        state = network.initial_state(2)
        for (name, layer), start in zip(network.named_layers().items(), state, strict=True):
            current = layer.like().new_zeros(held_steps(network), 2, layer.neurons)
            check_pointwise(name, population_of(network, name, current, start))


def readout_is_linear(network: Network) -> bool:
    """Return whether the last layer is affine in its state and current, in what is observed of it, too."""
    name, layer = list(network.named_layers().items())[-1]
    with torch.no_grad():
        current = layer.like().new_zeros(held_steps(network), 1, layer.neurons)
        return is_linear(population_of(network, name, current, network.initial_state(1)[-1]))
