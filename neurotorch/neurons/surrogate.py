"""Surrogate derivatives: what stands in for the derivative of a spike, written in the step vocabulary."""

from __future__ import annotations

from typing import Any, NamedTuple

from neurotorch.core.vocabulary import relu


class FastSigmoid(NamedTuple):
    r"""``dz/dx = 1 / (1 + slope |x|)^2``.

    `slope` is in units of one over the potential. Zenke & Ganguli 2018, doi:10.1162/neco_a_01086, equation 5 in the
    form normalised to 1 at the threshold.
    """

    slope: float = 10.0

    def derivative(self, x: Any) -> Any:
        """Return the derivative at the distance `x` from the threshold."""
        return 1 / (1 + self.slope * abs(x)) ** 2


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
