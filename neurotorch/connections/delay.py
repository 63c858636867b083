"""Conduction delays: seconds that activity takes from one neuron to another, and what they are in steps."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor

from neurotorch.connections.distance import distances
from neurotorch.core.checks import as_tensor, check_finite, check_not_negative, check_positive

Delay: TypeAlias = float | Tensor | None
"""Seconds, one number or ``(post, pre)``; None is no delay beyond what the step needs."""


def checked_delay(delay: Delay, post: int, pre: int) -> Delay:
    """Return a delay as a connection keeps it; raise unless it is a number or ``(post, pre)`` of seconds, not below 0.

    Those of synapses are kept in float64; where all are the same they stay one per synapse.
    """
    if delay is None:
        return None
    seconds = as_tensor("delay", delay)
    if seconds.dtype == torch.bool:
        raise TypeError(f"`delay` has dtype {seconds.dtype}, but it must be seconds.")
    seconds = seconds.double()
    if seconds.dim() and tuple(seconds.shape) != (post, pre):
        raise ValueError(
            f"`delay` has shape {tuple(seconds.shape)}, but it must be one number of seconds or (post, pre) = "
            f"{(post, pre)}."
        )
    check_finite("delay", seconds)
    if bool((seconds < 0).any()):
        raise ValueError(f"`delay` is {float(seconds.min()):g} s, but activity cannot arrive before it is emitted.")
    return seconds.clone() if seconds.dim() else float(seconds)


def delay_steps(delay: Delay, dt: float, mask: Tensor | None = None) -> int | Tensor:
    """Return a delay in whole steps of `dt` seconds, the nearest; 0 where there is none.

    Parameters
    ----------
    delay
        As a connection keeps it.
    dt
        Step in seconds.
    mask
        ``(post, pre)``: where a connection exists. Elsewhere delays mean nothing and may be anything.

    Raises
    ------
    ValueError
        If a delay is shorter than one step.
    """
    if delay is None:
        return 0
    seconds = torch.as_tensor(delay).double()
    exists = seconds > 0 if mask is None or not seconds.dim() else (seconds > 0) & mask
    shortest = float(seconds[exists].min()) if bool(exists.any()) else dt
    if shortest < dt * (1 - 1e-6):  # time steps are decimal fractions, and rounded
        raise ValueError(
            f"a delay is {shortest:g} s, shorter than one step of `dt` = {dt:g} s: leave out the delay (activity then "
            f"arrives as soon as it can), make it at least {dt:g} s, or take a `dt` of at most {shortest:g} s."
        )
    steps = (seconds / dt).round().long()
    return steps if steps.dim() else int(steps)


def distinct(steps: Tensor, mask: Tensor | None) -> list[int]:
    """Return the numbers of steps that occur where a connection exists, the smallest first."""
    chosen = steps.flatten() if mask is None else steps[mask]
    found: list[int] = torch.bincount(chosen).nonzero().flatten().tolist()
    return found


def conduction_delays(
    coordinates: Tensor, sources: Tensor | None = None, *, velocity: float, least: float = 0.0
) -> Tensor:
    r"""Return the delays ``(post, pre)`` in seconds of straight axons.

    With ``d_ij`` the Euclidean distance from source `j` to target `i`::

        delay[i, j] = max(d_ij / velocity, least)

    Parameters
    ----------
    coordinates : (post, axis)
        Where the postsynaptic neurons are, in metres.
    sources : (pre, axis), optional
        Where the presynaptic neurons are; the same neurons unless given.
    velocity : float
        Of conduction, in metres per second.
    least : float
        Shortest delay in seconds, such as that of a synapse. A network needs at least its time step.

    Raises
    ------
    ValueError
        If coordinates are not finite or do not fit, or the velocity is not positive.
    """
    check_not_negative("least", least, "s")
    return (distances(coordinates, sources) / check_positive("velocity", velocity, "m/s")).clamp(min=least)
