"""The floor: the products with the recurrent weights alone, by torch."""

from __future__ import annotations

import torch
from peers.peer import Peer
from peers.problem import Problem
from torch import Tensor


class Products(Peer):
    what = (
        "W z at every step forward, W^T g at every step backward, and one product over time x batch for the gradient "
        "of W; into memory that is there already, with mv for a batch of one and mm otherwise; dense activity"
    )
    learned = "nothing"
    models = ("current-lif", "wilson-cowan")

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        setting, self.weight = problem.setting, problem.recurrent_weight
        generator = torch.Generator().manual_seed(1)
        shape = (setting.steps, setting.batch, setting.neurons)
        self.emitted = torch.randn(shape, generator=generator).to(self.weight)
        self.received = torch.empty_like(self.emitted)
        self.gradient = torch.empty_like(self.weight)

    def forward(self) -> Tensor:
        self._multiply(self.weight)
        return self.received

    def backward(self, loss: Tensor) -> None:
        del loss
        self._multiply(self.weight.T)
        n = len(self.weight)
        torch.mm(self.received.view(-1, n).T, self.emitted.view(-1, n), out=self.gradient)

    @torch.no_grad()
    def _multiply(self, weight: Tensor) -> None:
        if self.emitted.shape[1] == 1:
            for activity, current in zip(self.emitted[:, 0], self.received[:, 0], strict=True):
                torch.mv(weight, activity, out=current)
        else:
            for activity, current in zip(self.emitted, self.received, strict=True):
                torch.mm(activity, weight.T, out=current)

    def parameters(self) -> list[Tensor]:
        return []

    def activity(self) -> None:
        return None
