"""Weights to start from."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from neurotorch.connections.dale import Dale
from neurotorch.connections.distribution import Distribution, Gamma, standard_normal
from neurotorch.connections.spectrum import spectral_radius
from neurotorch.core.checks import as_tensor, check_finite, check_kind, check_positive

_GAMMA = Gamma()


class Initialization(ABC):
    """Draws effective weights ``(post, pre)`` that obey Dale's law and are zero where a mask is False."""

    @abstractmethod
    def __call__(
        self,
        post: int,
        pre: int,
        *,
        dale: Dale | None = None,
        mask: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return weights ``(post, pre)``, float64 on the CPU."""


@dataclass(frozen=True)
class Balanced(Initialization):
    """A balanced start: excitation and inhibition cancel in every neuron, and the size is set.

    Without Dale the weights are Gaussian, and so are those of free neurons beside typed ones, with the mean square of
    the distribution. Typed neurons draw magnitudes ``m`` of mean 1, and in each row `i` the inhibitory ones are scaled
    so that the row sums to zero::

        weight[i, j] = m[i, j]          if j is excitatory
        weight[i, j] = -g_i m[i, j]     if j is inhibitory,    g_i = sum_excitatory m[i, j] / sum_inhibitory m[i, j]

    In expectation ``g_i`` is ``f / (1 - f)`` for an excitatory fraction ``f`` among the connections that the mask
    leaves to neuron `i`; using the realised sums instead makes the balance exact, and with it no eigenvalue leaves the
    disc. That holds for any fraction, distribution and mask: every row has the ``g_i`` of its own connections. A row
    whose typed connections are all of one sign cannot be balanced and keeps ``g_i = 1``: its input has the mean of its
    weights, and a population that is only excitatory (or only inhibitory) starts with its outlier eigenvalue.
    Connections of free neurons have mean zero by themselves, and so are left out of the sums.

    The size: a square matrix is rescaled to the given spectral radius, computed in float64. A matrix that is not
    square, or that has no eigenvalue but zero (a mask without loops), has every row rescaled to that Euclidean norm, a
    gain of ``spectral_radius / sqrt(fan-in)``: independent inputs of unit variance give a current of standard deviation
    `spectral_radius`.

    With magnitudes of variance ``c^2`` and ``N`` neurons that all connect, the disc has the radius
    ``m c sqrt(N f / (1 - f))`` for a mean excitatory weight ``m``: at a given spectral radius weights are the smaller,
    the broader their distribution and the rarer inhibition.

    Parameters
    ----------
    spectral_radius : float
        Largest modulus of an eigenvalue: 0.9 unless said otherwise, below the onset of chaos of a rate network at 1.
    distribution : Distribution
        Of the magnitudes of typed neurons: `Gamma()` unless said otherwise; `HalfNormal()`, `LogNormal()`.
    matched_variance : bool
        Whether every row of a square matrix is first scaled to the same Euclidean norm, so that independent inputs of
        equal variance give every neuron a current of the same variance, however many connections the mask leaves it and
        of which sign. It costs no balance: a row that sums to zero still does. False unless said otherwise: the
        variance of a current then grows with the number of its connections.

    References
    ----------
    Rajan & Abbott (2006), Phys. Rev. Lett. 97, 188104, doi:10.1103/PhysRevLett.97.188104: the outlier, and the
    constraint that rows sum to zero. Sompolinsky, Crisanti & Sommers (1988), Phys. Rev. Lett. 61, 259,
    doi:10.1103/PhysRevLett.61.259.
    """

    spectral_radius: float = 0.9
    distribution: Distribution = _GAMMA
    matched_variance: bool = False

    def __post_init__(self) -> None:
        check_positive("spectral_radius", self.spectral_radius)
        check_kind("distribution", self.distribution, Distribution, example="Gamma()")
        check_kind("matched_variance", self.matched_variance, bool, example="True")

    def __call__(
        self,
        post: int,
        pre: int,
        *,
        dale: Dale | None = None,
        mask: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return balanced weights ``(post, pre)``, float64 on the CPU."""
        if dale is None:
            weight = _masked(standard_normal(post, pre, generator=generator), mask)
        else:
            signs = dale.signs.detach().cpu().double()
            magnitude = _masked(self.distribution.sample(post, pre, generator=generator), mask)
            weight = _cancelled(magnitude, signs)
            if (signs == 0).any():
                scale = math.sqrt(self.distribution.mean_square)
                free = _masked(scale * standard_normal(post, pre, generator=generator), mask)
                weight = torch.where(signs == 0, free, weight)
        return _sized(_of_one_norm(weight, 1.0) if self.matched_variance else weight, self.spectral_radius)


@dataclass(frozen=True)
class Normal(Initialization):
    """Gaussian weights of mean 0; under Dale's law their absolute value with the sign of the neuron, not balanced.

    ``weight[i, j] = scale xi[i, j]`` with ``xi`` standard normal, or ``s_j scale |xi[i, j]|`` for a neuron of sign
    ``s_j``.

    Parameters
    ----------
    scale : float
        Standard deviation of the Gaussian.
    """

    scale: float

    def __post_init__(self) -> None:
        check_positive("scale", self.scale)

    def __call__(
        self,
        post: int,
        pre: int,
        *,
        dale: Dale | None = None,
        mask: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return Gaussian weights ``(post, pre)``, float64 on the CPU."""
        weight = self.scale * standard_normal(post, pre, generator=generator)
        if dale is not None:
            signs = dale.signs.detach().cpu().double()
            weight = torch.where(signs == 0, weight, signs * weight.abs())
        return _masked(weight, mask)


@dataclass(frozen=True, eq=False)
class Given(Initialization):
    """Weights that are known: a connectome, a fit, the true network of a simulation.

    Parameters
    ----------
    weight : (post, pre)
        Effective weights; they must obey the connection's Dale and be zero where its mask is False.
    """

    weight: Tensor

    def __call__(
        self,
        post: int,
        pre: int,
        *,
        dale: Dale | None = None,
        mask: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the given weights ``(post, pre)``, on the CPU; `Connection.set_weight` checks them."""
        del post, pre, dale, mask, generator
        return as_tensor("weight", self.weight).cpu().clone()


def rebalanced(weight: Tensor, *, spectral_radius: float | None = None) -> Tensor:
    """Return weights ``(post, pre)`` with the inhibition of each row scaled so that the row sums to zero.

    It is what `Balanced` draws, made of weights that exist: signs, zeros and all excitatory weights relative to one
    another stay. A row whose weights are all of one sign is left as it is.

    Parameters
    ----------
    weight : (post, pre)
        Effective weights.
    spectral_radius : float, optional
        To rescale them to, as `Balanced` does; unless given, excitatory weights are left as they are.
    """
    if spectral_radius is not None:
        check_positive("spectral_radius", spectral_radius)
    matrix = as_tensor("weight", weight)
    if matrix.ndim != 2 or not matrix.is_floating_point():
        raise ValueError(
            f"`weight` is {matrix.dtype} of shape {tuple(matrix.shape)}, but it must be floating weights (post, pre)."
        )
    check_finite("weight", matrix)
    excitation, inhibition = matrix.clamp(min=0).double().sum(dim=1), -matrix.clamp(max=0).double().sum(dim=1)
    gain = _gain(excitation, inhibition)
    balanced = torch.where(matrix < 0, gain[:, None] * matrix, matrix.double())
    return (balanced if spectral_radius is None else _sized(balanced, spectral_radius)).to(matrix.dtype)


def _cancelled(magnitude: Tensor, signs: Tensor) -> Tensor:
    """Return signed weights whose rows sum to zero wherever a row has connections of both signs."""
    excitation = magnitude[:, signs > 0].sum(dim=1)
    inhibition = magnitude[:, signs < 0].sum(dim=1)
    return torch.where(signs < 0, -_gain(excitation, inhibition)[:, None] * magnitude, signs * magnitude)


def _gain(excitation: Tensor, inhibition: Tensor) -> Tensor:
    """Return what inhibition is scaled by in each row; 1 in a row of one sign."""
    both = (excitation > 0) & (inhibition > 0)
    return torch.where(both, excitation / torch.where(both, inhibition, 1.0), 1.0)


def _sized(weight: Tensor, radius: float) -> Tensor:
    """Return `weight` rescaled to a spectral radius, or row by row to a norm where there is none to set."""
    if weight.shape[0] == weight.shape[1]:
        present = spectral_radius(weight)
        # Eigenvalues of a matrix without loops are zero up to rounding.
        if present > 1e-6 * float(weight.norm()):
            return weight * (radius / present)
    return _of_one_norm(weight, radius)


def _of_one_norm(weight: Tensor, norm: float) -> Tensor:
    """Return `weight` with every row rescaled to a Euclidean norm; an empty row stays empty."""
    present = weight.norm(dim=1, keepdim=True)
    return weight * torch.where(present > 0, norm / torch.where(present > 0, present, 1.0), 0.0)


def _masked(weight: Tensor, mask: Tensor | None) -> Tensor:
    return weight if mask is None else torch.where(mask.cpu(), weight, 0.0)
