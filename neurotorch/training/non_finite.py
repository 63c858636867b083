"""NaN and infinity stop a fit with the name of what holds them; nothing is repaired in silence."""

from __future__ import annotations

import math

import torch
from torch import nn

from neurotorch.learning.base import BatchReport


class NonFiniteError(ArithmeticError):
    """A loss or a gradient became NaN or infinite."""


def check_loss(report: BatchReport, network: nn.Module, *, epoch: int, batch: int) -> None:
    """Raise `NonFiniteError` if the loss or one of its terms is not finite, naming parameters that are not either."""
    values = {"loss": report.loss, **report.terms}
    bad = [f"`{name}` is {value}" for name, value in values.items() if not math.isfinite(value)]
    if bad:
        names = [name for name, parameter in network.named_parameters() if not _is_finite(parameter)]
        cause = f"these parameters hold NaN or infinity: {names}" if names else "all parameters are finite"
        raise NonFiniteError(
            f"{', '.join(bad)} in epoch {epoch + 1}, batch {batch + 1}; {cause}. Look at the data of that batch, "
            "lower the learning rate, or clip the gradients."
        )


def check_gradients(network: nn.Module, *, epoch: int, batch: int) -> None:
    """Raise `NonFiniteError` if a gradient is not finite, naming its parameter."""
    for name, parameter in network.named_parameters():
        if parameter.grad is not None and not _is_finite(parameter.grad):
            count = int((~torch.isfinite(parameter.grad)).sum())
            raise NonFiniteError(
                f"The gradient of `{name}` holds {count} NaN or infinite values (of {parameter.grad.numel()}) in epoch "
                f"{epoch + 1}, batch {batch + 1}: lower the learning rate, train on shorter windows, or check the data."
            )


def _is_finite(tensor: torch.Tensor) -> bool:
    return bool(torch.isfinite(tensor.detach()).all())
