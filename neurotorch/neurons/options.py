"""Options of a model: surrogates, resets and transfer functions as users hand them in, checked."""

from __future__ import annotations

import math
from typing import Any, TypeVar

from neurotorch.core.checks import shown
from neurotorch.core.vocabulary import Reset, Surrogate, Transfer
from neurotorch.neurons.constant import Constant
from neurotorch.neurons.reset import ResetToValue

Option = TypeVar("Option")

LEAST = {"slope": 0.0, "width": 0.0, "half": 0.0, "exponent": 1.0}
"""Numbers of the library's options that have a least value: slopes, widths and halves are above theirs, an exponent may
be as small as it, or the derivative at zero is infinite."""


def surrogate_option(surrogate: Surrogate) -> Surrogate:
    """Return the surrogate of a model; raise unless it is one, with numbers that make sense."""
    return _option("surrogate", surrogate, Surrogate, "FastSigmoid()", "a method `derivative(x)`")  # type: ignore[type-abstract]


def transfer_option(transfer: Transfer) -> Transfer:
    """Return the transfer function of a model; raise unless it is one, with numbers that make sense."""
    return _option("transfer", transfer, Transfer, "Tanh()", "the methods `value(x)` and `limits()`")  # type: ignore[type-abstract]


def reset_option(reset: Reset, threshold: Constant) -> Reset:
    """Return the reset of a model; raise unless it is one, and ends below the threshold."""
    found = _option("reset", reset, Reset, "ResetBySubtraction()", "a method `carry(decay, v, spiked, threshold)`")  # type: ignore[type-abstract]
    if isinstance(found, ResetToValue):
        check_below("reset", found.value, "threshold", float(threshold.value.min()))
    return found


def check_below(name: str, value: float | Constant, ceiling: str, most: float | Constant) -> None:
    """Raise unless the potential after a spike lies below the one that makes a spike, for every neuron."""
    low = value.value if isinstance(value, Constant) else value
    high = most.value if isinstance(most, Constant) else most
    difference = high - low
    least = difference if isinstance(difference, float) else float(difference.min())
    if least <= 0:
        raise ValueError(
            f"`{name}` is not below `{ceiling}` (by {-least:g} above it), so that a neuron would spike in every step "
            f"after its first spike: lower `{name}`, or raise `{ceiling}`."
        )


def _option(name: str, value: Option, kind: type[Option], example: str, methods: str) -> Option:
    if isinstance(value, type) or not isinstance(value, kind):
        what = f"the class {value.__name__}, not an object of it" if isinstance(value, type) else shown(value)
        raise TypeError(f"`{name}` is {what}, but it must be an object with {methods}, such as `{example}`.")
    for field in getattr(type(value), "_fields", ()):
        _check_number(f"{type(value).__name__}({field}=...)", field, getattr(value, field))
    return value


def _check_number(name: str, field: str, number: Any) -> None:
    """Raise if a plain number of an option is none, not finite, or below what its name allows."""
    if isinstance(number, (bool, str)):
        raise TypeError(f"`{name}` is {number!r}, but it must be a number.")
    if not isinstance(number, (int, float)):
        return
    if not math.isfinite(number) or (field == "dampening" and number < 0):
        raise ValueError(f"`{name}` is {number:g}, but it must be finite{', and not negative' * (number < 0)}.")
    least = LEAST.get(field)
    if least is not None and not (number >= least if least else number > 0):
        raise ValueError(f"`{name}` is {number:g}, but it must be {f'at least {least:g}' if least else 'above 0'}.")
