r"""Teacher-forced one-step fitting of a network that is observed as a whole: convex, one problem per neuron.

With a population of multi-timescale units (`MultiTimescaleRate`) forced on the data, what the filters ``m_k`` and the
emitted activity ``z`` hold at every frame is known, and so is the next frame. For each neuron `i` alone::

    x_i(t+1) = sum_k a_ki m_ki(t) + sum_c v_ic u_c(t+1) + b_i + sum_j w_ij z_j(t) + error

    minimise  sum_t error^2 / 2 + T/2 (own |a_i - a_all|^2 + deviation |a_i - a_alone,i|^2 + weight var(z) |w_i|^2)
                                + T sparsity sd(z) |w_i|_1

over weights of the right sign where a connection may exist. ``a_all`` is the ridge solution for all neurons together,
``a_alone`` the minimum without connections: as `weight` grows, the solution goes to it, and with an infinite `weight`
it is it. Own filters, inputs and bias are eliminated exactly. What is left for the weights of neuron `i` is a problem
in

    G_i = Z'Z - Z'P_i (P_i'P_i + T D)^-1 P_i'Z,

in which ``Z'Z`` is one matrix for all neurons, all penalties and all signs, and the second term has the rank of a
neuron's own features ``P_i``. Gap junctions join the problems of all neurons, see `junctions`.

References: Lawson & Hanson 1974, doi:10.1137/1.9781611971217, chapter 23 (non-negative least squares); Zou & Hastie
2005, doi:10.1111/j.1467-9868.2005.00503.x (ridge and lasso together).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurotorch.learning.convex.coordinate_descent import minimise
from neurotorch.learning.convex.forced import Segment, checked, forced_rows
from neurotorch.learning.convex.junctions import JunctionMoments, coupled_weights
from neurotorch.learning.convex.shrinkage import Shrinkage
from neurotorch.learning.convex.solution import OneStepSolution
from neurotorch.network.network import Network

Array = NDArray[np.float64]

POOLED_RIDGE = 1e-4
"""Ridge, per frame, of the filter weights that are fitted to all neurons together."""


@dataclass(frozen=True)
class OneStepMoments:
    """All that the one-step fits of a population need to know of the data, for any penalty, signs and mask.

    Attributes
    ----------
    frames
        Number of frames that are predicted, ``T``.
    filters
        Number of own filters; a neuron's own features are these, the inputs, and a one.
    own_gram, own_target
        ``P'P`` ``(neuron, own, own)`` and ``P'x`` ``(neuron, own)``.
    own_pre, own_mean
        ``P'Z`` ``(neuron, own, pre)`` with ``Z`` centred, and the means of ``Z`` ``(pre,)``.
    pre_gram, pre_target
        ``Z'Z`` ``(pre, pre)``, one for all neurons, and ``Z'x`` ``(pre, neuron)``.
    junctions
        What gap junctions need to know beside that; None where the network that was measured has none.
    """

    frames: int
    filters: int
    own_gram: Array
    own_target: Array
    own_pre: Array
    pre_mean: Array
    pre_gram: Array
    pre_target: Array
    junctions: JunctionMoments | None = None

    @classmethod
    def of(cls, network: Network, segments: Sequence[Segment]) -> OneStepMoments:
        """Force `network` on the data and measure; its weights do not matter, its time constants do.

        Parameters
        ----------
        network
            One population of multi-timescale units, one step per frame, observed directly.
        segments
            In the unit of the network, in which the activity of a neuron varies around 0 with a variance of about 1.

        Raises
        ------
        TypeError
            If the neurons are of another model.
        ValueError
            If the network is not of that form, or no segment holds three frames or the data is not finite.
        """
        neuron, layer = checked(network), list(network.named_layers().values())[-1]
        # Forcing corrects what was predicted: only in double precision do the weights at hand leave no trace.
        double = copy.deepcopy(network).double()
        rows = [forced_rows(double, segment) for segment in segments if len(segment.target) > 2]
        if not rows:
            longest = max((len(segment.target) for segment in segments), default=0)
            raise ValueError(f"The longest segment has {longest} frames, but a one-step fit needs at least 3.")
        own, emitted, potential, target = (np.concatenate(parts, axis=1) for parts in zip(*rows, strict=True))
        # (neuron, frame, own), (frame, pre), (frame, neuron), (neuron, frame)
        mean = emitted[0].mean(axis=0)
        centred = emitted[0] - mean
        across = own.swapaxes(1, 2)
        coupled = layer.electrical is not None
        return cls(
            frames=target.shape[1],
            filters=neuron.own.value.shape[0],
            own_gram=across @ own,
            own_target=(across @ target[:, :, None])[:, :, 0],
            own_pre=across @ centred,
            pre_mean=mean,
            pre_gram=centred.T @ centred,
            pre_target=centred.T @ target.T,
            junctions=JunctionMoments.of(across, centred, potential[0], target) if coupled else None,
        )

    def alone(self, own: float) -> OneStepSolution:
        """Return the fit without connections, for the penalty `own` of a `Shrinkage`."""
        return self._solution(self._alone(own), np.zeros(self.pre_target.T.shape))

    def connected(
        self,
        shrinkage: Shrinkage,
        *,
        signs: Array | None = None,
        mask: NDArray[np.bool_] | None = None,
        junctions: NDArray[np.bool_] | None = None,
    ) -> OneStepSolution:
        """Return the fit for one `Shrinkage`, see `path`."""
        return next(self.path([shrinkage], signs=signs, mask=mask, junctions=junctions))

    def path(
        self,
        shrinkages: Sequence[Shrinkage],
        *,
        signs: Array | None = None,
        mask: NDArray[np.bool_] | None = None,
        junctions: NDArray[np.bool_] | None = None,
    ) -> Iterator[OneStepSolution]:
        """Yield the fit for each of several `Shrinkage`, each starting from the weights of the one before it.

        Parameters
        ----------
        shrinkages
            Best from strong to weak.
        signs
            -1, 0 (free) or +1 for each presynaptic neuron; all free by default.
        mask
            ``(post, pre)``: where a connection may exist. There is none from a neuron to itself in any case: its own
            past belongs to the filters.
        junctions
            ``(neuron, neuron)``, symmetric: where a gap junction may exist; nowhere by default.
        """
        post, pre = self.pre_target.T.shape
        sign = np.zeros(pre) if signs is None else np.asarray(signs, dtype=np.float64)
        given = np.ones((post, pre), dtype=bool) if mask is None else np.asarray(mask)
        if sign.shape != (pre,) or given.shape != (post, pre):
            raise ValueError(
                f"`signs` is {sign.shape} and `mask` {given.shape}, but {pre} neurons need ({pre},) and "
                f"({post}, {pre})."
            )
        if given.dtype != np.bool_:
            raise TypeError(f"`mask` is of {given.dtype}, but it must be of bool: where a connection may exist.")
        if not np.isin(sign, (-1, 0, 1)).all():
            raise ValueError(f"`signs` holds {np.unique(sign).tolist()}, but a sign is -1, 0 (free) or +1.")
        allowed = given & ~np.eye(post, pre, dtype=bool)
        lower = np.where(allowed & (sign <= 0), -np.inf, 0.0)
        upper = np.where(allowed & (sign >= 0), np.inf, 0.0)
        weight, conductance = np.zeros((post, pre)), None
        measured = None if junctions is None else self._measured(junctions)
        for shrinkage in shrinkages:
            alone = self._alone(shrinkage.own)
            if math.isinf(shrinkage.weight) or not np.diag(self.pre_gram).any():
                weight, conductance, reaction = np.zeros((post, pre)), None, np.zeros(alone.shape)
            elif measured is None or junctions is None:
                weight, reaction = self._weights(shrinkage, alone, lower, upper, weight)
            else:
                curvature = self.own_gram + self._penalty(shrinkage.own) + self._penalty(shrinkage.deviation)
                weight, conductance, reaction = coupled_weights(
                    self,
                    measured,
                    shrinkage=shrinkage,
                    alone=alone,
                    curvature=curvature,
                    lower=lower,
                    upper=upper,
                    junctions=junctions,
                    weight=weight,
                    conductance=conductance,
                )
            yield self._solution(alone - reaction, weight, conductance)

    def _measured(self, junctions: NDArray[np.bool_]) -> JunctionMoments:
        if self.junctions is None:
            raise ValueError("`junctions` are given, but the network that was measured has none: build it with some.")
        if junctions.shape != self.pre_gram.shape or junctions.dtype != np.bool_ or (junctions != junctions.T).any():
            raise ValueError(
                f"`junctions` is {junctions.shape} of {junctions.dtype}, but it must be {self.pre_gram.shape} of bool "
                "and symmetric: where a gap junction may exist."
            )
        return self.junctions

    def _weights(
        self, shrinkage: Shrinkage, alone: Array, lower: Array, upper: Array, start: Array
    ) -> tuple[Array, Array]:
        """Return weights ``(post, pre)``, and by how much they lower each neuron's own parameters ``(neuron, own)``."""
        variance = float(np.diag(self.pre_gram).mean()) / self.frames
        penalty = self._penalty(shrinkage.own) + self._penalty(shrinkage.deviation)
        eliminated = np.linalg.solve(self.own_gram + penalty, self.own_pre)
        ridge = shrinkage.weight * self.frames * variance * np.eye(len(self.pre_gram))
        lasso = shrinkage.sparsity * self.frames * math.sqrt(variance)
        weight = np.empty(start.shape)
        for post in range(len(weight)):
            weight[post] = minimise(
                self.pre_gram - self.own_pre[post].T @ eliminated[post] + ridge,
                self.pre_target[:, post] - self.own_pre[post].T @ alone[post],
                lower=lower[post],
                upper=upper[post],
                lasso=lasso,
                start=start[post],
            )
        return weight, np.einsum("nop,np->no", eliminated, weight)

    def _alone(self, own: float) -> Array:
        """Return every neuron's own parameters without connections, ``(neuron, own)``."""
        penalty, prior = self._penalty(own), np.zeros(self.own_target.shape[1])
        pooled = self.own_gram.mean(axis=0) + self._penalty(POOLED_RIDGE).mean(axis=0)
        prior[: self.filters] = np.linalg.solve(pooled, self.own_target.mean(axis=0))[: self.filters]
        solution = np.linalg.solve(self.own_gram + penalty, (self.own_target + penalty @ prior)[:, :, None])
        return np.asarray(solution[:, :, 0], dtype=np.float64)

    def _penalty(self, size: float) -> Array:
        """Return the ridge ``(neuron, own, own)``: that of an input in units of its mean square, none on the bias."""
        diagonal = np.einsum("noo->no", self.own_gram).copy()
        diagonal[:, : self.filters] = self.frames
        diagonal[:, -1] = 0
        # An input that was never given has no effect, and needs a penalty to have none.
        diagonal[:, self.filters : -1][diagonal[:, self.filters : -1] == 0] = self.frames
        return size * diagonal[:, :, None] * np.eye(diagonal.shape[1])

    def _solution(self, own: Array, weight: Array, conductance: Array | None = None) -> OneStepSolution:
        bias = own[:, -1] - weight @ self.pre_mean
        if conductance is not None and self.junctions is not None:
            bias -= conductance @ self.junctions.mean - conductance.sum(axis=1) * self.junctions.mean
        inputs = own[:, self.filters : -1]
        return OneStepSolution(own[:, : self.filters].T, bias, inputs, weight, conductance)
