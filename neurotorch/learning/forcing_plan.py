"""Plans: how strongly a network is forced on its targets, frame by frame, as training goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from neurotorch.core.checks import check_count, check_fraction


class ForcingPlan(Protocol):
    """How strongly to force each frame of a window."""

    def strength(self, frames: int, progress: float) -> Tensor:
        """Return ``(frame,)`` strengths in 0..1, at a `progress` of training in 0..1."""
        ...


@dataclass(frozen=True)
class WarmUp:
    """Teacher forcing for the first frames of a window, then a free run, or a forcing that fades while training.

    Parameters
    ----------
    frames
        Frames with strength 1.
    start, end
        Strength after them at the beginning and at the end of training, linear in between.
    """

    frames: int = 1
    start: float = 0.0
    end: float = 0.0

    def __post_init__(self) -> None:
        check_count("frames", self.frames, least=0)
        check_fraction("start", self.start)
        check_fraction("end", self.end)

    def strength(self, frames: int, progress: float) -> Tensor:
        """Return ``(frame,)`` strengths."""
        # float64, so that a rule can round it to the dtype of its batches
        strengths = torch.full((frames,), self.start + (self.end - self.start) * progress, dtype=torch.float64)
        strengths[: self.frames] = 1
        return strengths
