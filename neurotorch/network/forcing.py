"""Forcing: pulling a running network towards data."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from neurotorch.core.checks import check_finite, check_kind


class Forcing(NamedTuple):
    """Data that a network is pulled to, and how strongly.

    Attributes
    ----------
    target
        ``(frame, batch, neuron)``.
    strength
        ``(frame,)`` in 0..1: 1 puts the network on the data (teacher forcing), 0 lets it run freely.
    """

    target: Tensor
    strength: Tensor

    @classmethod
    def full(cls, target: Tensor) -> Forcing:
        """Return teacher forcing: strength 1 at every frame."""
        check_kind("target", target, Tensor, example="torch.zeros(frames, batch, neurons)")
        return cls(target, target.new_ones(target.shape[0]))

    @classmethod
    def warm_up(cls, target: Tensor, frames: int, *, then: float = 0.0) -> Forcing:
        """Return forcing with strength 1 for `frames` frames and strength `then` after them."""
        strength = target.new_full((target.shape[0],), then)
        strength[:frames] = 1
        return cls(target, strength)

    def check(self, frames: int, neurons: int) -> None:
        """Raise if shapes do not fit or values are not finite."""
        if self.target.dim() != 3 or self.target.shape[0] != frames or self.target.shape[2] != neurons:
            raise ValueError(
                f"The forcing target is {tuple(self.target.shape)}, but (frame, batch, neuron) is "
                f"({frames}, batch, {neurons}) here."
            )
        if tuple(self.strength.shape) != (frames,):
            raise ValueError(
                f"The forcing strength is {tuple(self.strength.shape)}, but it needs one value per frame: ({frames},)."
            )
        check_finite("forcing.target", self.target)
        if not bool(torch.all((self.strength >= 0) & (self.strength <= 1))):
            raise ValueError("The forcing strength must lie in 0..1.")
