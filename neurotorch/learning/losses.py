"""Losses: what a rule makes small. A loss takes output and target ``(time, batch, neuron)`` and returns a scalar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from neurotorch.core.checks import check_count


class Loss(Protocol):
    """Anything that compares an output with a target."""

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return a scalar; both arguments are ``(time, batch, neuron)``."""
        ...


@dataclass(frozen=True)
class MeanSquaredError:
    """``mean of (output - target)^2`` over time, batch and neuron, after the first `skip` frames.

    The first predictions of a window are made from a state at rest: skip them.
    """

    skip: int = 0

    def __post_init__(self) -> None:
        check_count("skip", self.skip, least=0)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss."""
        if output.shape != target.shape:
            raise ValueError(f"The output is {tuple(output.shape)}, but the target is {tuple(target.shape)}.")
        if self.skip >= len(output):
            raise ValueError(f"The loss skips {self.skip} frames, but the window has only {len(output)}.")
        return (output[self.skip :] - target[self.skip :]).square().mean()
