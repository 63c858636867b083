"""The eigenvalues of recurrent weights, and those that stand apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurotorch.core.checks import as_tensor, check_positive
from neurotorch.plotting.style import BLACK, EXCITATORY, GREY, MODEL, axes_or_new, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_eigenvalues(weight: ArrayLike, *, bulk_radius: float | None = None, ax: Axes | None = None) -> Axes:
    """Plot the eigenvalues of a square matrix ``(post, pre)``, the unit circle and the circle of the spectral radius.

    The work grows with the cube of the number of neurons (about one second for 1,000 on one core).

    Parameters
    ----------
    weight
        ``(post, pre)``.
    bulk_radius
        Radius of the disc that a balanced matrix fills, such as ``spectrum_report(weight).bulk_radius``: it is drawn in
        place of the spectral radius, the axes end where the eigenvalues do, and eigenvalues beyond two such radii are
        marked as outliers.
    ax
        A new figure unless given.
    """
    matrix = checked_matrix(weight)
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"`weight` has the shape {matrix.shape}, but only a square matrix has eigenvalues.")
    values = np.linalg.eigvals(matrix).astype(np.complex128)
    with axes_or_new(ax, (4.2, 4.6)) as own:
        own.axhline(0.0, color=GREY, linewidth=0.5, zorder=0)
        own.axvline(0.0, color=GREY, linewidth=0.5, zorder=0)
        _draw_ring(own, 1.0, BLACK, "unit circle")
        own.lines[-1].set_linestyle("--")
        if bulk_radius is None:
            _mark_spectral_radius(own, values)
        else:
            _mark_outliers(own, values, bulk_radius)
        own.set_aspect("equal")
        own.locator_params(nbins=5)
        own.set_xlabel("real part")
        own.set_ylabel("imaginary part")
        own.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.4, columnspacing=1.2)
    return own


def checked_matrix(weight: ArrayLike) -> NDArray[np.float64]:
    """Return a matrix of finite numbers, or raise."""
    matrix = as_tensor("weight", weight).cpu().numpy().astype(np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(f"`weight` has the shape {matrix.shape}, but it must be (post, pre) and not empty.")
    if not np.isfinite(matrix).all():
        raise ValueError(f"`weight` holds {int((~np.isfinite(matrix)).sum())} NaN or infinite values.")
    return matrix


def _mark_spectral_radius(ax: Axes, values: NDArray[np.complex128]) -> None:
    """Draw eigenvalues and the circle that holds them all."""
    radius = float(np.abs(values).max())
    _draw_ring(ax, radius, MODEL, f"spectral radius {number(radius)}")
    _draw_values(ax, values, MODEL, f"{len(values)} eigenvalue{'s' if len(values) > 1 else ''}")
    edge = 1.08 * max(1.0, radius)
    ax.set_xlim(-edge, edge)
    ax.set_ylim(-edge, edge)


def _mark_outliers(ax: Axes, values: NDArray[np.complex128], bulk_radius: float) -> None:
    """Draw eigenvalues, the circle of the bulk, and in another colour those far beyond it."""
    check_positive("bulk_radius", bulk_radius)
    beyond = np.abs(values) > 2 * bulk_radius
    _draw_ring(ax, bulk_radius, MODEL, f"bulk radius {number(bulk_radius)}")
    inside = int((~beyond).sum())
    _draw_values(ax, values[~beyond], MODEL, f"{inside} eigenvalue{'s' if inside != 1 else ''}")
    if beyond.any():
        leading = values[np.abs(values).argmax()]
        place = number(leading.real) if abs(leading.imag) < 1e-9 else f"of modulus {number(abs(leading))}"
        _draw_values(ax, values[beyond], EXCITATORY, f"outlier {place}")
    edge = 1.15 * max(1.0, bulk_radius, float(np.abs(values.imag).max()))
    ax.set_xlim(1.1 * min(-edge / 1.1, values.real.min()), 1.1 * max(edge / 1.1, values.real.max()))
    ax.set_ylim(-edge, edge)


def _draw_ring(ax: Axes, radius: float, color: str, label: str) -> None:
    ring = radius * np.exp(2j * np.pi * np.linspace(0.0, 1.0, 361))
    ax.plot(ring.real, ring.imag, color=color, linewidth=1.0, label=label)


def _draw_values(ax: Axes, values: NDArray[np.complex128], color: str, label: str) -> None:
    ax.plot(values.real, values.imag, "o", color=color, markersize=3.5, markeredgewidth=0, alpha=0.7, label=label)
