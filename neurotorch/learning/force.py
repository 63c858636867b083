"""FORCE: weights that are corrected at every step, by recursive least squares, while the network runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from neurotorch.connections import Connection
from neurotorch.core.checks import check_count, check_fraction
from neurotorch.core.seeds import torch_generator
from neurotorch.core.trees import leaves, rebuild
from neurotorch.data.windows import Batch
from neurotorch.learning.base import BatchReport, LearningRule
from neurotorch.learning.checks import only_lag
from neurotorch.learning.forcing_plan import ForcingPlan
from neurotorch.learning.recursive_least_squares import RecursiveLeastSquares
from neurotorch.network.delays import arriving
from neurotorch.network.forcing import Forcing
from neurotorch.network.layer import Layer
from neurotorch.network.network import Network, NetworkRun, NetworkState


class FORCE(LearningRule):
    r"""First-order reduced and controlled error learning.

    The network runs on its own activity. At every step the error of each neuron of the last layer corrects its incoming
    weights, with ``r`` the presynaptic activity and ``P`` the running inverse of its correlation::

        P  <-  P - (P r r^T P) / (1 + r^T P r)          (with a forgetting factor, P is divided by it first)
        W  <-  W - e (P r)^T                            (with the new P)

    On a readout (``plastic="readout.inputs"``, with feedback ``"readout -> cortex"`` to close the loop) this is FORCE
    as published; on the recurrent weights of a fully observed layer it is that of CURBD. Both need the whole ``P``,
    ``O(pre^2)`` per step: the rule is not local in space.

    The error is counted in the *current*, in which the problem is linear::

        e = I - I*                    models with a `required_current`: I* leads from frame to frame along the target
        e = (seen - target) / g       other models

    ``I*`` belongs to states on the target, not to those of the running network: it is bounded however far the network
    has strayed, where asking for the whole way back in one step made runs diverge. A neuron that gets ``I*`` finds back
    by its own leak. ``g`` is the largest slope of what is seen in the current that the neuron has had so far, 1 for a
    leaky integrator. CURBD takes ``e = seen - target`` whatever the slope.

    With ``I*`` the weights are the ridge solution around the start weights over the activity that the network met,
    exactly (see `RecursiveLeastSquares`). Under Dale's law weights of the wrong sign are set to zero after every
    update, and this no longer holds: later updates take the clipped weights for the optimum, and a small `alpha` then
    spoils the fit from pass to pass. docs/learning-rules.md has numbers; `Weaning` and `warm_start` keep to the signs
    while they solve. Masked weights, self-connections among them, stay zero, and the others are exact for that.

    A network that is silent at rest stays so, and learns nothing: give it a bias, inputs, or a first forced frame.

    Parameters
    ----------
    network
        Its last layer emits rates and is observed directly, one step per frame.
    plastic
        Address of the connection that learns, of those that end on the last layer: ``"<last>.recurrent"`` or
        ``"<last>.inputs"``. By default the recurrent one, if there is one.
    alpha
        Regularisation, ``P = I / alpha`` at the start; small values learn fast. Under Dale's law choose it large.
    forgetting
        Factor in 0..1 per step by which the past counts less; 1 forgets nothing.
    every
        Steps between updates. An update takes all samples since the last one.
    fraction
        Fraction of the presynaptic neurons whose weights learn, drawn at random.
    seed
        Of that draw.
    bias
        Whether a learned bias per neuron learns too, as the weight of a constant activity of 1.
    skip
        Frames at the start of a window that are not learned from: the first is predicted from rest.
    forcing
        How the network is forced on the target; by default it is not. ``WarmUp(1)`` starts on the first frame.
    dtype
        Of ``P`` and of the weights while a batch lasts.

    Attributes
    ----------
    rls
        The `RecursiveLeastSquares`, with one column more than there are presynaptic neurons if the bias learns.
    progress
        How far training has come, 0..1, for forcing that changes; the `Curriculum` callback keeps it.

    References
    ----------
    Sussillo & Abbott 2009, doi:10.1016/j.neuron.2009.07.018, equations 2 to 5. CURBD: Perich et al. 2020,
    doi:10.1101/2020.12.18.423348.
    """

    def __init__(
        self,
        network: Network,
        *,
        plastic: str | None = None,
        alpha: float = 1.0,
        forgetting: float = 1.0,
        every: int = 1,
        fraction: float = 1.0,
        seed: int = 0,
        bias: bool = True,
        skip: int = 1,
        forcing: ForcingPlan | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.network: Network = network
        self.every, self.skip = check_count("every", every), check_count("skip", skip, least=0)
        self.forcing, self.progress = forcing, 0.0
        name, self._layer = list(network.named_layers().items())[-1]
        self.address, self._connection = _plastic(network, name, plastic)
        _check_layer(network, name, self._layer, self._connection, self.address)
        self._lag = only_lag("FORCE", self.address, self._connection, network.dt)
        neurons, raw = self._layer.neurons, self._connection.raw
        self._bias = bias and _learns_bias(self._layer)
        mask = torch.ones(neurons, self._connection.pre + self._bias, dtype=torch.bool, device=raw.device)
        if self._connection.mask is not None:
            mask[:, : self._connection.pre] = self._connection.mask
        mask[:, : self._connection.pre] &= _drawn(self._connection.pre, fraction, seed).to(raw.device)
        self.rls = RecursiveLeastSquares(
            mask.shape[1], neurons, alpha=alpha, forgetting=forgetting, mask=mask, dtype=dtype, device=raw.device
        )
        self._slope = torch.zeros(neurons, dtype=dtype, device=raw.device)

    @torch.no_grad()
    def compute(self, batch: Batch) -> BatchReport:
        """Run the network over `batch`, correcting its weights on the way; the loss is the mean squared error met."""
        target, network = batch.target, self.network
        frames, samples = target.shape[:2]
        if frames <= self.skip:
            raise ValueError(f"The rule skips {self.skip} frames, but the window has only {frames}.")
        if target.device != self.rls.inverses[0].device:
            raise ValueError(
                f"The batch is on {target.device}, but the rule was built on {self.rls.inverses[0].device}: move the "
                "batch, or move the network and build the rule anew."
            )
        strength = None if self.forcing is None else self.forcing.strength(frames, self.progress).to(target)
        required = self._required(batch)
        weight, state, total = self._connection.weight().to(self.rls.dtype), network.initial_state(samples), 0.0
        for start in range(0, frames, self.every):
            part = slice(start, min(start + self.every, frames))
            run = network.run(
                None if batch.inputs is None else batch.inputs[part],
                state,
                frames=part.stop - start,
                forcing=None if strength is None else Forcing(target[part], strength[part]),
                weights={self.address: weight.to(self._connection.raw)},
                record=True,
            )
            late = max(0, self.skip - start)
            if late < len(run.output):
                total += float((run.output[late:] - target[part][late:]).double().square().sum())
                currents = run.runs[-1].currents
                assert currents is not None
                error = self._by_slope(run, state, target[part]) if required is None else currents - required[part]
                activity = self._presynaptic(run, state, batch.inputs, part)
                weight = self._updated(weight, activity[late:], error[late:])
            state = run.state
        if self._connection.raw.requires_grad:
            self._connection.set_weight(weight)
        return BatchReport(total / ((frames - self.skip) * target[0].numel()), samples=samples)

    def apply(self) -> None:
        """Do nothing: `compute` has changed the weights."""

    def state_dict(self) -> dict[str, Any]:
        """Return the inverse correlations, the slopes and the progress."""
        return {"rls": self.rls.state_dict(), "slope": self._slope.clone(), "progress": self.progress}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state."""
        self.rls.load_state_dict(state["rls"])
        self._slope = state["slope"].to(self._slope, copy=True)
        self.progress = float(state["progress"])

    def _updated(self, weight: Tensor, activity: Tensor, error: Tensor) -> Tensor:
        """Return the weights after one update, and set the bias; what is frozen stays."""
        if not self._connection.raw.requires_grad:
            return weight
        if self._bias:
            activity = torch.cat([activity, activity.new_ones(*activity.shape[:2], 1)], dim=2)
        change = self.rls.update(activity, error)
        bias, pre = self._layer.bias, self._connection.pre
        if bias is not None and self._bias and bias.raw.requires_grad:
            bias.assign(bias() + change[:, pre].to(bias.raw))
        weight = weight + change[:, :pre]
        dale = self._connection.dale
        return weight if dale is None else torch.where(weight * dale.signs < 0, 0.0, weight)

    def _presynaptic(self, run: NetworkRun, state: NetworkState, inputs: Tensor | None, part: slice) -> Tensor:
        """Return the activity ``(step, batch, pre)`` that the plastic weights saw."""
        if self._connection is self._layer.recurrent:
            return arriving(state[-1].history, run.runs[-1].emitted, self._lag)
        if len(run.runs) > 1:
            return arriving(state[-2].history, run.runs[-2].emitted, self._lag)
        assert inputs is not None  # the layer has an input connection, and has just run
        underway = state[-1].underway
        return inputs[part] if underway is None else arriving(underway, inputs[part], self._lag)

    def _required(self, batch: Batch) -> Tensor | None:
        """Return the currents ``(frame, batch, neuron)`` that lead along the target, None for models that lack them."""
        model = type(self._layer.neuron)
        if model.required_current is None or model.force is None:
            return None
        start = self.network.initial_state(batch.target.shape[1])
        run = self.network.run(batch.inputs, start, forcing=Forcing.full(batch.target), record=True)
        before = _preceded(start[-1].neuron, run.runs[-1].states)
        needed: Tensor = model.required_current(
            self._layer.neuron.coefficients(self.network.dt), before, self._wanted(batch.target)
        )
        return needed

    def _by_slope(self, run: NetworkRun, state: NetworkState, target: Tensor) -> Tensor:
        """Return by how much every current ``(step, batch, neuron)`` was too large, judged by what was seen."""
        model, last = self._layer.neuron, run.runs[-1]
        assert last.currents is not None
        before = _preceded(state[-1].neuron, last.states)
        with torch.enable_grad():
            current = last.currents.detach().requires_grad_()
            emitted, after = model.step(model.coefficients(self.network.dt), before, current)
            (slope,) = torch.autograd.grad(model.observe(after, emitted).sum(), current)
        self._slope = torch.maximum(self._slope, slope.abs().amax(dim=(0, 1)).to(self._slope))
        # A neuron whose current has never shown has nothing to learn from yet.
        per_unit = torch.where(self._slope > 0, 1 / self._slope.clamp(min=1e-12), 0.0)
        return (last.seen - self._wanted(target)).to(self._slope) * per_unit

    def _wanted(self, target: Tensor) -> Tensor:
        """Return the target in the unit of what the neurons show."""
        return target if self.network.observation is None else self.network.observation.inward(target)


