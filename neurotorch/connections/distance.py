"""Masks from where neurons are: near ones connect more often."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from neurotorch.connections.topology import no_self
from neurotorch.core.checks import as_tensor, check_finite, check_generator, check_positive, shown


def distance_dependent(
    coordinates: Tensor,
    sources: Tensor | None = None,
    *,
    length: float | None = None,
    probability: Callable[[Tensor], Tensor] | None = None,
    generator: torch.Generator | None = None,
    self_connections: bool = False,
) -> Tensor:
    r"""Return a random mask ``(post, pre)`` in which each connection exists with a probability of its distance.

    With ``d_ij`` the Euclidean distance from source `j` to target `i`, independently for every pair::

        P(mask[i, j]) = exp(-d_ij / length)    or    probability(d_ij)

    Parameters
    ----------
    coordinates : (post, axis)
        Where the postsynaptic neurons are, in any unit of length.
    sources : (pre, axis), optional
        Where the presynaptic neurons are, in the same unit; the same neurons unless given.
    length : float
        Length constant in that unit. Either this or `probability`.
    probability : callable
        From distances ``(post, pre)`` to probabilities in 0..1.
    generator : torch.Generator, optional
        Where the randomness comes from; torch's own unless given.
    self_connections : bool
        Whether a neuron, at distance 0, may connect to itself; without effect where `sources` are given.

    Raises
    ------
    ValueError
        If coordinates are not finite or do not fit, not exactly one of `length` and `probability` is given, or a
        probability lies outside 0..1.

    References
    ----------
    Ercsey-Ravasz, Markov, Lamy, Van Essen, Knoblauch, Toroczkai & Kennedy (2013), Neuron 80, 184-197,
    doi:10.1016/j.neuron.2013.07.036: the exponential distance rule.
    """
    if (length is None) == (probability is None):
        raise ValueError("Give either `length` or `probability`: one of them says how often near neurons connect.")
    distance = distances(coordinates, sources)
    if probability is not None:
        if not callable(probability):
            raise TypeError(
                f"`probability` is {shown(probability)}, but it must be a function of distances, such as "
                "`lambda distance: 0.3 * torch.exp(-distance)`."
            )
        chance = _checked_chance(probability(distance), distance)
    else:
        assert length is not None
        chance = torch.exp(-distance / check_positive("length", length))
    device = check_generator(generator)
    # Uniform numbers lie in [0, 1): a chance of 0 never connects and one of 1 always does.
    drawn = torch.rand(chance.shape, generator=generator, dtype=torch.float64, device=device).cpu()
    mask = drawn < chance
    return mask & no_self(len(mask)) if sources is None and not self_connections else mask


def distances(coordinates: Tensor, sources: Tensor | None = None) -> Tensor:
    """Return the Euclidean distances ``(post, pre)`` between two sets of points, or within one, in float64.

    Raises
    ------
    ValueError
        If coordinates are not finite or do not fit.
    """
    post = _checked_coordinates("coordinates", coordinates)
    pre = post if sources is None else _checked_coordinates("sources", sources)
    if post.shape[1] != pre.shape[1]:
        raise ValueError(
            f"`coordinates` have {post.shape[1]} axes and `sources` {pre.shape[1]}: give both in the same space."
        )
    # The exact form: the fast one of large matrices loses half the digits of small distances.
    return torch.cdist(post, pre, compute_mode="donot_use_mm_for_euclid_dist")


def _checked_coordinates(name: str, coordinates: Tensor) -> Tensor:
    places = as_tensor(name, coordinates).cpu().double()
    if places.ndim != 2 or not places.numel():
        raise ValueError(f"`{name}` has shape {tuple(places.shape)}, but it must be (neuron, axis): a row per neuron.")
    check_finite(name, places)
    return places


def _checked_chance(chance: Tensor, distance: Tensor) -> Tensor:
    chance = as_tensor("probability(distance)", chance).double()
    if chance.shape != distance.shape:
        raise ValueError(
            f"`probability` returned shape {tuple(chance.shape)} for distances {tuple(distance.shape)}: it must be "
            "elementwise."
        )
    if not bool(((chance >= 0) & (chance <= 1)).all()):
        wrong = chance[~((chance >= 0) & (chance <= 1))]
        raise ValueError(f"`probability` returned {float(wrong[0]):g}, but a probability lies in 0..1.")
    return chance
