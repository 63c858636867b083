"""Backpropagation through time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer

from neurotorch.data.windows import Batch
from neurotorch.learning.base import BatchReport
from neurotorch.learning.forcing_plan import ForcingPlan
from neurotorch.learning.gradient_rule import GradientRule
from neurotorch.learning.losses import Loss
from neurotorch.network.forcing import Forcing
from neurotorch.network.network import Network


class BPTT(GradientRule):
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
        super().__init__(network, optimizer=optimizer, clip=clip)
        self.loss, self.forcing = loss, forcing
        self.progress = 0.0

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

    def state_dict(self) -> dict[str, Any]:
        """Return optimizer state and progress."""
        return {**super().state_dict(), "progress": self.progress}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state."""
        super().load_state_dict(state)
        self.progress = float(state["progress"])
