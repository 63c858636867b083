"""Surrogate derivatives: what stands in for the derivative of a spike, written in the step vocabulary."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from neurotorch.core.vocabulary import exp, relu, sigmoid, where


class FastSigmoid(NamedTuple):
    r"""``dz/dx = dampening / (1 + slope |x|)^2``.

    `slope` is in units of one over the potential. Zenke & Ganguli 2018, doi:10.1162/neco_a_01086, equation 5 in the
    form normalised to 1 at the threshold. Their learning rule is called SuperSpike, and elsewhere so is this
    derivative: `SuperSpike` is a second name of this class.
    """

    slope: float = 10.0
    dampening: float = 1.0

    def derivative(self, x: Any) -> Any:
        """Return the derivative at the distance `x` from the threshold."""
        return self.dampening / (1 + self.slope * abs(x)) ** 2


class Triangular(NamedTuple):
    r"""``dz/dx = dampening * max(0, 1 - slope |x|)``.

    With ``slope = 1 / threshold`` and ``dampening = 0.3 / threshold`` this is Bellec et al. 2020,
    doi:10.1038/s41467-020-17236-y, "pseudo-derivative" in Methods.
    """

    slope: float = 1.0
    dampening: float = 0.3

    def derivative(self, x: Any) -> Any:
        """Return the derivative at the distance `x` from the threshold."""
        return self.dampening * relu(1 - self.slope * abs(x))


class Arctangent(NamedTuple):
    r"""``dz/dx = dampening / (1 + (slope x)^2)``.

    With ``slope = pi`` and ``dampening = 1``, at which it integrates to 1, it is the default of Fang et al. 2021,
    doi:10.1109/ICCV48922.2021.00266, the derivative of ``arctan(pi x) / pi + 1/2``.
    """

    slope: float = math.pi
    dampening: float = 1.0

    def derivative(self, x: Any) -> Any:
        """Return the derivative at the distance `x` from the threshold."""
        return self.dampening / (1 + (self.slope * x) ** 2)


class SigmoidSurrogate(NamedTuple):
    r"""``dz/dx = dampening slope s (1 - s)``, ``s = sigmoid(slope x)``.

    With ``dampening = 1`` it is the exact derivative of a sigmoid of that slope, ``slope / 4`` high. Neftci,
    Mostafa & Zenke 2019, doi:10.1109/MSP.2019.2931595, among those it compares.
    """

    slope: float = 4.0
    dampening: float = 1.0

    def derivative(self, x: Any) -> Any:
        """Return the derivative at the distance `x` from the threshold."""
        s = sigmoid(self.slope * x)
        return self.dampening * self.slope * s * (1 - s)


class Gaussian(NamedTuple):
    r"""``dz/dx = dampening exp(-x^2 / (2 width^2))``.

    `width` is in units of the potential. Yin, Corradi & Bohte 2021, doi:10.1038/s42256-021-00397-w, with the height in
    place of the area.
    """

    width: float = 0.5
    dampening: float = 0.5

    def derivative(self, x: Any) -> Any:
        """Return the derivative at the distance `x` from the threshold."""
        return self.dampening * exp(-0.5 * (x / self.width) ** 2)


class Boxcar(NamedTuple):
    r"""``dz/dx = dampening`` where ``|x| < width``, else 0.

    `width` is in units of the potential. Wu et al. 2018, doi:10.3389/fnins.2018.00331, whose box is ``a``
    wide and ``1 / a`` high: ``width = a / 2``, ``dampening = 1 / a``.
    """

    width: float = 0.5
    dampening: float = 1.0

    def derivative(self, x: Any) -> Any:
        """Return the derivative at the distance `x` from the threshold."""
        return where(abs(x) < self.width, 0 * x + self.dampening, 0 * x)


SuperSpike = FastSigmoid
