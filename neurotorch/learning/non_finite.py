"""NaN and infinity in gradients stop training with the name of what holds them; nothing is repaired in silence."""

from __future__ import annotations

import torch
from torch import nn

from neurotorch.core.checks import all_finite


class NonFiniteError(ArithmeticError):
    """A loss or a gradient became NaN or infinite."""


def check_gradients(network: nn.Module, *, where: str) -> None:
    """Raise `NonFiniteError` if a gradient is not finite, naming its parameter; `where` reads on, as "in epoch 3"."""
    for name, parameter in network.named_parameters():
        if parameter.grad is not None and not all_finite(parameter.grad):
            count = int((~torch.isfinite(parameter.grad)).sum())
            raise NonFiniteError(
                f"The gradient of `{name}` holds {count} NaN or infinite values (of {parameter.grad.numel()}) {where}: "
                "lower the learning rate, train on shorter windows, or check the data."
            )
