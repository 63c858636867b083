"""Distributions of magnitudes to start from: positive, of mean 1."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from neurotorch.core.checks import check_count, check_generator, check_positive


class Distribution(ABC):
    """A distribution of positive numbers of mean 1."""

    @property
    @abstractmethod
    def mean_square(self) -> float:
        """Mean of the squares, 1 plus the variance."""

    @abstractmethod
    def sample(self, post: int, pre: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Return ``(post, pre)`` independent positive numbers of mean 1, float64 on the CPU."""


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


def standard_normal(post: int, pre: int, *, generator: torch.Generator | None = None) -> Tensor:
    """Return ``(post, pre)`` standard normal numbers, float64 on the CPU."""
    return _empty(post, pre, generator=generator).normal_(generator=generator).cpu()


def _empty(*shape: int, generator: torch.Generator | None) -> Tensor:
    device = check_generator(generator)
    return torch.empty(shape, dtype=torch.float64, device=device)
