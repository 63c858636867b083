"""Gap junctions: conductances between the neurons of one population, through which potentials even out."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from neurotorch.connections.magnitude import Magnitude, Square
from neurotorch.core.checks import as_tensor, check_count, check_finite, check_kind, check_positive

_SQUARE = Square()


class ElectricalConnection(nn.Module):
    r"""Gap junctions within a population, with a conductance for each pair of neurons.

    The optimizer moves `raw`, of which only the part below the diagonal is used; the effective weight is the matrix of
    conductances, and the current into neuron `i` follows the differences of potentials one step before::

        g_ij = g_ji = mask[i, j] * m(raw[max(i, j), min(i, j)]) >= 0,    g_ii = 0
        I_i(t) = sum_j g_ij (v_j(t - 1) - v_i(t - 1))

    with the magnitude map `m`. Conductances are symmetric and not negative by construction, whatever the optimizer, and
    the currents of all neurons add up to zero. There are no types of neurons: Dale's law says nothing about junctions.

    ``v`` is the potential of the model (`NeuronModel.potential`), and the current adds to that of the synapses: a
    conductance is in units of the model's current by those of its potential (nA / mV for AdEx, per step and unit of the
    threshold for LIF).

    Parameters
    ----------
    neurons : int
        How many.
    mask : (neuron, neuron) bool, optional
        True where a junction exists, in both directions; all pairs unless given. The diagonal is ignored.
    conductance : float or (neuron, neuron), optional
        To start from: one for every junction, or a symmetric matrix; 0.01 unless given.
    magnitude : Magnitude, optional
        The map `m`; `Square()` unless given.

    Attributes
    ----------
    raw : nn.Parameter
        ``(neuron, neuron)``.

    Raises
    ------
    ValueError
        If shapes do not fit, the mask or the conductances are not symmetric, or a conductance is negative.

    References
    ----------
    Bennett & Zukin 2004, doi:10.1016/S0896-6273(04)00043-1: junctions as linear, symmetric conductances.
    """

    mask: Tensor | None

    def __init__(
        self,
        neurons: int,
        *,
        mask: Tensor | None = None,
        conductance: float | Tensor = 0.01,
        magnitude: Magnitude = _SQUARE,
    ) -> None:
        super().__init__()
        self.neurons = check_count("neurons", neurons)
        check_kind("magnitude", magnitude, Magnitude, example="Square()")
        self.magnitude = magnitude
        self.register_buffer("mask", None if mask is None else self._checked_mask(mask))
        # Where a matrix is given, a description of the network says this in its place: too weak to be refused when
        # it is built again, before its own conductances are loaded.
        self.conductance: float = 1e-6
        self.raw = nn.Parameter(torch.zeros(self.neurons, self.neurons))
        if not isinstance(conductance, (float, int, str)):
            self.set_weight(conductance)
        else:
            self.conductance = check_positive("conductance", conductance)
            self.set_weight(self._exists() * self.conductance)

    @classmethod
    def from_adjacency(
        cls, adjacency: Tensor | np.ndarray, *, scale: float = 0.01, magnitude: Magnitude = _SQUARE
    ) -> Self:
        """Return junctions where a connectome has electrical synapses, as strong as their number or size.

        A junction is one channel between two neurons, but tables often list it in one direction only, or differ between
        them: both directions are averaged, ``g = scale (A + A^T) / 2``, and junctions of a neuron with itself left out.

        Parameters
        ----------
        adjacency : (neuron, neuron)
            Numbers or sizes of electrical synapses, at least 0.
        scale : float
            Conductance of one synapse, or of one unit of size.
        magnitude : Magnitude, optional
            The map of the conductances; `Square()` unless given.
        """
        table = as_tensor("adjacency", adjacency).double()
        if table.dim() != 2 or table.shape[0] != table.shape[1] or not table.numel():
            raise ValueError(f"`adjacency` has shape {tuple(table.shape)}, but it must be (neuron, neuron).")
        check_finite("adjacency", table)
        if bool((table < 0).any()):
            raise ValueError("`adjacency` holds negative numbers, but a conductance is at least 0.")
        strength = ((table + table.t()) / 2).fill_diagonal_(0)
        found = check_positive("scale", scale) * strength
        return cls(len(table), mask=strength > 0, conductance=found.float(), magnitude=magnitude)

    def weight(self) -> Tensor:
        """Return the conductances ``(neuron, neuron)``, symmetric, differentiable in `raw`."""
        below = self.raw.tril(-1)
        return torch.where(self._exists(), self.magnitude.forward(below + below.t()), 0.0)

    @torch.no_grad()
    def set_weight(self, weight: Tensor) -> None:
        """Set `raw` in place such that `weight()` is `weight`, ``(neuron, neuron)``.

        Raises
        ------
        ValueError
            If the shape is wrong, a value is not finite or negative, the matrix is not symmetric, an entry is not zero
            where there is no junction, or is a zero that the magnitude map does not have.
        """
        wanted = as_tensor("weight", weight).to(self.raw)
        if wanted.shape != self.raw.shape:
            raise ValueError(f"`weight` has shape {tuple(wanted.shape)}, but it must be {tuple(self.raw.shape)}.")
        check_finite("weight", wanted)
        if not torch.equal(wanted, wanted.t()):
            raise ValueError("The conductances are not symmetric: average both directions, (g + g.T) / 2.")
        exists = self._exists()
        if bool((wanted[~exists] != 0).any()):
            raise ValueError(
                "A conductance is not zero on the diagonal or outside the mask: set it to zero or widen the mask."
            )
        raw = self.magnitude.inverse(torch.where(exists, wanted, 1.0))
        self.raw.copy_(torch.where(exists, raw, 0.0))

    @torch.no_grad()
    def project_(self) -> None:
        """Move `raw` in place to the nearest value that the magnitude map allows: after the optimizer's step."""
        self.raw.copy_(self.magnitude.project(self.raw))

    def extra_repr(self) -> str:
        """Say how many neurons and junctions there are."""
        return f"neurons={self.neurons}, junctions={int(self._exists().sum()) // 2}"

    def _exists(self) -> Tensor:
        others = ~torch.eye(self.neurons, dtype=torch.bool, device=self.raw.device)
        return others if self.mask is None else self.mask & others

    def _checked_mask(self, mask: Tensor) -> Tensor:
        checked = as_tensor("mask", mask)
        if checked.dtype != torch.bool or tuple(checked.shape) != (self.neurons, self.neurons):
            raise ValueError(
                f"`mask` is {tuple(checked.shape)} of {checked.dtype}, but it must be "
                f"{(self.neurons, self.neurons)} of bool, True where a junction exists."
            )
        if not torch.equal(checked, checked.t()):
            raise ValueError("`mask` is not symmetric, but a junction joins both neurons: use mask | mask.T.")
        return checked.detach().clone()


def laplacian(conductance: Tensor) -> Tensor:
    """Return what turns potentials into currents, ``L_ij = g_ij`` and ``L_ii = -sum_j g_ij``.

    A junction that was lesioned in one direction is lesioned in both, so that currents still add up to zero: the
    smaller of ``g_ij`` and ``g_ji`` counts.
    """
    g = torch.minimum(conductance, conductance.t())
    g = g - torch.diag(g.diagonal())
    return g - torch.diag(g.sum(1))
