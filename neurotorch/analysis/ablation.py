"""Lesions: pure functions from effective weights to effective weights.

A lesion takes the effective weights of one or several connections by address, and returns new ones in which some
existing (nonzero) connections are zero. Nothing is changed in place, so a network's parameters are never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from neurotorch.core.checks import check_finite, check_fraction, check_kind, nearest

Weights: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True)
class Ablation:
    """A named way to choose which connections are removed first.

    Parameters
    ----------
    name : str
        Under which the results are reported.
    apply : callable
        ``apply(weights, fraction, generator) -> weights``: a pure function of the effective weights by address, the
        fraction of the existing connections to remove, and a generator. It returns the same addresses and shapes.
    stochastic : bool
        Whether `apply` draws from the generator: if not, a study runs it once instead of repeating it.
    """

    name: str
    apply: Callable[[Weights, float, torch.Generator], Weights]
    stochastic: bool = True

    def __call__(self, weights: Weights, fraction: float, *, generator: torch.Generator | None = None) -> Weights:
        """Return the lesioned weights; `weights` stays as it is.

        Raises
        ------
        ValueError
            If `fraction` lies outside 0..1, a stochastic ablation gets no generator, or `apply` returns other addresses
            or shapes than it got.
        """
        check_fraction("fraction", fraction)
        if generator is None and self.stochastic:
            raise ValueError(
                f"The ablation {self.name!r} is random but got no `generator`: pass `torch.Generator().manual_seed(0)`."
            )
        lesioned = self.apply(
            {address: weight.detach().clone() for address, weight in weights.items()},
            fraction,
            torch.Generator() if generator is None else generator,
        )
        before = {address: tuple(weight.shape) for address, weight in weights.items()}
        after = {address: tuple(weight.shape) for address, weight in lesioned.items()}
        if before != after:
            raise ValueError(
                f"The ablation {self.name!r} got weights of shapes {before} but returned {after}: it must return every "
                "address with its shape."
            )
        return lesioned


def count_connections(weights: Weights) -> int:
    """Return the number of existing (nonzero) connections over all addresses."""
    return sum(int(torch.count_nonzero(weight)) for weight in weights.values())


def remove(weights: Weights, lesion: Mapping[str, Tensor]) -> Weights:
    """Return `weights` with zeros where `lesion` is True; addresses that are not in `lesion` are copied.

    Removing the same set twice is removing it once, and two sets can be removed in either order.

    Parameters
    ----------
    weights : mapping
        Effective weights ``(post, pre)`` by address.
    lesion : mapping
        Bool tensors of the same shapes, True where a connection is removed.

    Raises
    ------
    ValueError
        If `lesion` has an address that `weights` has not, or a tensor of another shape.
    """
    check_kind("weights", weights, Mapping, example="network.effective_weights()")
    check_kind("lesion", lesion, Mapping, example="{'cortex.recurrent': lost}")
    for address, places in lesion.items():
        if address not in weights:
            raise ValueError(
                f"`lesion` has the address {address!r}, but there are weights at {_listed(weights)}."
                f"{nearest(address, weights)}"
            )
        if places.shape != weights[address].shape or places.dtype != torch.bool:
            raise ValueError(
                f"`lesion[{address!r}]` is {places.dtype} of shape {tuple(places.shape)}, but it must be torch.bool of "
                f"shape {tuple(weights[address].shape)}, that of the weights."
            )
    return {
        address: torch.where(lesion[address], 0.0, weight) if address in lesion else weight.clone()
        for address, weight in weights.items()
    }


def remove_weakest(weights: Weights, fraction: float, generator: torch.Generator) -> Weights:
    """Return `weights` without the connections of smallest absolute weight.

    Exactly ``round(fraction * existing)`` of the existing connections of all addresses together are removed (a half
    rounds to even). Among equals the one that comes first goes first: by address in the order of the mapping, then by
    row, then by column. The lesions of rising fractions are nested.
    """
    del generator
    return _remove_first(weights, fraction, _magnitudes(weights).argsort(stable=True))


def remove_strongest(weights: Weights, fraction: float, generator: torch.Generator) -> Weights:
    """Return `weights` without the connections of largest absolute weight: counts and ties as in `remove_weakest`."""
    del generator
    return _remove_first(weights, fraction, _magnitudes(weights).argsort(stable=True, descending=True))


def remove_random(weights: Weights, fraction: float, generator: torch.Generator) -> Weights:
    """Return `weights` without connections drawn at random, each set of the exact count equally likely.

    Generators in the same state give the same order of removal for every fraction, so that the lesions of rising
    fractions are nested.
    """
    order = torch.randperm(len(_magnitudes(weights)), generator=generator, device=generator.device)
    return _remove_first(weights, fraction, order.cpu())


weakest = Ablation("weakest", remove_weakest, stochastic=False)
strongest = Ablation("strongest", remove_strongest, stochastic=False)
random = Ablation("random", remove_random)

STRATEGIES: Mapping[str, Ablation] = {ablation.name: ablation for ablation in (weakest, strongest, random)}
"""The ablations that a name on the command line can mean."""


def ablation_named(name: str) -> Ablation:
    """Return the ablation of that name, for a command line; in Python hand in the object.

    Raises
    ------
    ValueError
        If there is none: the error lists them all and the nearest.
    """
    if name not in STRATEGIES:
        raise ValueError(
            f"There is no ablation {name!r}: choose from {_listed(STRATEGIES)}.{nearest(name, STRATEGIES)}"
        )
    return STRATEGIES[name]


def _magnitudes(weights: Weights) -> Tensor:
    """Return the absolute values of the existing connections of all addresses, flattened, float64 on the CPU."""
    for address, weight in weights.items():
        check_finite(f"weights[{address!r}]", weight)
    flat = [weight.detach().flatten().cpu().double() for weight in weights.values()]
    joined = torch.cat(flat) if flat else torch.zeros(0, dtype=torch.float64)
    return joined[joined != 0].abs()


def _remove_first(weights: Weights, fraction: float, order: Tensor) -> Weights:
    """Remove the first ``round(fraction * existing)`` connections in `order`, which counts the existing ones."""
    gone = torch.zeros(len(order), dtype=torch.bool)
    gone[order[: round(fraction * len(order))]] = True
    lesion: dict[str, Tensor] = {}
    start = 0
    for address, weight in weights.items():
        existing = weight.detach().cpu() != 0
        stop = start + int(existing.sum())
        places = torch.zeros_like(existing)
        places[existing] = gone[start:stop]
        lesion[address] = places.to(weight.device)
        start = stop
    return remove(weights, lesion)


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(repr(name) for name in names)
