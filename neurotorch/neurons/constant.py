"""The constants of a neuron model: fixed or learned, one for all neurons or one each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from neurotorch.core.checks import check_count, check_finite, check_kind, check_positive, shown


class Learned(NamedTuple):
    """A start value that training may change."""

    value: Any


def learned(value: float | Tensor) -> Learned:
    """Mark a constant as learned, starting at `value` (a float for all neurons, or a tensor with one value each)."""
    return Learned(value)


def log_normal(neurons: int, median: float, *, sigma: float = 0.5, generator: torch.Generator) -> Tensor:
    """Return a positive constant for each of `neurons`, spread about `median`: ``median exp(sigma n)``.

    ``n`` is standard normal, so that half of them lie below `median` and two of three within a factor of ``exp(sigma)``
    of it. ``learned(log_normal(100, 0.02, generator=generator))`` starts learned time constants there.

    Parameters
    ----------
    neurons
        How many.
    median
        In the unit of the constant.
    sigma
        Standard deviation of the logarithm.
    generator
        Where they are drawn from.
    """
    median, sigma = check_positive("median", median), check_positive("sigma", sigma)
    check_kind("generator", generator, torch.Generator, example="torch.Generator().manual_seed(0)")
    normal = torch.randn(check_count("neurons", neurons), generator=generator, device=generator.device)
    return median * torch.exp(sigma * normal)


class Constant(nn.Module):
    """One constant of a model, read by calling it.

    A positive constant that is learned is stored as its logarithm, so that no optimizer can make it negative.

    Parameters
    ----------
    value
        Tensor ``()``, ``(neuron,)``, or ``(filter, neuron)`` for banks.
    learned
        Whether it is a parameter (else a buffer).
    positive
        Whether the value must stay above zero.
    """

    def __init__(self, value: Tensor, *, learned: bool = False, positive: bool = False) -> None:
        super().__init__()
        self.learned, self.positive = learned, positive
        if learned:
            self.raw = nn.Parameter(value.log() if positive else value.clone())
        else:
            self.register_buffer("fixed", value.clone())

    def forward(self) -> Tensor:
        """Return the value."""
        if not self.learned:
            return self.fixed  # type: ignore[return-value]
        return self.raw.exp() if self.positive else self.raw

    @property
    def value(self) -> Tensor:
        """The value, detached."""
        return self().detach()

    @torch.no_grad()
    def assign(self, value: Tensor) -> None:
        """Set the value; the shape stays."""
        stored = self.raw if self.learned else self.fixed
        stored.copy_(value.log() if self.learned and self.positive else value)  # type: ignore[operator]

    @torch.no_grad()
    def clamp_(self, *, least: float) -> None:
        """Raise values below `least` to it."""
        self.assign(self().clamp(min=least))


def check_per_neuron(owner: str, constants: Iterable[tuple[str, Any]], neurons: int) -> None:
    """Raise if one of the named `constants` is given per neuron, but not for `neurons`; other objects are ignored."""
    for name, module in constants:
        shape = tuple(module.value.shape) if isinstance(module, Constant) else ()
        if shape and shape[-1] not in (1, neurons):
            raise ValueError(
                f"`{name}` has {shape[-1]} values, but {owner} has {neurons} neurons: give one or {neurons}."
            )


def constant(
    name: str,
    value: float | Sequence[float] | Tensor | Learned | Constant,
    *,
    positive: bool = False,
    bank: bool = False,
) -> Constant:
    """Read what a user gave for the constant `name`: a number, one for each neuron, or in a `bank` of filters for each.

    Raises
    ------
    ValueError
        If there are values for more than neurons (or filters), one is NaN or infinite, or not above zero where it must
        be.
    """
    if isinstance(value, Constant):
        return value
    given = value.value if isinstance(value, Learned) else value
    try:
        tensor = torch.as_tensor(given, dtype=None if isinstance(given, Tensor) else torch.get_default_dtype())
    except (TypeError, ValueError, RuntimeError):
        tensor = torch.tensor(True)
    if isinstance(given, bool) or tensor.dtype == torch.bool or tensor.is_complex():
        raise TypeError(f"`{name}` is {shown(given)}, but it must be a number, a tensor, or learned(...) of either.")
    if not tensor.numel():
        raise ValueError(f"`{name}` is empty, but it must be a number, or one for each neuron.")
    if tensor.dim() > 1 + bank:
        raise ValueError(f"`{name}` has shape {tuple(tensor.shape)}, but it must be a number, or one for each neuron.")
    if not tensor.is_floating_point():
        tensor = tensor.to(torch.get_default_dtype())
    tensor = tensor.detach()
    check_finite(name, tensor)
    if positive and bool((tensor <= 0).any()):
        raise ValueError(f"`{name}` holds {float(tensor.min()):g}, but it must be above 0.")
    return Constant(tensor, learned=isinstance(value, Learned), positive=positive)
