"""What learning rules that follow a gradient share: an optimizer, clipping, and the network's constraints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.optim import Optimizer

from neurotorch.core.checks import check_positive
from neurotorch.learning.base import LearningRule
from neurotorch.network.network import Network


class GradientRule(LearningRule):
    """A rule whose `compute` writes ``parameter.grad`` and whose `apply` steps an optimizer.

    Parameters
    ----------
    network
        What is trained.
    optimizer
        Any torch optimizer over parameters of `network`.
    clip
        Largest norm of the whole gradient; longer ones are scaled down. None leaves them.
    """

    def __init__(self, network: Network, *, optimizer: Optimizer, clip: float | None = None) -> None:
        self.network: Network = network
        self.optimizer = optimizer
        self.clip = None if clip is None else check_positive("clip", clip)
        own = {id(parameter) for parameter in network.parameters()}
        if any(id(p) not in own for group in optimizer.param_groups for p in group["params"]):
            raise ValueError(
                "The optimizer holds parameters that are not the network's: build it with network.parameters()."
            )

    def apply(self) -> None:
        """Clip the gradient, step the optimizer, then move parameters back into their constraints."""
        if self.clip is not None:
            parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self.clip)
        self.optimizer.step()
        self.network.project_()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the optimizer."""
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state."""
        self.optimizer.load_state_dict(state["optimizer"])
