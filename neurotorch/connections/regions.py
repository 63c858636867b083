"""Regions: named groups of neurons, whose blocks of a weight matrix are addressed as ``"tectum -> hindbrain"``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from neurotorch.core.checks import as_tensor, check_count, check_fraction, check_generator, check_kind, nearest, shown

ARROW, ANY = " -> ", "*"


@dataclass(frozen=True)
class Regions:
    """Named groups of the neurons of one population.

    Groups may overlap and need not hold every neuron: a nucleus may be part of a region, and a neuron of none.

    Parameters
    ----------
    groups : mapping
        Name of each region to the indices of its neurons.
    neurons : int
        Number of neurons of the population.

    Raises
    ------
    ValueError
        If a region is empty, holds a neuron twice or one that does not exist, or has a name that an address cannot.
    """

    groups: Mapping[str, tuple[int, ...]]
    neurons: int

    def __post_init__(self) -> None:
        check_count("neurons", self.neurons)
        check_kind("groups", self.groups, Mapping, example="{'tectum': [0, 1, 2]}")
        if not self.groups:
            raise ValueError("`groups` is empty: name at least one region.")
        for name, members in self.groups.items():
            if not isinstance(name, str):
                raise TypeError(f"A region is named {name!r}, but names are text.")
            members = _indices(name, members)
            if not name.strip() or ARROW.strip() in name or name == ANY:
                raise ValueError(f"A region is named {name!r}, but a name is not empty, not '*', and holds no '->'.")
            if not len(members) or len(set(members)) != len(members):
                raise ValueError(f"The region {name!r} must hold at least one neuron, and each once: {shown(members)}.")
            outside = [j for j in members if not 0 <= j < self.neurons]
            if outside:
                raise ValueError(
                    f"The region {name!r} holds the neurons {outside[:8]}, but the population has {self.neurons}, "
                    f"counted from 0 to {self.neurons - 1}."
                )
        plain = {name: _indices(name, members) for name, members in self.groups.items()}
        object.__setattr__(self, "groups", plain)

    @classmethod
    def of_labels(cls, labels: Sequence[str | None]) -> Self:
        """Return the regions of neurons that are labelled one by one, in order of appearance; None is in no region."""
        if isinstance(labels, str):
            raise TypeError(f"`labels` is the text {labels!r}, but it must hold one region per neuron.")
        check_kind("labels", labels, Sequence, example="['tectum', 'tectum', 'hindbrain', None]")
        groups: dict[str, list[int]] = {}
        for neuron, label in enumerate(labels):
            if label is not None:
                groups.setdefault(str(label), []).append(neuron)
        return cls({name: tuple(members) for name, members in groups.items()}, len(labels))

    def members(self, name: str) -> tuple[int, ...]:
        """Return the neurons of a region, or of all of the population for ``"*"``."""
        if name == ANY:
            return tuple(range(self.neurons))
        if name not in self.groups:
            raise ValueError(f"There is no region {name!r}; there are {list(self.groups)}.{nearest(name, self.groups)}")
        return self.groups[name]

    def block(self, *addresses: str) -> Tensor:
        """Return the mask ``(post, pre)`` of all pairs in the named blocks, a neuron with itself included.

        It is a mask for a connection and a lesion for `neurotorch.analysis.remove`, which takes bools by address:
        ``remove(network.effective_weights(), {"brain.recurrent": regions.block("tectum -> hindbrain")})``.

        Parameters
        ----------
        addresses
            ``"source -> target"``: from the neurons of one region to those of another or the same one; ``"*"`` stands
            for the whole population.
        """
        mask = torch.zeros(self.neurons, self.neurons, dtype=torch.bool)
        for address in _listed(addresses):
            mask |= self._pairs(address)
        return mask

    def sparse(
        self,
        densities: Mapping[str, float],
        *,
        generator: torch.Generator | None = None,
        self_connections: bool = False,
    ) -> Tensor:
        """Return a random mask ``(post, pre)`` with an exact count of connections in each block.

        Parameters
        ----------
        densities
            ``"source -> target"`` to the fraction in 0..1 of its possible connections that exist: of each exactly
            ``round(density * possible)``. Blocks that are not named are empty; those that overlap are drawn one by one
            and united.
        generator
            Where the randomness comes from; torch's own unless given.
        self_connections
            Whether a neuron may connect to itself.
        """
        mask = torch.zeros(self.neurons, self.neurons, dtype=torch.bool)
        device = check_generator(generator)
        check_kind("densities", densities, Mapping, example="{'tectum -> hindbrain': 0.1}")
        for address, density in densities.items():
            share = check_fraction(f"densities[{address!r}]", density)
            possible = self._pairs(address)
            if not self_connections:
                possible.fill_diagonal_(False)
            places = possible.flatten().nonzero().flatten()
            order = torch.randperm(len(places), generator=generator, device=device).cpu()
            mask.view(-1)[places[order[: round(share * len(places))]]] = True
        return mask

    def _pairs(self, address: str) -> Tensor:
        if not isinstance(address, str):
            raise TypeError(f"A block is addressed as 'source -> target', but one is {shown(address)}: pass texts.")
        ends = [end.strip() for end in address.split(ARROW.strip())]
        if len(ends) != 2:
            raise ValueError(f"A block is addressed as 'source -> target', but one is {address!r}.")
        source, target = (torch.tensor(self.members(end)) for end in ends)
        mask = torch.zeros(self.neurons, self.neurons, dtype=torch.bool)
        mask[target[:, None], source[None, :]] = True
        return mask


def _listed(addresses: Iterable[str]) -> list[str]:
    found = list(addresses)
    if not found:
        raise ValueError("No block is named: give at least one address such as 'tectum -> hindbrain'.")
    return found


def _indices(name: str, members: Iterable[int]) -> tuple[int, ...]:
    """Return the neurons of a region as plain ints; raise if they are not whole numbers."""
    listed = as_tensor(f"groups[{name!r}]", members)
    if listed.ndim != 1 or (listed.numel() and (listed.dtype == torch.bool or listed.is_floating_point())):
        hint = ": pass `mask.nonzero().flatten()`" if listed.dtype == torch.bool else ""
        raise TypeError(f"The region {name!r} is {shown(members)}, but it must list the indices of its neurons{hint}.")
    return tuple(int(j) for j in listed.tolist())
