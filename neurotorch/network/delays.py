"""What is still under way: the past that a run needs to go on exactly, where connections have delays."""

from __future__ import annotations

import torch
from torch import Tensor


def arriving(before: Tensor, sequence: Tensor, lag: int) -> Tensor:
    """Return what arrives at every step of `sequence` ``(step, ...)``, `lag` steps late.

    `before` holds the steps before the first, the oldest first, at least `lag` of them.
    """
    if not lag:
        return sequence
    return torch.cat([before[len(before) - lag :], sequence])[: len(sequence)]


def last_steps(before: Tensor, sequence: Tensor) -> Tensor:
    """Return the last steps of `before` and `sequence` together, as many as `before` has."""
    missing = len(before) - len(sequence)
    if missing > 0:
        return torch.cat([before[len(before) - missing :], sequence])
    return sequence[-missing:]


def last_steps_at(before: Tensor, sequence: Tensor, step: int | Tensor) -> Tensor:
    """Return the same as if the sequence had ended with `step`; for many steps ``(n,)``, ``(row, n, ...)``."""
    rows = torch.arange(len(before), device=sequence.device)
    together = torch.cat([before, sequence])
    if isinstance(step, int):
        return together[rows + step + 1]
    return together[rows[:, None] + step + 1]


def held(inputs: Tensor | None, steps: int, like: Tensor) -> Tensor:
    """Return inputs ``(frame, batch, channel)`` at every step, silence where there are none, of the shape of `like`."""
    if inputs is None:
        return like.new_zeros(steps, *like.shape[1:])
    return inputs.repeat_interleave(steps // len(inputs), dim=0) if steps > len(inputs) else inputs
