"""Distributions of magnitudes to start from: not negative, of mean 1."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from neurotorch.core.checks import check_count, check_generator, check_kind, check_positive


class Distribution(ABC):
    """A distribution of numbers of mean 1, none of them negative."""

    @property
    @abstractmethod
    def mean_square(self) -> float:
        """Mean of the squares, 1 plus the variance."""

    @abstractmethod
    def sample(self, post: int, pre: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Return ``(post, pre)`` independent numbers of mean 1, none negative, float64 on the CPU."""


@dataclass(frozen=True)
class Gamma(Distribution):
    """The gamma distribution of whole-number shape ``k`` and mean 1: the mean of ``k`` exponential variables.

    Its standard deviation is ``1 / sqrt(k)``.

    Parameters
    ----------
    shape : int
        ``k``: 1 is the exponential distribution, larger is narrower; 2 unless said otherwise, whose density falls to 0
        at 0.
    """

    shape: int = 2

    def __post_init__(self) -> None:
        check_count("shape", self.shape)

    @property
    def mean_square(self) -> float:
        """``1 + 1 / k``."""
        return 1 + 1 / self.shape

    def sample(self, post: int, pre: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Return ``(post, pre)`` samples."""
        return _empty(self.shape, post, pre, generator=generator).exponential_(generator=generator).mean(dim=0).cpu()


@dataclass(frozen=True)
class LogNormal(Distribution):
    """The log-normal distribution of mean 1: ``exp(sigma xi - sigma^2 / 2)`` with ``xi`` standard normal.

    Parameters
    ----------
    sigma : float
        Standard deviation of the logarithm: 0.94 unless said otherwise, as fitted to synapses in rat visual cortex.

    References
    ----------
    Song, Sjoestroem, Reigl, Nelson & Chklovskii (2005), PLoS Biol. 3, e68, doi:10.1371/journal.pbio.0030068.
    """

    sigma: float = 0.94

    def __post_init__(self) -> None:
        check_positive("sigma", self.sigma)

    @property
    def mean_square(self) -> float:
        """``exp(sigma^2)``."""
        return math.exp(self.sigma**2)

    def sample(self, post: int, pre: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Return ``(post, pre)`` samples."""
        normal = _empty(post, pre, generator=generator).normal_(generator=generator).cpu()
        return torch.exp(self.sigma * normal - 0.5 * self.sigma**2)


@dataclass(frozen=True)
class HalfNormal(Distribution):
    """The folded Gaussian of mean 1: ``sqrt(pi / 2) |xi|`` with ``xi`` standard normal.

    Many weights are near zero: its density is largest there. Its standard deviation is ``sqrt(pi / 2 - 1)``, 0.76.
    """

    @property
    def mean_square(self) -> float:
        """``pi / 2``."""
        return math.pi / 2

    def sample(self, post: int, pre: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Return ``(post, pre)`` samples."""
        return math.sqrt(math.pi / 2) * standard_normal(post, pre, generator=generator).abs()


_HALF_NORMAL = HalfNormal()


@dataclass(frozen=True)
class ZeroInflated(Distribution):
    """Zero but for a random fraction, whose magnitudes have another distribution: ``b m / density``, ``b`` 0 or 1.

    Under Dale's law all outgoing weights of a neuron have one sign, so that what it sends has a mean that all targets
    share. Of the variance of a current the share ``1 / E[m^2]`` is such a common part: 0.67 for `Gamma()`, and
    `density` times that here. With few weights at the start targets differ, as they do without the law. Zeros are
    weights like others: with the magnitudes `Projected` they grow in training; `Square` and `Absolute` have no
    derivative there.

    Parameters
    ----------
    density : float
        Fraction that is not zero: above 0, at most 1.
    distribution : Distribution
        Of what is not zero; `HalfNormal()` unless said otherwise.
    """

    density: float = 0.2
    distribution: Distribution = _HALF_NORMAL

    def __post_init__(self) -> None:
        if not 0 < self.density <= 1:
            raise ValueError(f"`density` is {self.density!r}, but it must be above 0 and at most 1.")
        check_kind("distribution", self.distribution, Distribution, example="HalfNormal()")

    @property
    def mean_square(self) -> float:
        """That of the distribution, over the density."""
        return self.distribution.mean_square / self.density

    def sample(self, post: int, pre: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Return ``(post, pre)`` samples."""
        present = _empty(post, pre, generator=generator).uniform_(generator=generator).cpu() < self.density
        return torch.where(present, self.distribution.sample(post, pre, generator=generator) / self.density, 0.0)


def standard_normal(post: int, pre: int, *, generator: torch.Generator | None = None) -> Tensor:
    """Return ``(post, pre)`` standard normal numbers, float64 on the CPU."""
    return _empty(post, pre, generator=generator).normal_(generator=generator).cpu()


def _empty(*shape: int, generator: torch.Generator | None) -> Tensor:
    device = check_generator(generator)
    return torch.empty(shape, dtype=torch.float64, device=device)
