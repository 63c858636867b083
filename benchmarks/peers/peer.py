"""What the benchmark asks of a peer."""

from __future__ import annotations

import abc
from typing import ClassVar

import torch
from peers.problem import Problem
from torch import Tensor


class AbsentError(Exception):
    """A peer does not have what the setting asks for; the message says what."""


class Peer(abc.ABC):
    """One library's recurrent layer and readout.

    Attributes
    ----------
    what
        The layers used, and where their equation is not ours.
    learned
        What is differentiated beside the weights of input, recurrence and readout.
    models
        The models that it has.
    """

    what: ClassVar[str]
    learned: ClassVar[str]
    models: ClassVar[tuple[str, ...]] = ("current-lif",)

    def __init__(self, problem: Problem) -> None:
        if problem.setting.model not in self.models:
            raise AbsentError(f"has no {problem.setting.model} layer")
        self.problem = problem

    @abc.abstractmethod
    def forward(self) -> Tensor:
        """Return the loss: the mean squared distance of the readout from the target."""

    @abc.abstractmethod
    def parameters(self) -> list[Tensor]:
        """Return all that gets a gradient."""

    @abc.abstractmethod
    def activity(self) -> float | None:
        """Return the mean of what the layer emitted: spikes per neuron and step."""

    def backward(self, loss: Tensor) -> None:
        """Leave gradients in `.grad`."""
        loss.backward()

    def forget(self) -> None:
        """Drop gradients, as an optimizer's `zero_grad` does."""
        for parameter in self.parameters():
            parameter.grad = None


class DaleSquare(torch.nn.Module):
    """``sign * raw ** 2``: Dale's law for a library that has none, by `torch.nn.utils.parametrize`."""

    def __init__(self, signs: Tensor) -> None:
        super().__init__()
        self.register_buffer("signs", signs)

    def forward(self, raw: Tensor) -> Tensor:
        return self.signs * raw.square()

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight.abs().sqrt()
