r"""Coordinate descent for several quadratic problems that share some of their coordinates.

    minimise  sum_n (w_n' G_n w_n / 2 - q_n' w_n) + sum_v lasso_v |u_v|   subject to   lower_v <= u_v <= upper_v

where each entry of each ``w_n`` is one of the coordinates ``u``. A coordinate moves to its minimum, the others held, by
the sums over its places of slope ``q_n - G_n w_n`` and curvature; see `coordinate_descent` for the step and its source.
The problem is convex and what is not smooth is separable, so the sweeps converge to its minimum.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from neurotorch.learning.convex.coordinate_descent import SWEEPS, TOLERANCE

Array = NDArray[np.float64]
Place = tuple[int, int]


@dataclass(frozen=True)
class SharedProblem:
    """Quadratic problems, padded to the size of the largest, and their coordinates.

    Attributes
    ----------
    gram, moment
        ``G`` ``(problem, entry, entry)`` and ``q`` ``(problem, entry)``.
    places, bounds
        Of each coordinate: its places, ``(problem, entry)``, and lower bound, upper bound, lasso and start.
    """

    gram: Array
    moment: Array
    places: list[tuple[Place, Place]] = dataclasses.field(default_factory=list)
    bounds: list[tuple[float, float, float, float]] = dataclasses.field(default_factory=list)

    @classmethod
    def empty(cls, sizes: Sequence[int]) -> Self:
        """Return problems of these numbers of entries, to be filled."""
        largest = max(sizes, default=0)
        return cls(np.zeros((len(sizes), largest, largest)), np.zeros((len(sizes), largest)))

    def fill(self, problem: int, gram: Array, moment: Array) -> None:
        """Set one of the problems."""
        self.gram[problem, : len(gram), : len(gram)] = gram
        self.moment[problem, : len(moment)] = moment

    def add(self, places: Sequence[Place], lower: float, upper: float, lasso: float, start: float) -> None:
        """Add a coordinate of one or two places; the curvature there is positive."""
        self.places.append((places[0], places[1] if len(places) > 1 else (-1, -1)))
        self.bounds.append((lower, upper, lasso, start))


def minimise_shared(problem: SharedProblem) -> Array:
    """Return the entries of all problems at the minimum, ``(problem, entry)``.

    Raises
    ------
    ValueError
        If the sweeps have not converged: the problem has next to no penalty, or is not finite.
    """
    values = np.zeros(problem.moment.shape)
    if not problem.places:
        return values
    places = np.asarray(problem.places, dtype=np.int64)
    bounds = np.asarray(problem.bounds, dtype=np.float64)
    for (first, second), start in zip(places, bounds[:, 3], strict=True):
        for n, k in (first, second):
            if n >= 0:
                values[n, k] = start
    curvature = np.einsum("nkk->nk", problem.gram)
    slopes = np.abs(problem.moment) / np.sqrt(np.where(curvature > 0, curvature, 1.0))
    tolerance = TOLERANCE * float(slopes.max())
    if not _compiled()(problem.gram, problem.moment, places, bounds, values, SWEEPS, tolerance):
        raise ValueError(
            f"Weights and conductances have not converged after {SWEEPS} sweeps: neurons that are nearly copies of "
            "each other have no unique ones without a penalty. Raise `Shrinkage(weight=...)`, and check that the "
            "activity is finite."
        )
    return values


@functools.cache
def _compiled() -> Callable[..., bool]:
    import numba

    compiled: Callable[..., bool] = numba.njit(cache=True)(_sweep)
    return compiled


def _sweep(gram: Any, moment: Any, places: Any, bounds: Any, values: Any, sweeps: int, tolerance: float) -> bool:
    """Change `values` in place; return whether they converged."""
    slope = moment.copy()
    for n in range(len(gram)):
        slope[n] -= gram[n] @ values[n]
    for _ in range(sweeps):
        settled = True
        for v in range(len(places)):
            curvature, slant = 0.0, 0.0
            for side in range(2):
                n, k = places[v, side, 0], places[v, side, 1]
                if n >= 0:
                    curvature += gram[n, k, k]
                    slant += slope[n, k]
            before = values[places[v, 0, 0], places[v, 0, 1]]
            wanted = before + slant / curvature
            threshold = bounds[v, 2] / curvature
            wanted = max(wanted - threshold, 0.0) + min(wanted + threshold, 0.0)
            wanted = min(max(wanted, bounds[v, 0]), bounds[v, 1])
            change = wanted - before
            if change != 0.0:
                for side in range(2):
                    n, k = places[v, side, 0], places[v, side, 1]
                    if n >= 0:
                        values[n, k] = wanted
                        for other in range(gram.shape[1]):
                            slope[n, other] -= gram[n, k, other] * change
                # Written so that no comparison with a tolerance that is not a number passes for convergence.
                if not abs(change) * np.sqrt(curvature) <= tolerance:
                    settled = False
        if settled:
            return True
    return False
