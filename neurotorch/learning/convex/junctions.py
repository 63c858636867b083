r"""Gap junctions in the one-step fit: conductances that two neurons share join the problems of all of them.

The current of the junctions is linear in the conductances and in what forcing makes known, the potentials ``x``::

    x_i(t+1) = sum_k a_ki m_ki(t) + ... + sum_j w_ij z_j(t) + sum_j g_ij (x_j(t) - x_i(t)) + error

    g_ij = g_ji >= 0,    penalty of neuron i: T/2 weight var(x) |g_i|^2 + T sparsity sd(x) |g_i|_1

so the sum of all neurons' problems is convex in weights and conductances together. Own filters, inputs and bias are
eliminated as they are without junctions, over the features ``[z_j, x_j - x_i]`` of neuron `i`, and the minimum is found
by coordinate descent, in which a conductance is one coordinate of two problems.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from neurotorch.learning.convex.shared_descent import SharedProblem, minimise_shared
from neurotorch.learning.convex.shrinkage import Shrinkage

if TYPE_CHECKING:
    from neurotorch.learning.convex.moments import OneStepMoments

Array = NDArray[np.float64]


@dataclass(frozen=True)
class JunctionMoments:
    """What the currents of gap junctions add to `OneStepMoments`, with potentials ``X`` ``(frame, neuron)`` centred.

    Attributes
    ----------
    mean
        Of the potentials ``(neuron,)``.
    gram, pre
        ``X'X`` and ``Z'X`` ``(pre, neuron)``.
    own
        ``P'X`` ``(neuron, own, neuron)``.
    target
        ``X'x`` ``(neuron, neuron)``: with the next frame of each neuron.
    """

    mean: Array
    gram: Array
    pre: Array
    own: Array
    target: Array

    @classmethod
    def of(cls, own: Array, emitted: Array, potential: Array, target: Array) -> Self:
        """Measure; `own` is ``(neuron, own, frame)``, `emitted` centred, `target` ``(neuron, frame)``."""
        mean = potential.mean(axis=0)
        centred = potential - mean
        return cls(mean, centred.T @ centred, emitted.T @ centred, own @ centred, centred.T @ target.T)

    def differences(self, post: int, others: NDArray[np.intp], pre: NDArray[np.intp]) -> tuple[Array, ...]:
        """Return ``D'D``, ``Z'D``, ``P'D`` and ``D'x`` of the differences ``x_j - x_post`` to some `others`."""
        by_post = self.gram[others, post]
        gram = self.gram[np.ix_(others, others)] - by_post[:, None] - by_post[None, :] + self.gram[post, post]
        across = self.pre[np.ix_(pre, others)] - self.pre[pre, post][:, None]
        own = self.own[post][:, others] - self.own[post][:, post][:, None]
        return gram, across, own, self.target[others, post] - self.target[post, post]


def coupled_weights(
    moments: OneStepMoments,
    measured: JunctionMoments,
    *,
    shrinkage: Shrinkage,
    alone: Array,
    curvature: Array,
    lower: Array,
    upper: Array,
    junctions: NDArray[np.bool_],
    weight: Array,
    conductance: Array | None,
) -> tuple[Array, Array, Array]:
    """Return weights ``(post, pre)``, conductances ``(neuron, neuron)``, and by how much both lower own parameters.

    Parameters
    ----------
    moments, measured
        Of the data.
    shrinkage
        The penalties.
    alone, curvature
        Own parameters without connections ``(neuron, own)``, and ``P'P + T D`` ``(neuron, own, own)``.
    lower, upper
        Bounds of the weights.
    junctions
        Where a junction may exist, symmetric.
    weight, conductance
        To start from; None for zeros.
    """
    count = len(lower)
    joined = junctions & ~np.eye(count, dtype=bool)
    entries = [(np.flatnonzero(lower[i] < upper[i]), np.flatnonzero(joined[i])) for i in range(count)]
    problem = SharedProblem.empty([len(pre) + len(others) for pre, others in entries])
    # Penalties are in units of the deviations of what neurons emit, and of their potentials.
    spread = [math.sqrt(float(np.diag(gram).mean()) / moments.frames) for gram in (moments.pre_gram, measured.gram)]
    lasso = [shrinkage.sparsity * moments.frames * each for each in spread]
    eliminated = []
    for post, (pre, others) in enumerate(entries):
        gram, moment, features = _quadratic(moments, measured, post, pre, others)
        ridge = shrinkage.weight * moments.frames * np.repeat(np.square(spread), [len(pre), len(others)])
        eliminated.append(np.linalg.solve(curvature[post], features))
        gram = gram + np.diag(ridge) - features.T @ eliminated[post]
        problem.fill(post, gram, moment - features.T @ alone[post])
        for place, j in enumerate(pre):
            problem.add([(post, place)], lower[post, j], upper[post, j], lasso[0], weight[post, j])
    for i, j in zip(*np.nonzero(np.tril(joined)), strict=True):
        places = [(a, len(entries[a][0]) + int(np.searchsorted(entries[a][1], b))) for a, b in ((i, j), (j, i))]
        # The pair is penalised in the problems of both neurons.
        problem.add(places, 0.0, np.inf, 2 * lasso[1], 0.0 if conductance is None else conductance[i, j])
    values = minimise_shared(problem)
    weight, conductance, reaction = np.zeros((count, count)), np.zeros((count, count)), np.zeros(alone.shape)
    for post, (pre, others) in enumerate(entries):
        found = values[post, : len(pre) + len(others)]
        weight[post, pre], conductance[post, others] = found[: len(pre)], found[len(pre) :]
        reaction[post] = eliminated[post] @ found
    return weight, conductance, reaction


def _quadratic(
    moments: OneStepMoments, measured: JunctionMoments, post: int, pre: NDArray[np.intp], others: NDArray[np.intp]
) -> tuple[Array, Array, Array]:
    """Return Gram matrix and moment of the features ``[z_pre, x_others - x_post]``, and their product with ``P``."""
    within, across, own, target = measured.differences(post, others, pre)
    gram = np.block([[moments.pre_gram[np.ix_(pre, pre)], across], [across.T, within]])
    moment = np.concatenate([moments.pre_target[pre, post], target])
    return gram, moment, np.concatenate([moments.own_pre[post][:, pre], own], axis=1)
