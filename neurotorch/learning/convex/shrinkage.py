"""How strongly a one-step fit is drawn to what is simpler."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Shrinkage:
    """Penalties of a one-step fit, each per frame and for activity of unit variance.

    Defaults were chosen by cross-validation in the training parts of fish 1-8 of the zebrafish regions.

    Parameters
    ----------
    own
        On the distance of a neuron's own filter weights from those fitted to all neurons together; above 0.
    deviation
        On the distance of its own filter weights from those it has in the network without connections.
    weight
        Ridge on the recurrent weights, in units of the mean variance of what neurons emit. Infinite: no connections.
    sparsity
        On the sum of their magnitudes, in units of the root of that variance; weights it sets to zero do not exist.

    Raises
    ------
    ValueError
        If a penalty is negative or NaN, or `own` or `weight` is 0.
    """

    own: float = 3e-3
    deviation: float = 3e-3
    weight: float = 0.7
    sparsity: float = 0.02

    def __post_init__(self) -> None:
        for name, positive in (("own", True), ("deviation", False), ("weight", True), ("sparsity", False)):
            value = getattr(self, name)
            if math.isnan(value) or value < 0 or (positive and value == 0):
                bound = "above 0" if positive else "at least 0"
                raise ValueError(f"`{name}` is {value:g}, but a penalty must be {bound} here.")
