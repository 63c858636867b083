"""Maps from a raw parameter, which an optimizer moves freely, to a magnitude that is never negative, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor


class Magnitude(ABC):
    """A pointwise map from a raw parameter to a magnitude of at least zero, with its inverse."""

    @abstractmethod
    def forward(self, raw: Tensor) -> Tensor:
        """Return the magnitude, at least 0, of the same shape and dtype as `raw`."""

    @abstractmethod
    def inverse(self, magnitude: Tensor) -> Tensor:
        """Return a raw parameter whose `forward` is `magnitude`, of the same shape and dtype.

        Raises
        ------
        ValueError
            If a magnitude is negative, or zero where the map has no zero.
        """

    def project(self, raw: Tensor) -> Tensor:
        """Return `raw` moved to the nearest allowed value after an optimizer's step: most maps allow every value."""
        return raw


@dataclass(frozen=True)
class Square(Magnitude):
    """The square: ``magnitude = raw^2``, ``raw = sqrt(magnitude)``.

    The inverse is exact to 2 ulp. At zero the map has no gradient (``2 raw = 0``): a connection that is exactly zero
    stays there under plain gradients, but momentum or noise can carry it away, so a zero that must stay zero needs a
    mask.
    """

    def forward(self, raw: Tensor) -> Tensor:
        """Return ``raw^2``."""
        return raw * raw

    def inverse(self, magnitude: Tensor) -> Tensor:
        """Return the root that is not negative."""
        _check_not_negative(magnitude)
        return magnitude.sqrt()


@dataclass(frozen=True)
class Absolute(Magnitude):
    """The absolute value: ``magnitude = |raw|``, ``raw = magnitude``.

    The inverse is exact. At zero torch's gradient is 0, as for the square; beside it the gradient is -1 or 1, so that a
    step across zero reflects: a connection driven towards zero oscillates around it by the size of a step.
    """

    def forward(self, raw: Tensor) -> Tensor:
        """Return ``|raw|``."""
        return raw.abs()

    def inverse(self, magnitude: Tensor) -> Tensor:
        """Return the magnitude itself."""
        _check_not_negative(magnitude)
        return magnitude.clone()


@dataclass(frozen=True)
class Softplus(Magnitude):
    """The soft rectifier: ``magnitude = log(1 + exp(raw))``, ``raw = magnitude + log(1 - exp(-magnitude))``.

    It has no zero: a connection that does not exist needs a mask. Small magnitudes have a large negative raw value,
    whose spacing limits them: the inverse is exact to 4 ulp for magnitudes above ``exp(-8) = 3.4e-4``, and below it is
    the nearest that the dtype can hold, at most ``|raw|`` ulp away (a relative error of 1e-6 at 1e-7 in float32).
    """

    def forward(self, raw: Tensor) -> Tensor:
        """Return ``log(1 + exp(raw))``, without the linear shortcut of `torch.nn.functional.softplus` above 20."""
        return torch.logaddexp(raw, torch.zeros((), dtype=raw.dtype, device=raw.device))

    def inverse(self, magnitude: Tensor) -> Tensor:
        """Return ``magnitude + log(1 - exp(-magnitude))``, computed in float64, then the best of its neighbours."""
        _check_not_negative(magnitude)
        _check_not_zero(magnitude, "Softplus()")
        wide = magnitude.double()
        return _best_neighbour(self, (wide + torch.log(-torch.expm1(-wide))).to(magnitude.dtype), magnitude)


@dataclass(frozen=True)
class Exponential(Magnitude):
    """The exponential: ``magnitude = exp(raw)``, ``raw = log(magnitude)``.

    The gradient by the raw value is the magnitude itself, so that plain gradient steps change a weight by a share of
    its size: large weights grow fast and small ones hardly move. It has no zero: a connection that does not exist needs
    a mask, and one that training shrinks comes ever closer to zero, more and more slowly. Weight decay on the raw value
    pulls magnitudes to 1, not to 0. In float32 the magnitude is infinite for a raw value above 88.7, and zero, with no
    gradient, below -104: large steps need `clip`.

    The inverse is exact to 4 ulp for magnitudes within ``exp(-4) .. exp(4)``; beyond it the spacing of the raw value
    limits it, and it is at most ``|raw|`` ulp away.
    """

    def forward(self, raw: Tensor) -> Tensor:
        """Return ``exp(raw)``."""
        return raw.exp()

    def inverse(self, magnitude: Tensor) -> Tensor:
        """Return ``log(magnitude)``, computed in float64, then the best of its neighbours."""
        _check_not_negative(magnitude)
        _check_not_zero(magnitude, "Exponential()")
        return _best_neighbour(self, magnitude.double().log().to(magnitude.dtype), magnitude)


@dataclass(frozen=True)
class Projected(Magnitude):
    """Projection: ``magnitude = max(raw, 0)``, ``raw = magnitude``; after a step, ``raw <- max(raw, 0)``.

    The inverse is exact. The clamp inside `forward` keeps the sign at all times; `Connection.project_` after the
    optimizer's step brings the raw value back to the border. At exactly zero the gradient is 1, so that a zero can grow
    again; below zero it is 0, so that a connection is lost if nobody projects. A zero that must stay zero needs a mask.
    """

    def forward(self, raw: Tensor) -> Tensor:
        """Return ``max(raw, 0)``."""
        return raw.clamp(min=0)

    def inverse(self, magnitude: Tensor) -> Tensor:
        """Return the magnitude itself."""
        _check_not_negative(magnitude)
        return magnitude.clone()

    def project(self, raw: Tensor) -> Tensor:
        """Return ``max(raw, 0)``."""
        return raw.clamp(min=0)


def _check_not_negative(magnitude: Tensor) -> None:
    negative = magnitude < 0
    if negative.any():
        place = _first(negative)
        raise ValueError(
            f"`magnitude` is negative at {int(negative.sum())} places, the first at index {place} "
            f"({float(magnitude[place].detach()):g}), but a magnitude is at least 0: hand in `weight.abs()` and keep "
            "the sign in Dale."
        )


def _check_not_zero(magnitude: Tensor, name: str) -> None:
    zeros = magnitude == 0
    if zeros.any():
        raise ValueError(
            f"`magnitude` is zero at {int(zeros.sum())} places, the first at index {_first(zeros)}, but {name} has no "
            "zero: give the connection a `mask` that is False there, or use Square() or Absolute()."
        )


def _best_neighbour(chosen: Magnitude, raw: Tensor, magnitude: Tensor) -> Tensor:
    """Return `raw` or the number beside it, whichever comes back nearest: it undoes the rounding of `forward`."""
    if magnitude.dtype not in (torch.float32, torch.float64):
        return raw
    infinity = torch.full((), torch.inf, dtype=raw.dtype, device=raw.device)
    candidates = torch.stack([raw, torch.nextafter(raw, -infinity), torch.nextafter(raw, infinity)])
    best = (chosen.forward(candidates) - magnitude).abs().argmin(dim=0, keepdim=True)
    return candidates.gather(0, best).squeeze(0)


def _first(places: Tensor) -> tuple[int, ...]:
    return tuple(int(i) for i in places.nonzero()[0])
