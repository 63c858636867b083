"""NaN and infinity stop a fit with the name of what holds them; nothing is repaired in silence."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from neurotorch.core.checks import all_finite
from neurotorch.learning.base import BatchReport, LearningRule
from neurotorch.learning.non_finite import NonFiniteError, check_gradients

__all__ = ["NonFiniteError", "check_loss", "computed"]


def computed(rule: LearningRule, batch: Any, *, epoch: int, number: int) -> BatchReport:
    """Return what `rule` reports of `batch`, batch `number` (from 0) of an epoch, with loss and gradients all finite.

    Raises
    ------
    NonFiniteError
        If they are not. One that the rule itself raised, as a rule does that makes updates on its way, gets a note
        with epoch and batch.
    """
    try:
        report = rule.compute(batch)
    except ArithmeticError as error:
        error.add_note(f"This was in epoch {epoch + 1}, batch {number + 1}.")
        raise
    check_loss(report, rule.network, epoch=epoch, batch=number)
    check_gradients(rule.network, where=f"in epoch {epoch + 1}, batch {number + 1}")
    return report


def check_loss(report: BatchReport, network: nn.Module, *, epoch: int, batch: int) -> None:
    """Raise `NonFiniteError` if the loss or one of its terms is not finite, naming parameters that are not either."""
    values = {"loss": report.loss, **report.terms}
    bad = [f"`{name}` is {value}" for name, value in values.items() if not math.isfinite(value)]
    if bad:
        names = [name for name, parameter in network.named_parameters() if not all_finite(parameter)]
        cause = f"these parameters hold NaN or infinity: {names}" if names else "all parameters are finite"
        raise NonFiniteError(
            f"{', '.join(bad)} in epoch {epoch + 1}, batch {batch + 1}; {cause}. Look at the data of that batch, "
            "lower the learning rate, or clip the gradients."
        )
