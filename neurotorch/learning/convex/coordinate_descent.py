r"""Coordinate descent for small quadratic problems with signs: what all neurons' weights are found by.

    minimise  w' G w / 2 - q' w + lasso |w|_1   subject to   lower <= w <= upper

With ``g = q - G w``, each coordinate in turn moves to its minimum, the others held::

    w_i <- clip(soft(w_i + g_i / G_ii, lasso / G_ii), lower_i, upper_i),    soft(x, l) = sign(x) max(|x| - l, 0)

The problem is convex and what is not smooth is separable, so the sweeps converge to its minimum. Against non-negative
least squares by active sets it can start from the solution for another penalty, and needs no matrix but `G`.

Reference: Friedman, Hastie & Tibshirani 2010, doi:10.18637/jss.v033.i01, equations 5-6.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SWEEPS = 20_000
TOLERANCE = 1e-9


def minimise(gram: Array, moment: Array, *, lower: Array, upper: Array, lasso: float, start: Array) -> Array:
    """Return the weights ``(pre,)`` of one neuron.

    Parameters
    ----------
    gram, moment
        ``G`` ``(pre, pre)``, with a positive diagonal, and ``q`` ``(pre,)``.
    lower, upper
        Bounds ``(pre,)`` around 0; equal where there is no connection.
    lasso
        Penalty on the sum of magnitudes.
    start
        Where to start, within the bounds.

    Raises
    ------
    ValueError
        If the sweeps have not converged: the problem has next to no penalty, or is not finite.
    """
    weight = start.copy()
    free = np.flatnonzero(lower < upper)
    if not len(free):
        return weight
    scale = float(np.abs(moment[free] / np.sqrt(np.diag(gram)[free])).max())
    sweeps = _compiled()(gram, moment, lower, upper, lasso, weight, free, SWEEPS, TOLERANCE * scale)
    if sweeps < 0:
        raise ValueError(
            f"The weights have not converged after {SWEEPS} sweeps: neurons that are nearly copies of each other have "
            "no unique weights without a penalty. Raise `Shrinkage(weight=...)`, and check that the activity is finite."
        )
    return weight


@functools.cache
def _compiled() -> Callable[..., int]:
    import numba

    compiled: Callable[..., int] = numba.njit(cache=True)(_sweep)
    return compiled


def _sweep(
    gram: Any,
    moment: Any,
    lower: Any,
    upper: Any,
    lasso: float,
    weight: Any,
    free: Any,
    sweeps: int,
    tolerance: float,
) -> int:
    """Change `weight` in place; return the number of sweeps, -1 if they were too few."""
    gradient = moment - gram @ weight
    for sweep in range(sweeps):
        largest = 0.0
        for i in free:
            curvature = gram[i, i]
            wanted = weight[i] + gradient[i] / curvature
            threshold = lasso / curvature
            if wanted > threshold:
                wanted -= threshold
            elif wanted < -threshold:
                wanted += threshold
            else:
                wanted = 0.0
            wanted = min(max(wanted, lower[i]), upper[i])
            change = wanted - weight[i]
            if change != 0.0:
                weight[i] = wanted
                for k in range(len(gradient)):
                    gradient[k] -= gram[i, k] * change
                largest = max(largest, abs(change) * np.sqrt(curvature))
        if largest <= tolerance:
            return sweep + 1
    return -1
