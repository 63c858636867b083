"""Backpropagation through time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.optim import Optimizer

from neurotorch.core.checks import check_positive
from neurotorch.data.windows import Batch
from neurotorch.learning.base import BatchReport, LearningRule
from neurotorch.learning.forcing_plan import ForcingPlan
from neurotorch.learning.losses import Loss
from neurotorch.network.forcing import Forcing
from neurotorch.network.network import Network


class BPTT(LearningRule):
    """Backpropagation through time: the exact gradient of the loss over whole windows.

    Parameters
    ----------
    network
        What is trained.
    loss
        Compares the network's output with the batch's target.
    optimizer
        Any torch optimizer over parameters of `network`.
    forcing
        How the network is forced on the target; by default it is not.
    clip
        Largest norm of the whole gradient; longer ones are scaled down. None leaves them.

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
    ) -> None:
        self.network: Network = network
        self.loss, self.optimizer, self.forcing = loss, optimizer, forcing
        self.clip = None if clip is None else check_positive("clip", clip)
        self.progress = 0.0
        own = {id(parameter) for parameter in network.parameters()}
        if any(id(p) not in own for group in optimizer.param_groups for p in group["params"]):
            raise ValueError(
                "The optimizer holds parameters that are not the network's: build it with network.parameters()."
            )

    def compute(self, batch: Batch) -> BatchReport:
        """Write the gradient of the loss on `batch` to ``parameter.grad``."""
        self.optimizer.zero_grad(set_to_none=True)
        frames, samples = batch.target.shape[:2]
        forcing = None
        if self.forcing is not None:
            strength = self.forcing.strength(frames, self.progress).to(batch.target)
            forcing = Forcing(batch.target, strength)
        # Without inputs and forcing, the state alone says how many samples there are.
        start = self.network.initial_state(samples)
        output, _ = self.network(batch.inputs, start, frames=frames, forcing=forcing)
        loss = self.loss(output, batch.target)
        loss.backward()
        return BatchReport(float(loss.detach()), samples=samples)

    def apply(self) -> None:
        """Clip the gradient, step the optimizer, then move parameters back into their constraints."""
        if self.clip is not None:
            parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self.clip)
        self.optimizer.step()
        self.network.project_()

    def state_dict(self) -> dict[str, Any]:
        """Return optimizer state and progress."""
        return {"optimizer": self.optimizer.state_dict(), "progress": self.progress}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.progress = float(state["progress"])
