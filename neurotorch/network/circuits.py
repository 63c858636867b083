"""Layers and their connections as circuits of the engine: which run in one scan, and what enters it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from neurotorch.connections.connection import Connection
from neurotorch.core.checks import shown
from neurotorch.engine import Link, Population
from neurotorch.network.forcing import Forcing
from neurotorch.network.layer import Layer, LayerState
from neurotorch.network.links import links_of
from neurotorch.network.observation import Observation


@dataclass(frozen=True)
class Conditions:
    """Under which a network runs.

    Attributes
    ----------
    steps, batch
        Extent of the run.
    weights
        Effective weights by address.
    replaced
        Addresses of those that are not the network's own.
    forcing
        Of the last layer.
    noise
        Currents ``(step, batch, neuron)`` by the name of a layer.
    """

    steps: int
    batch: int
    weights: Mapping[str, Tensor]
    replaced: frozenset[str]
    forcing: Forcing | None
    noise: Mapping[str, Tensor]


@dataclass(frozen=True)
class Circuits:
    """The layers of a network as the engine takes them.

    Attributes
    ----------
    layers, connections
        By name and by address; layers in the order in which a step visits them.
    loops
        Addresses of feedback to the numbers of its source and its target.
    observation
        What the instrument sees of the last layer.
    dt
        Step in seconds.
    """

    layers: Mapping[str, Layer]
    connections: Mapping[str, Connection]
    loops: Mapping[str, tuple[int, int]]
    observation: Observation | None
    dt: float

    def groups(self) -> list[range]:
        """Return runs of consecutive layers; those that share a loop run together."""
        # within one scan, delays between layers need no care
        entering = [layer.inputs for layer in self.layers.values()]
        late = [
            (k, k - 1) for k, inputs in enumerate(entering) if k and inputs is not None and inputs.delay is not None
        ]
        loops = [*self.loops.values(), *late]
        groups, start = [], 0
        while start < len(self.layers):
            stop = start + 1
            while (reach := max((s + 1 for s, t in loops if start <= t < stop), default=stop)) > stop:
                stop = reach
            groups.append(range(start, stop))
            start = stop
        return groups

    def circuit(
        self, group: range, activity: Tensor | None, state: tuple[LayerState, ...], during: Conditions
    ) -> tuple[list[Population], list[Link]]:
        """Return a group of layers; `activity` ``(step, batch, channel)`` enters the first of them."""
        populations, links = [], []
        layers = list(self.layers.items())
        for place, index in enumerate(group):
            name, layer = layers[index]
            weight = during.weights.get(f"{name}.inputs")
            if place and weight is not None:
                links += self._links(f"{name}.inputs", place - 1, place, during)
            outside = None if place else activity
            current, projections = layer.from_outside(outside, weight, steps=during.steps, batch=during.batch)
            if name in during.noise:
                current = current + during.noise[name]
            if layer.recurrent is not None:
                links += self._links(f"{name}.recurrent", place, place, during)
            if (conductance := during.weights.get(f"{name}.electrical")) is not None:
                links.append(layer.coupling(place, conductance))
            population = layer.population(
                current,
                state[index],
                dt=self.dt,
                observation=self.observation_of(index),
                forcing=self._forcing_of(index, during.forcing),
            )
            populations.append(population._replace(inputs=projections))
        for address, (source, target) in self.loops.items():
            if target in group:
                links += self._links(address, source - group.start, target - group.start, during)
        return populations, links

    def reach(self, index: int) -> int:
        """Return how many steps later what a layer emits may still arrive somewhere."""
        layers = list(self.layers.values())
        leaving = [(layers[index].recurrent, 1)]
        leaving += [(layers[index + 1].inputs, 0)] if index + 1 < len(layers) else []
        leaving += [(self.connections[address], 1) for address, (source, _) in self.loops.items() if source == index]
        return max([1, *(c.lags(self.dt, soonest=soonest)[-1] for c, soonest in leaving if c is not None)])

    def observation_of(self, index: int) -> Observation | None:
        """Return the observation that must run within the scan of a layer: a direct one is applied around it."""
        if index < len(self.layers) - 1 or self.observation is None or self.observation.is_direct():
            return None
        return self.observation

    def _forcing_of(self, index: int, forcing: Forcing | None) -> Forcing | None:
        """Return the forcing of a layer, in the unit of what its scan shows."""
        if index < len(self.layers) - 1 or forcing is None:
            return None
        if self.observation is None or not self.observation.is_direct():
            return forcing
        return Forcing(self.observation.inward(forcing.target), forcing.strength)

    def _links(self, address: str, pre: int, post: int, during: Conditions) -> list[Link]:
        return links_of(
            self.connections[address],
            during.weights[address],
            pre=pre,
            post=post,
            dt=self.dt,
            replaced=address in during.replaced,
        )


def check_state(state: object, names: Sequence[str]) -> None:
    """Raise unless `state` is None, or has the state of a layer for each of `names`."""
    if state is None:
        return
    if not isinstance(state, tuple) or not all(isinstance(each, LayerState) for each in state):
        raise TypeError(
            f"`state` is {shown(state)}, but it must be a tuple of LayerState: network.initial_state(batch)."
        )
    if len(state) != len(names):
        raise ValueError(f"The state is of {len(state)} layers, but the network has {len(names)}: {list(names)}.")