def _preceded(first: Any, states: Any) -> Any:
    """Return the tree of states before each step: the state `first`, then all of `states` but the last."""
    pairs = zip(leaves(first), leaves(states), strict=True)
    return rebuild(states, [torch.cat([one[None], many[:-1]]) for one, many in pairs])


def _plastic(network: Network, name: str, address: str | None) -> tuple[str, Connection]:
    connections = network.connections()
    known = [each for each in (f"{name}.recurrent", f"{name}.inputs") if each in connections]
    if not known:
        raise ValueError(f"Layer {name!r} has no connection that could learn: give it `inputs` or `recurrent`.")
    chosen = known[0] if address is None else address
    if chosen not in known:
        raise ValueError(f"`plastic` is {chosen!r}, but FORCE changes what ends on the last layer: {known}.")
    return chosen, connections[chosen]


def _check_layer(network: Network, name: str, layer: Layer, connection: Connection, address: str) -> None:
    if layer.neuron.emits != "rates":
        raise TypeError(
            f"Layer {name!r} emits spikes, whose error says nothing about their size: add a readout of "
            "LeakyIntegrator neurons as the last layer, and train its inputs."
        )
    if network.observation is not None and not network.observation.is_direct():
        raise ValueError("FORCE needs neurons that are observed directly, one step per frame and without instrument.")
    if not connection.raw.requires_grad:
        raise ValueError(f"{address!r} is frozen (requires_grad=False): there is nothing to learn.")
    if connection.dale is not None and bool((connection.dale.signs != 0).any()):
        try:
            connection.dale.magnitude.inverse(torch.zeros(1))
        except ValueError:
            raise ValueError(
                f"FORCE projects wrong signs of {address!r} to zero, but {connection.dale.magnitude!r} has no zero: "
                "build Dale with magnitude=Square(), Absolute() or Projected()."
            ) from None


def _learns_bias(layer: Layer) -> bool:
    """Return whether the bias is a parameter with one value for every neuron."""
    bias = layer.bias
    if bias is None or not bias.learned or tuple(bias.value.shape) != (layer.neurons,):
        return False
    return bool(bias.raw.requires_grad)


def _drawn(pre: int, fraction: float, seed: int) -> Tensor:
    """Return which presynaptic neurons are plastic, ``(pre,)`` bool; at least one is."""
    count = max(1, round(check_fraction("fraction", fraction) * pre))
    chosen = torch.zeros(pre, dtype=torch.bool)
    chosen[torch.randperm(pre, generator=torch_generator(seed, "plastic"))[:count]] = True
    return chosen
