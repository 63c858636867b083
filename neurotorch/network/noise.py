"""Process noise: random currents into the neurons of a network, drawn outside its steps from an explicit generator."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from neurotorch.core.checks import as_tensor, check_finite, check_kind, check_positive, nearest
from neurotorch.network.network import Network


class Noise(abc.ABC):
    """A random current, independent between neurons and samples."""

    @abc.abstractmethod
    def draw(self, steps: int, batch: int, neurons: int, *, dt: float, generator: torch.Generator) -> Tensor:
        """Return a current ``(step, batch, neuron)`` for steps of `dt` seconds."""


@dataclass(frozen=True, eq=False)
class WhiteNoise(Noise):
    r"""Gaussian noise, drawn anew for every step.

    With ``n`` standard normal::

        I(t) = std sqrt(at / dt) n(t)          (std n(t) without `at`)

    Parameters
    ----------
    std
        Standard deviation of the current in steps of `at` seconds, for all neurons or ``(neuron,)``.
    at
        The step in seconds for which `std` is meant. In other steps the current is scaled such that its integral over a
        time keeps its variance ``std^2 at`` per second, as a delta-correlated current has it: what a model that takes
        ``(dt / tau) I``, as rate neurons do, needs to do the same in other steps. None: `std` in steps of any length.

    Notes
    -----
    The LIF models take ``I`` outright, as what arrives in a step, so that all of their currents scale with `dt`: to
    halve the step there, halve constant currents and divide the `std` of white noise by ``sqrt(2)``.
    """

    std: float | Tensor
    at: float | None = None

    def __post_init__(self) -> None:
        _check_std(self.std)
        if self.at is not None:
            check_positive("at", self.at, "s")

    def draw(self, steps: int, batch: int, neurons: int, *, dt: float, generator: torch.Generator) -> Tensor:
        """Return a current ``(step, batch, neuron)`` for steps of `dt` seconds."""
        scale = 1.0 if self.at is None else math.sqrt(self.at / dt)
        return scale * _wide(self.std, neurons, generator) * _normal(steps, batch, neurons, generator)


@dataclass(frozen=True, eq=False)
class OrnsteinUhlenbeck(Noise):
    r"""Gaussian noise with a memory: an Ornstein-Uhlenbeck process, exact in steps of any length.

    With ``a = exp(-dt / tau)`` and ``n`` standard normal::

        I(0) = std n(0)
        I(t) = a I(t - dt) + std sqrt(1 - a^2) n(t)

    so that at every step it has the standard deviation `std`, and ``E[I(t) I(t + s)] = std^2 exp(-s / tau)``. Every
    draw begins anew in that distribution.

    Parameters
    ----------
    std
        Standard deviation of the current, for all neurons or ``(neuron,)``.
    tau
        Correlation time in seconds.

    References
    ----------
    Uhlenbeck & Ornstein 1930, doi:10.1103/PhysRev.36.823; the exact update is that of Gillespie 1996,
    doi:10.1103/PhysRevE.54.2084, equation 1.9.
    """

    std: float | Tensor
    tau: float

    def __post_init__(self) -> None:
        _check_std(self.std)
        check_positive("tau", self.tau, "s")

    def draw(self, steps: int, batch: int, neurons: int, *, dt: float, generator: torch.Generator) -> Tensor:
        """Return a current ``(step, batch, neuron)`` for steps of `dt` seconds."""
        decay = math.exp(-dt / self.tau)
        current = _normal(steps, batch, neurons, generator)
        current[1:] *= math.sqrt(-math.expm1(-2 * dt / self.tau))
        for step in range(1, steps):
            current[step] += decay * current[step - 1]
        return _wide(self.std, neurons, generator) * current


NoiseLike = float | Tensor | Noise
"""A standard deviation, for all neurons or per neuron, drawn anew for every step; or what draws a current."""


def noise_currents(
    network: Network,
    noise: NoiseLike | Mapping[str, NoiseLike],
    *,
    frames: int,
    batch: int,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Return noise by name of layer, as `Network.run` takes it.

    Parameters
    ----------
    network
        The network.
    noise
        For all layers, or by their names; a number or tensor is the standard deviation of `WhiteNoise`.
    frames, batch
        For how long, and for how many samples.
    generator
        Where it is drawn from, layer after layer in their order.
    """
    check_kind("generator", generator, torch.Generator, example="torch.Generator().manual_seed(0)")
    layers = network.named_layers()
    given = noise if isinstance(noise, Mapping) else dict.fromkeys(layers, noise)
    for name in given:
        if name not in layers:
            raise ValueError(f"`noise` names no layer {name!r}; there are {list(layers)}.{nearest(name, layers)}")
    steps = frames * round(network.frame_dt / network.dt)
    currents = {}
    for name, layer in layers.items():
        if name in given:
            source = _source(name, given[name])
            drawn = source.draw(steps, batch, layer.neurons, dt=network.dt, generator=generator)
            currents[name] = drawn.to(layer.like())
    return currents


def _source(name: str, noise: NoiseLike) -> Noise:
    if isinstance(noise, Noise):
        return noise
    if isinstance(noise, (int, float, Tensor)):
        return WhiteNoise(noise)
    raise TypeError(
        f"The noise of layer {name!r} is a {type(noise).__name__}, but it must be a standard deviation, "
        "WhiteNoise(...) or OrnsteinUhlenbeck(...)."
    )


def _normal(steps: int, batch: int, neurons: int, generator: torch.Generator) -> Tensor:
    return torch.randn(steps, batch, neurons, generator=generator, device=generator.device)


def _check_std(std: float | Tensor) -> None:
    values = as_tensor("std", std)
    check_finite("std", values)
    if bool((values < 0).any()):
        raise ValueError(f"`std` holds {float(values.min()):g}, but a standard deviation is at least 0.")


def _wide(std: float | Tensor, neurons: int, generator: torch.Generator) -> Tensor:
    values = torch.as_tensor(std, dtype=torch.get_default_dtype(), device=generator.device)
    shape = tuple(values.shape)
    if shape not in ((), (neurons,)):
        raise ValueError(f"`std` is of shape {shape}, but the layer has {neurons} neurons: give one or all.")
    return values
