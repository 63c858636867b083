"""Losses: what a rule makes small. A loss takes output and target ``(time, batch, neuron)`` and returns a scalar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from neurotorch.core.checks import check_count


class Loss(Protocol):
    """Anything that compares an output with a target."""

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return a scalar; both arguments are ``(time, batch, neuron)``."""
        ...


@runtime_checkable
class SummedLoss(Loss, Protocol):
    """A loss that is a sum over time, so that it can be taken part by part, as a window comes in."""

    def part(self, output: Tensor, target: Tensor, *, start: int, frames: int) -> Tensor:
        """Return what some frames of a window, from frame `start` on, add to the loss of the whole.

        `output` and `target` hold those frames alone; `frames` is the length of the window. The parts of a window add
        up to the loss of the whole.
        """
        ...


@dataclass(frozen=True)
class MeanSquaredError:
    """``mean of (output - target)^2`` over time, batch and neuron, after the first `skip` frames.

    The first predictions of a window are made from a state at rest: skip them. It is a `SummedLoss`.
    """

    skip: int = 0

    def __post_init__(self) -> None:
        check_count("skip", self.skip, least=0)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss."""
        return self.part(output, target, start=0, frames=len(output))

    def part(self, output: Tensor, target: Tensor, *, start: int, frames: int) -> Tensor:
        """Return what the frames from `start` on add to the loss of a window of `frames` frames."""
        if output.shape != target.shape:
            raise ValueError(f"The output is {tuple(output.shape)}, but the target is {tuple(target.shape)}.")
        if self.skip >= frames:
            raise ValueError(f"The loss skips {self.skip} frames, but the window has only {frames}.")
        first = max(0, self.skip - start)
        return (output[first:] - target[first:]).square().sum() / ((frames - self.skip) * output[0].numel())
