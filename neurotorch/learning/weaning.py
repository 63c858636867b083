"""Weaning: a network that is held near data learns, by least squares, to do without what holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from neurotorch.core.checks import check_count, check_fraction, check_positive
from neurotorch.core.trees import transform
from neurotorch.data.windows import Batch
from neurotorch.learning.base import BatchReport, LearningRule
from neurotorch.learning.checks import only_lag
from neurotorch.learning.recursive_least_squares import RecursiveLeastSquares
from neurotorch.network.delays import arriving
from neurotorch.network.forcing import Forcing
from neurotorch.network.network import Network, NetworkRun


class Weaning(LearningRule):
    r"""Fit the recurrent weights and the bias of a fully observed layer to a free run, without a gradient through time.

    The network runs with a weak forcing, which holds it near the target. Along the trajectory that it *takes*, the
    current ``I*`` that would have led there without the forcing is known (`required_current`). The weights change as
    little as they can to give it::

        minimise  sum_t |dW r(t) - (I*(t) - I(t))|^2  +  ridge |dW|^2

    and the next run, under a weaker forcing, follows the weights found. The trajectory may part from the target where
    the network needs to: a least-squares fit of the target itself (`warm_start`) leaves it no such freedom, and its
    free run strays. The forcing falls geometrically with `progress`, from `start` to `end`. The first call takes the
    target itself for the trajectory, which is that warm start, without its weighting by slopes.

    One call costs a run, a Gram matrix, and under Dale's law `sweeps` products ``(post, pre) x (pre, pre)``. Without
    signs the solution is exact under any mask. With them it is found by the alternating direction method of
    multipliers, whose multipliers are carried on to the next call.

    Parameters
    ----------
    network
        Its last layer is observed directly, has a recurrent connection, a learned bias per neuron, and a model that
        knows `required_current` and `force`.
    ridge
        Penalty on the change of the weights, in units of squared activity.
    start, end
        Strength of the forcing at the beginning and the end.
    sweeps
        Iterations under Dale's law per call; the first call makes 20 times as many.
    penalty
        Of the method of multipliers, in units of squared activity; it changes the speed and not the solution.

    Attributes
    ----------
    progress
        How far training has come, 0..1; the `Curriculum` callback keeps it.

    References
    ----------
    Multipliers: Boyd et al. 2011, doi:10.1561/2200000016, section 5.2. The trajectory as an unknown beside the weights:
    Carreira-Perpiñán & Wang 2014, *Distributed optimization of deeply nested systems*, AISTATS.
    """

    def __init__(
        self,
        network: Network,
        *,
        ridge: float = 1.0,
        start: float = 0.05,
        end: float = 0.005,
        sweeps: int = 5,
        penalty: float = 10.0,
    ) -> None:
        self.network: Network = network
        self.ridge, self.penalty = check_positive("ridge", ridge), check_positive("penalty", penalty)
        self.start, self.end = check_fraction("start", start), check_fraction("end", end)
        if not 0 < self.end <= self.start:
            raise ValueError(f"`end` is {end:g}, but it must be above 0 and at most `start`, {start:g}.")
        self.sweeps, self.progress = check_count("sweeps", sweeps), 0.0
        name, self._layer = list(network.named_layers().items())[-1]
        recurrent, bias, model = self._layer.recurrent, self._layer.bias, type(self._layer.neuron)
        if recurrent is None or bias is None or not bias.learned or bias.value.shape != (self._layer.neurons,):
            raise ValueError(
                f"Layer {name!r} needs a recurrent connection and a learned bias per neuron: "
                f"bias=learned(torch.zeros({self._layer.neurons}))."
            )
        if model.required_current is None or model.force is None:
            raise TypeError(f"{model.__name__} lacks `required_current` or `force`, which weaning needs.")
        if network.observation is not None and not network.observation.is_direct():
            raise ValueError("Weaning needs neurons that are observed directly, one step per frame.")
        self._recurrent, self._bias = recurrent, bias
        self._lag = only_lag("Weaning", f"{name}.recurrent", recurrent, network.dt)
        signed = recurrent.dale is not None and bool((recurrent.dale.signs != 0).any())
        self._signs = recurrent.dale.signs if signed and recurrent.dale is not None else None
        self._multipliers: Tensor | None = None
        self._begun = False

    @torch.no_grad()
    def compute(self, batch: Batch) -> BatchReport:
        """Run under the forcing of the moment and refit; the loss is the mean squared error of that run."""
        strength = self.start * (self.end / self.start) ** self.progress if self._begun else 1.0
        strengths = torch.full((len(batch.target),), strength).to(batch.target)
        strengths[0] = 1
        start = self.network.initial_state(batch.target.shape[1])
        run = self.network.run(batch.inputs, start, forcing=Forcing(batch.target, strengths), record=True)
        missing = self._missing(run)
        activity = arriving(start[-1].history, run.runs[-1].emitted, self._lag)[1:]
        activity = torch.cat([activity, activity.new_ones(*activity.shape[:2], 1)], dim=2)
        if self._signs is None:
            self._set(self._weight() + self._exact(activity, missing))
        else:
            sweeps = self.sweeps if self._begun else 20 * self.sweeps
            self._set(self._under_signs(activity.flatten(0, 1), missing.flatten(0, 1), self._signs, sweeps))
        self._begun = True
        error = (run.output - batch.target)[1:].double().square().mean()
        return BatchReport(float(error), samples=batch.target.shape[1], terms={"forcing": strength})

    def apply(self) -> None:
        """Do nothing: `compute` has changed the weights."""

    def state_dict(self) -> dict[str, Any]:
        """Return progress, whether there was a first call, and the multipliers."""
        multipliers = torch.zeros(0) if self._multipliers is None else self._multipliers.clone()
        return {"progress": self.progress, "begun": self._begun, "multipliers": multipliers}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state."""
        self.progress, self._begun = float(state["progress"]), bool(state["begun"])
        saved = state["multipliers"]
        self._multipliers = saved.to(self._recurrent.raw, copy=True) if saved.numel() else None

    def _missing(self, run: NetworkRun) -> Tensor:
        """Return the current ``(time - 1, batch, neuron)`` that the forcing stood for."""
        model, last = type(self._layer.neuron), run.runs[-1]
        assert model.required_current is not None
        assert last.currents is not None
        before = transform(last.states, lambda field: field[:-1])
        reached = model.observe(last.states, last.emitted)[1:]
        needed = model.required_current(self._layer.neuron.coefficients(self.network.dt), before, reached)
        missing: Tensor = needed - last.currents[1:]
        return missing

    def _weight(self) -> Tensor:
        """Return weights and bias, ``(post, pre + 1)``."""
        return torch.cat([self._recurrent.weight(), self._bias()[:, None]], dim=1).detach()

    def _set(self, weight: Tensor) -> None:
        if self._recurrent.raw.requires_grad:
            self._recurrent.set_weight(weight[:, :-1])
        if self._bias.raw.requires_grad:
            self._bias.assign(weight[:, -1].to(self._bias.raw))

    def _exact(self, activity: Tensor, missing: Tensor) -> Tensor:
        """Return the change of weights and bias without constraints on signs."""
        mask = self._recurrent.mask
        if mask is not None:
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        squares = RecursiveLeastSquares(
            activity.shape[2], missing.shape[2], alpha=self.ridge, mask=mask, device=activity.device
        )
        return squares.update(activity, -missing).to(activity)

    def _under_signs(self, activity: Tensor, missing: Tensor, signs: Tensor, sweeps: int) -> Tensor:
        """Return new weights and bias of the right signs, from ``(sample, ...)``."""
        r, weight = activity.double(), self._weight()
        gram = r.t() @ r
        gram.diagonal().add_(self.ridge + self.penalty)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram)).to(weight)
        pull = (missing.double().t() @ r).to(weight)
        allowed, multipliers = weight, self._multipliers
        multipliers = torch.zeros_like(weight) if multipliers is None else multipliers
        for _ in range(sweeps):
            free = weight + (pull + self.penalty * (allowed - weight - multipliers)) @ inverse
            relaxed = 1.6 * free - 0.6 * allowed + multipliers  # over-relaxation: Boyd et al., section 3.4.3
            allowed = self._projected(relaxed, signs)
            multipliers = relaxed - allowed
        self._multipliers = multipliers
        return allowed

    def _projected(self, weight: Tensor, signs: Tensor) -> Tensor:
        """Return the nearest weights that signs and mask allow; the bias, in the last column, is free."""
        recurrent = torch.where(weight[:, :-1] * signs < 0, 0.0, weight[:, :-1])
        if self._recurrent.mask is not None:
            recurrent = torch.where(self._recurrent.mask, recurrent, 0.0)
        return torch.cat([recurrent, weight[:, -1:]], dim=1)
