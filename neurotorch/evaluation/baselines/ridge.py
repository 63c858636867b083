r"""Ridge regression for many penalties and nested designs at once.

For centred ``X`` (row, feature) and ``Y`` (row, target), with ``G = X'X = V diag(e) V'`` and ``C = X'Y``,

    ``W(penalty) = argmin |Y - XW|^2 + penalty |W|^2 = V diag(1 / (e + penalty)) V' C``,

so that a path of penalties costs one eigen-decomposition. Features are ordered so that a smaller model is a leading
block of the same moments. The intercept is not penalized. Leading axes, if any, are independent problems.

Reference: Hastie, Tibshirani & Friedman, The Elements of Statistical Learning (2nd edition), equations 3.44 and 3.47.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """All that a ridge regression needs to know of its examples.

    Attributes
    ----------
    gram
        ``G``, ``(..., feature, feature)``, centred.
    cross
        ``C``, ``(..., feature, target)``, centred.
    mean_features, mean_targets
        ``(..., feature)`` and ``(..., target)``.
    """

    gram: Array
    cross: Array
    mean_features: Array
    mean_targets: Array

    @classmethod
    def of(cls, features: Array, targets: Array) -> Moments:
        """Measure ``(..., row, feature)`` and ``(..., row, target)``."""
        mean_features, mean_targets = features.mean(axis=-2), targets.mean(axis=-2)
        centred = features - mean_features[..., None, :]
        transposed = centred.swapaxes(-1, -2)
        return cls(
            transposed @ centred, transposed @ (targets - mean_targets[..., None, :]), mean_features, mean_targets
        )

    def leading(self, features: int) -> Moments:
        """Return the moments of the first `features` features alone."""
        return Moments(
            self.gram[..., :features, :features],
            self.cross[..., :features, :],
            self.mean_features[..., :features],
            self.mean_targets,
        )

    def ridge(self, penalties: Sequence[float]) -> list[Array]:
        """Return the weights ``(..., feature, target)`` for each penalty."""
        values, vectors = np.linalg.eigh(self.gram)
        rotated = vectors.swapaxes(-1, -2) @ self.cross
        values = np.maximum(values, 0)[..., None]  # rounding can leave a tiny negative one
        return [vectors @ (rotated / (values + penalty)) for penalty in penalties]

    def intercept(self, weights: Array) -> Array:
        """Return the intercept ``(..., target)`` that goes with `weights`."""
        offset: Array = self.mean_targets - (self.mean_features[..., None, :] @ weights)[..., 0, :]
        return offset
