"""Backpropagation through time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from neurotorch.data.windows import Batch
from neurotorch.learning.base import BatchReport
from neurotorch.learning.checks import check_loss
from neurotorch.learning.forcing_plan import ForcingPlan
from neurotorch.learning.gradient_rule import GradientRule, autocast, check_autocast
from neurotorch.learning.losses import Loss
from neurotorch.learning.penalty import Penalty, check_penalties, penalised
from neurotorch.network.network import Network
from neurotorch.network.noise import NoiseLike, noise_currents


class BPTT(GradientRule):
    """Backpropagation through time: the exact gradient of the loss over whole windows.

    With parameters ``p`` and penalties ``R`` (none by default)::

        g = d/dp (loss(output, target) + sum_i R_i(network, run))

    through all steps of a window, from the network's initial state on. Every `accumulate` batches the optimizer is
    stepped along the mean of their ``g``.

    Parameters
    ----------
    network
        What is trained; see `Network.freeze` for training a part of it.
    loss
        Compares the network's output with the batch's target.
    optimizer
        Any torch optimizer over parameters of `network` whose step needs no closure.
    forcing
        How the network is forced on the target; by default it is not.
    clip
        Largest norm of the whole gradient; longer ones are scaled down. None leaves them.
    accumulate
        Batches per step of the optimizer, see `GradientRule`.
    penalties
        Added to the loss and reported by name, beside ``"data"``.
    autocast
        ``torch.bfloat16`` takes the products outside the scans over time in that dtype, which is the one of the inputs
        with the first layer's input weights. Parameters, states, the scans and the loss keep their dtype: increments of
        a state below its rounding would be lost. It helps where inputs are wide: on one core with AVX512-BF16 a
        gradient took 0.6 times as long with 2,048 channels into 256 neurons, and the same with 128 into 128. None: off.
    noise
        Random currents into the neurons while it trains, drawn anew for every batch: a standard deviation,
        `WhiteNoise(...)` or `OrnsteinUhlenbeck(...)`, for all layers or by their names; None for none.
    generator
        Where the noise is drawn from; needed with noise, and part of `state_dict`.

    Attributes
    ----------
    progress
        How far training has come, 0..1, for plans that change; the `Curriculum` callback keeps it.

    References
    ----------
    Werbos 1990, doi:10.1109/5.58337.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        *,
        optimizer: Optimizer,
        forcing: ForcingPlan | None = None,
        clip: float | None = None,
        accumulate: int = 1,
        penalties: Sequence[Penalty] = (),
        autocast: torch.dtype | None = None,
        noise: NoiseLike | Mapping[str, NoiseLike] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(network, optimizer=optimizer, clip=clip, accumulate=accumulate)
        check_loss(type(self).__name__, loss)
        self.loss, self.forcing = loss, forcing
        self.penalties = check_penalties(penalties)
        self.autocast = check_autocast(autocast)
        self.noise, self.generator = noise, generator
        if noise is not None and generator is None:
            raise ValueError(
                "`noise` needs a `generator`, so that training can be repeated: torch_generator(seed, name)."
            )

    def compute(self, batch: Batch) -> BatchReport:
        """Write the gradient of the loss on `batch` to ``parameter.grad``."""
        self.check_batch(batch)
        self.zero_grad()
        frames, samples = batch.target.shape[:2]
        # Without inputs and forcing, the state alone says how many samples there are.
        start = self.network.initial_state(samples)
        currents = self._currents(frames, samples)
        with autocast(self.network, self.autocast):
            forcing = self.forcing_of(self.forcing, batch)
            run = self.network.run(batch.inputs, start, frames=frames, forcing=forcing, noise=currents)
            data = self.loss(run.output, batch.target)
            loss, terms = penalised(data, self.penalties, network=self.network, run=run)
        self.backward(loss)
        return BatchReport(float(loss.detach()), samples=samples, terms=terms)

    def gradient(self, batch: Batch) -> BatchReport:
        """Write the gradient to ``parameter.grad``; the generator of the noise is where it was afterwards."""
        before = None if self.generator is None else self.generator.get_state()
        report = self.compute(batch)
        if self.generator is not None and before is not None:
            self.generator.set_state(before)
        return report

    def state_dict(self) -> dict[str, Any]:
        """Return what gradient rules save, and where the generator of the noise is."""
        state = super().state_dict()
        return state if self.generator is None else {**state, "noise": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state."""
        super().load_state_dict(state)
        if self.generator is not None and "noise" in state:
            self.generator.set_state(state["noise"].cpu())

    def _currents(self, frames: int, samples: int) -> dict[str, Tensor] | None:
        if self.noise is None or self.generator is None:
            return None
        return noise_currents(self.network, self.noise, frames=frames, batch=samples, generator=self.generator)
