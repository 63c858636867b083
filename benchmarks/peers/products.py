"""The floor: the products with the recurrent weights alone, by torch and by numpy, which bring a BLAS each."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from peers.peer import Peer
from peers.problem import Problem
from torch import Tensor


class Products(Peer):
    what = (
        "torch: W z at every step forward, W^T g at every step backward, and one product over time x batch for the "
        "gradient of W; into memory that is there already, with mv for a batch of one and mm otherwise; dense activity"
    )
    learned = "nothing"
    models = ("current-lif", "wilson-cowan")

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        setting = problem.setting
        shape = (setting.steps, setting.batch, setting.neurons)
        emitted = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(problem.recurrent_weight)
        weight = problem.recurrent_weight
        arrays = emitted, torch.empty_like(emitted), weight, torch.empty_like(weight)
        self.emitted, self.received, self.weight, self.gradient = (self.own(each) for each in arrays)

    @staticmethod
    def own(tensor: Tensor) -> Any:
        """Return the tensor as this library has it."""
        return tensor

    @torch.no_grad()
    def forward(self) -> Tensor:
        self.multiply(self.weight)
        return torch.empty(0)

    @torch.no_grad()
    def backward(self, loss: Tensor) -> None:
        del loss
        self.multiply(self.weight.T)
        n = len(self.weight)
        self.whole(self.received.reshape(-1, n).T, self.emitted.reshape(-1, n))

    def multiply(self, weight: Any) -> None:
        """Multiply every step."""
        if self.emitted.shape[1] == 1:
            for activity, current in zip(self.emitted[:, 0], self.received[:, 0], strict=True):
                torch.mv(weight, activity, out=current)
        else:
            for activity, current in zip(self.emitted, self.received, strict=True):
                torch.mm(activity, weight.T, out=current)

    def whole(self, left: Any, right: Any) -> None:
        """Multiply over time x batch."""
        torch.mm(left, right, out=self.gradient)

    def parameters(self) -> list[Tensor]:
        return []

    def activity(self) -> None:
        return None


class NumpyProducts(Products):
    what = "the same by numpy.dot, whose BLAS numba's products use too"

    @staticmethod
    def own(tensor: Tensor) -> Any:
        return tensor.numpy()

    def multiply(self, weight: Any) -> None:
        if self.emitted.shape[1] == 1:
            for activity, current in zip(self.emitted[:, 0], self.received[:, 0], strict=True):
                np.dot(weight, activity, out=current)
        else:
            for activity, current in zip(self.emitted, self.received, strict=True):
                np.dot(activity, weight.T, out=current)

    def whole(self, left: Any, right: Any) -> None:
        np.dot(left, right, out=self.gradient)
