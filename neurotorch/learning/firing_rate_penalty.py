"""A penalty on firing rates that stray from a target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from neurotorch.core.checks import check_not_negative, check_positive, nearest
from neurotorch.learning.penalty import Penalty
from neurotorch.network.network import Network, NetworkRun


@runtime_checkable
class RatePenalty(Penalty, Protocol):
    """A penalty that is a function of mean rates, so that it can be followed while a window comes in."""

    def rated(self, network: Network) -> list[str]:
        """Return the names of the layers whose rates count."""
        ...

    def of_rates(self, network: Network, rates: Sequence[Tensor]) -> Tensor:
        """Return the scalar for mean activity per step, ``(neuron,)`` for each layer of `rated`."""
        ...


class FiringRatePenalty:
    r"""Keep firing rates near a target.

    It adds ::

        strength * 1/2 sum_j (f_j - target)^2,    f_j = mean over time and batch of z_j

    Parameters
    ----------
    target
        Rate per step; in hertz where `dt` is given.
    strength
        Factor of the penalty, 1.
    layers
        Names of the layers; by default all that emit spikes.
    dt
        Step of the network in seconds, where `target` is in hertz: the rate in hertz is the one per step over `dt`.

    References
    ----------
    Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, Methods, "firing rate regularization".
    """

    name = "firing_rate"

    def __init__(
        self,
        target: float,
        strength: float = 1.0,
        *,
        layers: Sequence[str] | None = None,
        dt: float | None = None,
    ) -> None:
        self.target, self.strength = check_not_negative("target", target), check_positive("strength", strength)
        if isinstance(layers, str):
            raise TypeError(f"`layers` is {layers!r}, but it must be a list of names: [{layers!r}].")
        if layers is not None and not layers:
            raise ValueError("`layers` is empty: name at least one layer, or leave it out for all that emit spikes.")
        self.layers = None if layers is None else list(layers)
        self.dt = None if dt is None else check_positive("dt", dt, "s")

    def rated(self, network: Network) -> list[str]:
        """Return the names of the layers whose rates count."""
        layers = network.named_layers()
        if self.layers is None:
            found = [name for name, layer in layers.items() if layer.neuron.emits == "spikes"]
            if not found:
                raise ValueError(f"No layer of {list(layers)} emits spikes: name those to keep in `layers`.")
            return found
        for name in self.layers:
            if name not in layers:
                raise ValueError(f"`layers` names {name!r}; there are {list(layers)}.{nearest(name, layers)}")
        return self.layers

    def of_rates(self, network: Network, rates: Sequence[Tensor]) -> Tensor:
        """Return the penalty for mean activity per step."""
        del network
        unit = 1.0 if self.dt is None else self.dt
        return 0.5 * self.strength * torch.stack([((rate / unit - self.target) ** 2).sum() for rate in rates]).sum()

    def __call__(self, network: Network, run: NetworkRun) -> Tensor:
        """Return the penalty for what the network did."""
        emitted = dict(zip(network.layers, run.runs, strict=True))
        return self.of_rates(network, [emitted[name].emitted.mean((0, 1)) for name in self.rated(network)])
