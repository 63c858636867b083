"""Models that are built from others: each needs an entry in `CASES`, since nothing else says what to build them of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import cycle, islice

import torch

from neurotorch.neurons import (
    LIF,
    AdaptiveLIF,
    CurrentLIF,
    CurrentRate,
    FiringRate,
    MixedRate,
    MixedSpiking,
    MultiTimescaleRate,
    NeuronModel,
    Tanh,
    WilsonCowan,
)


def mixed(
    population: type[NeuronModel], models: Mapping[str, Callable[..., NeuronModel]]
) -> Callable[..., NeuronModel]:
    """Return a factory of populations whose neurons are of each part in turn.

    It takes constants by their address, such as ``"population.models.a.tau_mem"``; one per neuron is one per neuron of
    the population, of which each part takes its own.
    """

    def factory(**values):
        wide = [value for value in values.values() if tensor_of(value).dim()]
        count = tensor_of(wide[0]).shape[-1] if wide else 5
        members = list(islice(cycle(models), count))
        parts = {}
        for name, model in models.items():
            own = [k for k, member in enumerate(members) if member == name]
            start = f"population.models.{name}."
            given = {key.removeprefix(start): value for key, value in values.items() if key.startswith(start)}
            parts[name] = model(**{key: picked(value, own) for key, value in given.items()})
        return population(parts, members)

    return factory


def tensor_of(value):
    return torch.as_tensor(value.value if isinstance(value, tuple) else value)


def picked(value, own):
    if isinstance(value, tuple):
        return value._replace(value=picked(value.value, own))
    return value[..., own] if tensor_of(value).dim() else value


CASES: dict[str, Callable[..., NeuronModel]] = {
    "MixedSpiking": mixed(MixedSpiking, {"adaptive": AdaptiveLIF, "plain": LIF}),
    "MixedSpiking-current": mixed(MixedSpiking, {"a": CurrentLIF, "b": LIF, "c": AdaptiveLIF}),
    "MixedRate": mixed(MixedRate, {"excitatory": FiringRate, "inhibitory": WilsonCowan}),
    "MixedRate-shown": mixed(
        MixedRate, {"a": lambda **values: CurrentRate(transfer=Tanh(), **values), "b": MultiTimescaleRate}
    ),
}
