"""Poolings: how the output of a readout over time becomes one number for each class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor


class Pooling(ABC):
    """Takes ``(time, batch, class)`` to ``(batch, class)``; the largest of a row names the class.

    `counted` ``(time, batch)`` holds 1 in the frames that count and 0 in those behind the end of a shorter sample; None
    means that all count. Every sample has at least one.
    """

    @abstractmethod
    def __call__(self, output: Tensor, counted: Tensor | None = None) -> Tensor:
        """Return the pooled output."""


@dataclass(frozen=True)
class MeanOverTime(Pooling):
    """``mean over t of y(t)``: the most robust to speakers that were not heard in training."""

    def __call__(self, output: Tensor, counted: Tensor | None = None) -> Tensor:
        """Return the mean over the frames that count."""
        if counted is None:
            return output.mean(0)
        return (output * counted.unsqueeze(-1)).sum(0) / counted.sum(0).unsqueeze(-1)


@dataclass(frozen=True)
class SumOverTime(Pooling):
    """``sum over t of y(t)``: longer samples get a surer answer."""

    def __call__(self, output: Tensor, counted: Tensor | None = None) -> Tensor:
        """Return the sum over the frames that count."""
        return output.sum(0) if counted is None else (output * counted.unsqueeze(-1)).sum(0)


@dataclass(frozen=True)
class MaximumOverTime(Pooling):
    """``max over t of y(t)``, for each class apart.

    Cramer et al. 2022, doi:10.1109/TNNLS.2020.3044364.
    """

    def __call__(self, output: Tensor, counted: Tensor | None = None) -> Tensor:
        """Return the maximum over the frames that count."""
        if counted is not None:
            output = output.masked_fill(counted.unsqueeze(-1) == 0, -torch.inf)
        return output.amax(0)


@dataclass(frozen=True)
class LastStep(Pooling):
    """``y(T)``, with ``T`` the last frame that counts."""

    def __call__(self, output: Tensor, counted: Tensor | None = None) -> Tensor:
        """Return the output of the last frame that counts."""
        if counted is None:
            return output[-1]
        frames = torch.arange(1, len(output) + 1, device=output.device).unsqueeze(-1)
        last = (frames * (counted != 0)).argmax(0)
        return output[last, torch.arange(output.shape[1], device=output.device)]
