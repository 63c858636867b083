"""E-prop: learning with eligibility traces, the gradient without what runs backwards through recurrent activity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from neurotorch.core.checks import check_count
from neurotorch.data.windows import Batch
from neurotorch.learning.base import BatchReport
from neurotorch.learning.checks import check_loss, check_scalar
from neurotorch.learning.feedback import Feedback, Symmetric
from neurotorch.learning.firing_rate_penalty import RatePenalty
from neurotorch.learning.forcing_plan import ForcingPlan
from neurotorch.learning.gradient_rule import GradientRule
from neurotorch.learning.local_block import block_ends, check_layers_pointwise, held_steps, readout_is_linear
from neurotorch.learning.local_window import LocalWindow
from neurotorch.learning.losses import Loss, SummedLoss
from neurotorch.learning.penalty import Penalty, check_penalties, penalised
from neurotorch.network.forcing import Forcing
from neurotorch.network.network import Network


class EProp(GradientRule):
    r"""E-prop for every neuron model, offline or online.

    With ``h_j`` the state of neuron `j` and ``z_i`` the activity that arrives over the weight ``W_ji``::

        eps_ji(t) = dh_j(t)/dh_j(t-1) eps_ji(t-1) + dh_j(t)/dI_j(t) z_i(t-1)
        e_ji(t)   = dz_j(t)/dh_j(t) eps_ji(t)
        dL/dW_ji  = sum_b sum_t L_j(t) e_ji(t),    L_j = sum_k B_jk (error of output k)

    for each sample `b` by itself. The same holds for biases, time constants, thresholds and the constants of the
    observation, whose traces start from their own derivatives.

    **Offline** with symmetric feedback it is the gradient of the graph in which only what arrives by recurrent
    connections, feedback between layers and gap junctions is taken as a constant, by a reverse scan; for any
    differentiable loss. Under delays ``z_i(t-d)`` stands for ``z_i(t-1)``. **Online** the traces run forwards in time:
    memory does not grow with the window, and the weights may change at every frame. It needs a `SummedLoss`.

    What is that gradient and what is not:

    - On the *top layer* both are the same number, if there is no update in between. The top layer is the last one and,
      where the last one is a linear readout (affine in state and current, such as a `LeakyIntegrator`), also the layer
      below it: there traces are filtered as the readout filters, one trace per distinct set of its decays.
    - *Below the top layer*, online e-prop takes the error that the own time step makes, sent down through the
      connections of that step; what the layers above carry on in their states is left out. It is not the gradient.
    - Below an *onward connection with a delay*, online e-prop sends the error down at once, not as many steps late: not
      the gradient either.
    - With an update inside a window, traces and states that old weights have left stay: a rule, not a gradient.
    - `Random` and `Adaptive` feedback replace the way back by other weights: by design no gradient, save for the
      parameters of the last layer.

    Parameters
    ----------
    network
        What is trained.
    loss
        Compares the network's output with the batch's target.
    optimizer
        Any torch optimizer over parameters of `network`.
    feedback
        `Symmetric()`, `Random(...)` or `Adaptive(...)`.
    online
        Whether traces run forwards in time.
    update_every
        Online only: frames between two steps of the optimizer within a window; None for one per window. `compute` makes
        all steps but the last, whose gradient it leaves to `apply`, as other rules do.
    penalties
        Added to the loss and reported as terms. Online, and with other feedback than `Symmetric`, they must be
        functions of mean rates, such as `FiringRatePenalty`; an update in a window goes by the rates so far.
    forcing
        How the network is forced on the target; by default it is not.
    clip
        Largest norm of the whole gradient; longer ones are scaled down. None leaves them.
    accumulate
        Windows per step of the optimizer, see `GradientRule`; not together with `update_every`.

    Attributes
    ----------
    progress
        How far training has come, 0..1, for plans that change; the `Curriculum` callback keeps it.

    Raises
    ------
    TypeError
        If the loss, or a penalty, is no sum over time where that is needed.
    ValueError
        If the step of a layer is not pointwise, the feedback does not fit, or `update_every` is below 1 or given
        offline.

    References
    ----------
    Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, equation 4 and Methods.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        *,
        optimizer: Optimizer,
        feedback: Feedback | None = None,
        online: bool = False,
        update_every: int | None = None,
        penalties: Sequence[Penalty] = (),
        forcing: ForcingPlan | None = None,
        clip: float | None = None,
        accumulate: int = 1,
    ) -> None:
        super().__init__(network, optimizer=optimizer, clip=clip, accumulate=accumulate)
        check_loss(type(self).__name__, loss)
        self.loss, self.online, self.forcing = loss, online, forcing
        self.penalties = check_penalties(penalties)
        self.feedback = Symmetric() if feedback is None else feedback
        if not isinstance(self.feedback, Feedback):
            raise TypeError(
                f"`feedback` is {feedback!r}, but it must be a Feedback: Symmetric(), Random(seed) or Adaptive(seed)."
            )
        self.update_every = None if update_every is None else check_count("update_every", update_every)
        if update_every is not None and self.accumulate > 1:
            raise ValueError(
                f"`accumulate` is {accumulate} and `update_every` {update_every}: the optimizer is stepped either "
                "after several windows or several times within one. Give one of them."
            )
        if update_every is not None and not online:
            raise ValueError("`update_every` is for online e-prop: offline has one update per window. Set online=True.")
        if online and not isinstance(loss, SummedLoss):
            raise TypeError(
                f"The loss {loss!r} is not a sum over time that can be taken part by part (it has no `part`), which "
                "online e-prop needs: use a SummedLoss such as MeanSquaredError(), or online=False."
            )
        self._check_penalties()
        check_layers_pointwise(network)
        self.feedback.start(network)
        self._linear = readout_is_linear(network)

    def compute(self, batch: Batch) -> BatchReport:
        """Write the gradient of the loss on `batch` to ``parameter.grad``; online, step at every `update_every`."""
        return self._run(batch, update=True)

    def gradient(self, batch: Batch) -> BatchReport:
        """Write the sum of the window's gradients to ``parameter.grad``, without any update."""
        return self._run(batch, update=False)

    def step(self, where: str = "") -> None:
        """Clip the gradient, step, project; then let the feedback follow the readout."""
        if not self.feedback.follows:
            super().step(where)
            return
        readout = self.network.connections()[f"{list(self.network.layers)[-1]}.inputs"]
        before = readout.weight().detach()
        super().step(where)
        held = any(p is readout.raw for group in self.optimizer.param_groups for p in group["params"])
        if held and readout.raw.requires_grad:
            self.feedback.follow(self.network, before, readout.weight().detach())

    def state_dict(self) -> dict[str, Any]:
        """Return what gradient rules save, and the feedback; traces live within a window and are not carried."""
        return {**super().state_dict(), "feedback": self.feedback.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state."""
        super().load_state_dict(state)
        self.feedback.load_state_dict(state["feedback"])

    def _run(self, batch: Batch, *, update: bool) -> BatchReport:
        self.check_batch(batch)
        self.zero_grad()
        forcing = self.forcing_of(self.forcing, batch)
        if not self.online and isinstance(self.feedback, Symmetric):
            return self._through_graph(batch, forcing)
        return self._local(batch, forcing, update=update)

    def _through_graph(self, batch: Batch, forcing: Forcing | None) -> BatchReport:
        """Take the gradient of the whole window by the engine's reverse scan."""
        frames, samples = batch.target.shape[:2]
        start = self.network.initial_state(samples)
        run = self.network.run(batch.inputs, start, frames=frames, forcing=forcing, detach_recurrent=True)
        data = self.loss(run.output, batch.target)
        loss, terms = penalised(data, self.penalties, network=self.network, run=run)
        self.backward(loss)
        return BatchReport(float(loss.detach()), samples, terms)

    def _local(self, batch: Batch, forcing: Forcing | None, *, update: bool) -> BatchReport:
        """Take it by local traces, block by block; offline the window is one block."""
        frames, samples = batch.target.shape[:2]
        window = self._window(samples)
        data = torch.zeros((), dtype=torch.float64)
        start = 0
        for stop, ends in block_ends(
            self.network, frames, samples, every=self.update_every or frames, whole=not self.online
        ):
            piece = slice(start, stop)
            run = window.run(
                None if batch.inputs is None else batch.inputs[piece],
                frames=stop - start,
                forcing=None if forcing is None else Forcing(forcing.target[piece], forcing.strength[piece]),
            )
            loss, error = self._error(run.output, batch.target[piece], start, frames)
            data += loss.double().cpu()
            window.learn_from_error(error, self.feedback.paths(self.network, window.weights), own_step=self.online)
            window.gather_rates()
            if stop < frames:
                window.advance()
            if stop == frames or (ends and update):
                self._learn_from_rates(window, frames, samples)
                window.write()
            if ends and update:
                self.step(f"at the update after frame {stop} of a window of {frames}")
                self.zero_grad()
                window.refresh()
            start = stop
        terms = {
            penalty.name: float(penalty.of_rates(self.network, self._mean_rates(penalty, window)))
            for penalty in self._rate_penalties()
        }
        total = float(data) + sum(terms.values())
        return BatchReport(total, samples, {"data": float(data), **terms} if terms else {})

    def _window(self, samples: int) -> LocalWindow:
        """Return a window at rest that keeps the traces which feedback and penalties need."""
        below = range(len(self.network.layers) - 1)
        filtered: Sequence[int] = ()
        if self._linear:
            filtered = below[-1:] if isinstance(self.feedback, Symmetric) else below
        rated = {name for penalty in self._rate_penalties() for name in penalty.rated(self.network)}
        return LocalWindow(self.network, samples, filtered=filtered, rated=sorted(rated))

    def _error(self, output: Tensor, target: Tensor, start: int, frames: int) -> tuple[Tensor, Tensor]:
        """Return what a block adds to the loss, and its gradient by the output."""
        with torch.enable_grad():
            output = output.detach().requires_grad_()
            if self.online:
                assert isinstance(self.loss, SummedLoss)
                loss = self.loss.part(output, target, start=start, frames=frames)
            else:
                loss = self.loss(output, target)
            check_scalar(loss)
            (error,) = torch.autograd.grad(loss, output, allow_unused=True, materialize_grads=True)
        return loss.detach(), error

    def _learn_from_rates(self, window: LocalWindow, frames: int, samples: int) -> None:
        """Add the gradient of the penalties, at the mean rates so far, over what was gathered since the last update."""
        factors: dict[str, Tensor] = {}
        steps = frames * held_steps(self.network)
        for penalty in self._rate_penalties():
            rates = [rate.requires_grad_() for rate in self._mean_rates(penalty, window)]
            with torch.enable_grad():
                found = torch.autograd.grad(penalty.of_rates(self.network, rates), rates)
            for name, factor in zip(penalty.rated(self.network), found, strict=True):
                factors[name] = factors.get(name, 0.0) + factor / (steps * samples)
        window.learn_from_rates(factors)

    def _mean_rates(self, penalty: RatePenalty, window: LocalWindow) -> list[Tensor]:
        return [window.rates[name] / window.steps for name in penalty.rated(self.network)]

    def _rate_penalties(self) -> list[RatePenalty]:
        return [penalty for penalty in self.penalties if isinstance(penalty, RatePenalty)]

    def _check_penalties(self) -> None:
        for penalty in self.penalties:
            if isinstance(penalty, RatePenalty):
                penalty.rated(self.network)  # raises where it names no layer
            elif self.online or not isinstance(self.feedback, Symmetric):
                raise TypeError(
                    f"The penalty {penalty.name!r} is not a function of mean rates (it has no `of_rates`): online, or "
                    "with random feedback, e-prop takes penalties such as FiringRatePenalty. Use online=False and "
                    "Symmetric() for others."
                )
