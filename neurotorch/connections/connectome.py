"""A connectome with names: turned to (post, pre), matched to a recording, as a mask, a prior, a start and signs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor

from neurotorch.connections.dale import Dale
from neurotorch.connections.labels import check_distinct, check_matching
from neurotorch.connections.magnitude import Magnitude, Square
from neurotorch.connections.spectrum import spectral_radius
from neurotorch.connections.transmitters import TRANSMITTERS
from neurotorch.core.checks import as_tensor, check_finite, check_kind, check_positive, shown

_LOG = logging.getLogger(__name__)
_SQUARE = Square()


@dataclass(frozen=True, eq=False)
class Connectome:
    """Strengths of the connections between named neurons.

    Parameters
    ----------
    strength : (post, pre)
        Synapse counts, sizes or weights, at least 0; 0 where no connection exists. `from_adjacency` reads a table
        of either orientation.
    neurons : tuple of str, (neuron,)
        Distinct names.
    transmitters : tuple of str, (neuron,)
        Transmitter of each neuron, or empty.
    turned : bool
        Whether the table that it was read from was transposed.

    Raises
    ------
    ValueError
        If the strengths are not square, not finite or negative, or the names do not fit or are not distinct.
    """

    strength: Tensor
    neurons: tuple[str, ...]
    transmitters: tuple[str, ...] = ()
    turned: bool = False

    def __post_init__(self) -> None:
        for name, names in (("neurons", self.neurons), ("transmitters", self.transmitters)):
            _check_listed(name, names)
        strength = as_tensor("adjacency", self.strength).cpu().double().clone()
        neurons = tuple(str(name).strip() for name in self.neurons)
        transmitters = tuple(str(name) for name in self.transmitters)
        if tuple(strength.shape) != (len(neurons), len(neurons)):
            raise ValueError(
                f"The adjacency has shape {tuple(strength.shape)}, but `neurons` names {len(neurons)}: it must have "
                "one row and one column for each of them."
            )
        if not neurons:
            raise ValueError("`neurons` is empty, but a connectome needs at least one neuron.")
        check_finite("adjacency", strength)
        if bool((strength < 0).any()):
            raise ValueError(
                "The adjacency holds negative numbers, but it says how strong connections are: hand in its absolute "
                "values, and the signs as `transmitters` or to Dale."
            )
        check_distinct("neurons", neurons)
        if transmitters and len(transmitters) != len(neurons):
            raise ValueError(f"`transmitters` holds {len(transmitters)}, but there are {len(neurons)} neurons.")
        for name, value in (("strength", strength), ("neurons", neurons), ("transmitters", transmitters)):
            object.__setattr__(self, name, value)

    @classmethod
    def from_adjacency(
        cls,
        adjacency: Tensor | np.ndarray,
        neurons: Sequence[str],
        *,
        rows: Literal["pre", "post"],
        transmitters: Sequence[str] = (),
    ) -> Self:
        """Return the connectome of a table in either orientation; it logs which way it turned it.

        Parameters
        ----------
        adjacency : (neuron, neuron)
            The table.
        neurons
            Names of its rows, which are also those of its columns.
        rows
            What a row is. In most published tables it is a presynaptic neuron, ``"pre"``, and the table is transposed.
        transmitters
            Transmitter of each neuron, where they are known.
        """
        if rows not in ("pre", "post"):
            raise ValueError(f"`rows` is {rows!r}, but a row is 'pre' (synaptic) or 'post' (synaptic).")
        for name, names in (("neurons", neurons), ("transmitters", transmitters)):
            _check_listed(name, names)
        table = as_tensor("adjacency", adjacency)
        turned = rows == "pre"
        found = cls(table.T if turned and table.ndim == 2 else table, tuple(neurons), tuple(transmitters), turned)
        _LOG.info("%s", found)
        return found

    @property
    def mask(self) -> Tensor:
        """Mask ``(post, pre)``: True where a connection exists."""
        return self.strength > 0

    def matched(self, neurons: Sequence[str]) -> Self:
        """Return the connectome of these neurons alone, in this order: those of a recording.

        Raises
        ------
        ValueError
            If some are not in the connectome: both sides are shown, and the nearest match of each.
        """
        _check_listed("neurons", neurons)
        wanted = [str(name).strip() for name in neurons]
        check_distinct("neurons", wanted)
        check_matching("the recording", wanted, "the connectome", self.neurons)
        place = {name: j for j, name in enumerate(self.neurons)}
        order = [place[name] for name in wanted]
        transmitters = tuple(self.transmitters[j] for j in order) if self.transmitters else ()
        return type(self)(self.strength[order][:, order], tuple(wanted), transmitters, self.turned)

    def dale(
        self,
        *,
        table: Mapping[str, int] = TRANSMITTERS,
        unknown: int | None = None,
        magnitude: Magnitude = _SQUARE,
    ) -> Dale:
        """Return the types of the neurons by their transmitters, see `Dale.from_transmitters`."""
        if not self.transmitters:
            raise ValueError("The connectome has no transmitters: hand them to `from_adjacency`, or use `Dale.given`.")
        return Dale.from_transmitters(self.transmitters, table=table, unknown=unknown, magnitude=magnitude)

    def weight(self, dale: Dale, *, scale: float = 1.0, radius: float | None = None) -> Tensor:
        """Return signed weights ``(post, pre)`` as a start (`Given`) or a reference (`WeightDistance`).

        ``weight[i, j] = scale s_j strength[i, j]``; free neurons count as excitatory.

        Parameters
        ----------
        dale
            Types of the neurons.
        scale
            Weight of a strength of 1.
        radius
            Spectral radius that the weights are brought to, in place of a scale.

        Raises
        ------
        ValueError
            If `dale` types another number of neurons, both `scale` and `radius` are given, or the connectome has no
            loop, and with it no eigenvalue but zero.
        """
        check_kind("dale", dale, Dale, example="connectome.dale()")
        if dale.pre != len(self.neurons):
            raise ValueError(f"`dale` types {dale.pre} neurons, but the connectome has {len(self.neurons)}.")
        signs = dale.signs.detach().cpu().double()
        weight = check_positive("scale", scale) * torch.where(signs == 0, 1.0, signs) * self.strength
        if radius is None:
            return weight
        if scale != 1.0:
            raise ValueError(f"`scale` is {scale:g} and `radius` {radius:g}, but either of them sets the size.")
        present = spectral_radius(weight)
        # Eigenvalues of a matrix without loops are zero up to rounding.
        if present <= 1e-6 * float(weight.norm()):
            raise ValueError("The connectome has no loop, so there is no spectral radius to set: give a `scale`.")
        return weight * (check_positive("radius", radius) / present)

    def __str__(self) -> str:
        """Say the size, and which way the table was turned."""
        count = int(self.mask.sum())
        way = "rows of the table were presynaptic: transposed to" if self.turned else "rows are postsynaptic:"
        return f"Connectome of {len(self.neurons)} neurons with {count} connections; {way} (post, pre)."


def _check_listed(name: str, names: Sequence[str]) -> None:
    """Raise unless there is one text for each neuron, in their order."""
    if isinstance(names, (str, Mapping)) or not isinstance(names, Iterable):
        raise TypeError(f"`{name}` is {shown(names)}, but it must list one text for each neuron, in their order.")
