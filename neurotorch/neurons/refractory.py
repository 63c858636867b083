"""The absolute refractory period as an option of integrate-and-fire models, written in the step vocabulary."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from neurotorch.core.vocabulary import relu, where
from neurotorch.neurons.constant import Constant, Learned, constant


class NotRefractory(NamedTuple):
    """No refractory period: it takes no state (``r`` is empty) and no operation."""

    def hold(self, r: Any, v: Any, spiked: Any, carried: Any, arriving: Any) -> tuple[Any, Any]:  # noqa: ARG002 (numba: no `del`)
        """Return the potential ``carried + arriving``, and ``r``."""
        return carried + arriving, r

    def emit(self, r: Any, z: Any) -> Any:  # noqa: ARG002 (numba compiles no `del`)
        """Return `z`."""
        return z


class Refractory(NamedTuple):
    """For `period` steps after a spike the potential is held, what arrives at it is dropped, and no spike is emitted.

    With ``s`` the spike of the step before, ``c`` what a step carries over of the potential after its reset, and ``i``
    what arrives at it::

        r' = period s + (1 - s) max(0, r - 1)
        v' = c + i                where r' < 1/2
        v' = (1 - s) v + s c      elsewhere
        z' = z                    where r' < 1/2, else 0

    so that the period counts in whole steps, to the nearest. One of a single step drops the input of the step after a
    spike; one of under half a step would change nothing and is refused. Gerstner et al. 2014, *Neuronal Dynamics*,
    section 1.3, doi:10.1017/CBO9781107447615.
    """

    period: Any

    def hold(self, r: Any, v: Any, spiked: Any, carried: Any, arriving: Any) -> tuple[Any, Any]:
        """Return the potential and the steps for which it is still held, ``r'``."""
        left = self.period * spiked + (1 - spiked) * relu(r - 1)
        return where(left >= 0.5, v + spiked * (carried - v), carried + arriving), left

    def emit(self, r: Any, z: Any) -> Any:
        """Return `z` of a neuron that is not held, else 0."""
        return where(r >= 0.5, 0 * z, z)


def refractory_constant(value: float | Tensor | Learned | Constant | None) -> Constant | None:
    """Return the refractory period that a user gave in seconds, or None for none."""
    if value is None:
        return None
    period = constant("refractory", value, positive=True)
    if period.learned:
        raise ValueError("`refractory` is learned, but a number of whole steps has no gradient: give a fixed period.")
    return period


def refractory_option(period: Constant | None, dt: float) -> Refractory | NotRefractory:
    """Return the option of a step of `dt` seconds."""
    if period is None:
        return NotRefractory()
    shortest = float(period.value.min())
    if shortest < 0.5 * dt:
        raise ValueError(
            f"`refractory` is {shortest:g} s, less than half a step of `dt` = {dt:g} s, so that it would not act: "
            f"leave it out, make it at least {0.5 * dt:g} s, or take shorter steps."
        )
    return Refractory(period() / dt)


def free(period: Constant | None, zeros: Tensor) -> Any:
    """Return the field ``r`` of neurons that are not held."""
    return () if period is None else zeros
