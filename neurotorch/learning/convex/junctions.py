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
    shrinkage: Shrinkage,
    alone: Array,
    curvature: Array,
    bounds: tuple[Array, Array],
    junctions: NDArray[np.bool_],
    start: tuple[Array, Array | None],
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
    bounds
        Lower and upper ones of the weights.
    junctions
        Where a junction may exist, symmetric.
    start
        Weights and conductances to start from; None for zeros.
    """
    lower, upper = bounds
    frames, count = moments.frames, len(lower)
    deviations = [math.sqrt(float(np.diag(gram).mean()) / frames) for gram in (moments.pre_gram, measured.gram)]
    found = junctions & ~np.eye(count, dtype=bool)
    pre_of = [np.flatnonzero(lower[post] < upper[post]) for post in range(count)]
    others_of = [np.flatnonzero(found[post]) for post in range(count)]
    problem = SharedProblem.empty([len(pre) + len(others) for pre, others in zip(pre_of, others_of, strict=True)])
    eliminated = []
    for post, (pre, others) in enumerate(zip(pre_of, others_of, strict=True)):
        within, across, own, target = measured.differences(post, others, pre)
        features = np.concatenate([moments.own_pre[post][:, pre], own], axis=1)
        ridge = np.repeat(np.square(deviations), [len(pre), len(others)]) * shrinkage.weight * frames
        gram = np.block([[moments.pre_gram[np.ix_(pre, pre)], across], [across.T, within]]) + np.diag(ridge)
        eliminated.append(np.linalg.solve(curvature[post], features))
        moment = np.concatenate([moments.pre_target[pre, post], target]) - features.T @ alone[post]
        problem.fill(post, gram - features.T @ eliminated[post], moment)
        for place, j in enumerate(pre):
            lasso = shrinkage.sparsity * frames * deviations[0]
            problem.add([(post, place)], lower[post, j], upper[post, j], lasso, start[0][post, j])
    for i, j in zip(*np.nonzero(np.tril(found)), strict=True):
        places = [(a, len(pre_of[a]) + int(np.searchsorted(others_of[a], b))) for a, b in ((i, j), (j, i))]
        first = 0.0 if start[1] is None else float(start[1][i, j])
        # The pair is penalised in the problems of both neurons.
        problem.add(places, 0.0, np.inf, 2 * shrinkage.sparsity * frames * deviations[1], first)
    values = minimise_shared(problem)
    weight, conductance = np.zeros((count, count)), np.zeros((count, count))
    reaction = np.zeros(alone.shape)
    for post, (pre, others) in enumerate(zip(pre_of, others_of, strict=True)):
        weight[post, pre] = values[post, : len(pre)]
        conductance[post, others] = values[post, len(pre) : len(pre) + len(others)]
        reaction[post] = eliminated[post] @ values[post, : len(pre) + len(others)]
    return weight, conductance, reaction
