"""The words a neuron's step is written in.

A step is arithmetic on the fields of NamedTuples and these words. Here is what they mean on tensors, which *defines*
what is correct; `neurotorch.engine` traces the same text and gives the words their meaning in compiled scans. A step
that leaves the vocabulary still runs, on tensors only.

Some words take an *option*, a small NamedTuple carried in the coefficients that holds its own numbers and equation:
`spike(x, surrogate)`, `transfer(x, phi)`, `carry_over(..., reset)`, `hold` and `emit`.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional


@runtime_checkable
class Surrogate(Protocol):
    """An option of `spike`: the derivative that stands in for that of the step function."""

    def derivative(self, x: Tensor) -> Tensor:
        """Return dz/dx at the distance `x` from the threshold, elementwise."""
        ...


@runtime_checkable
class Transfer(Protocol):
    """An option of `transfer`: a pointwise function, itself written in the vocabulary."""

    def value(self, x: Any) -> Any:
        """Return phi(x), elementwise."""
        ...

    def limits(self) -> tuple[float, float] | None:
        """Return the range of phi, None where it has none."""
        ...


@runtime_checkable
class Reset(Protocol):
    """An option of `carry_over`: what remains of the potential after a spike, itself written in the vocabulary."""

    def carry(self, decay: Any, v: Any, spiked: Any, threshold: Any) -> Any:
        """Return the potential carried into the next step, elementwise."""
        ...


class Holding(Protocol):
    """An option of `hold` and `emit`: what a refractory period does, itself written in the vocabulary."""

    def hold(self, r: Any, v: Any, spiked: Any, carried: Any, arriving: Any) -> tuple[Any, Any]:
        """Return the potential, and the steps for which it is still held."""
        ...

    def emit(self, r: Any, z: Any) -> Any:
        """Return the spikes of neurons that are not held."""
        ...


def exp(x: Tensor) -> Tensor:
    """Return e to the power of `x`."""
    return torch.exp(x)


def log(x: Tensor) -> Tensor:
    """Return the natural logarithm of `x`."""
    return torch.log(x)


def tanh(x: Tensor) -> Tensor:
    """Return the hyperbolic tangent of `x`."""
    return torch.tanh(x)


def sigmoid(x: Tensor) -> Tensor:
    """Return ``1 / (1 + exp(-x))``."""
    return torch.sigmoid(x)


def softplus(x: Tensor) -> Tensor:
    """Return ``log(1 + exp(x))``, without overflow."""
    return functional.softplus(x)


def relu(x: Tensor) -> Tensor:
    """Return `x` where it is above zero, else zero."""
    return torch.relu(x)


def where(condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return `x` where `condition` holds, else `y`."""
    return torch.where(condition, x, y)


def minimum(x: Tensor, y: Tensor) -> Tensor:
    """Return the smaller of the two."""
    return torch.minimum(x, y)


def maximum(x: Tensor, y: Tensor) -> Tensor:
    """Return the larger of the two."""
    return torch.maximum(x, y)


def stop_gradient(x: Tensor) -> Tensor:
    """Return `x` as a constant: nothing is learnt through it."""
    return x.detach()


def spike(x: Any, surrogate: Surrogate) -> Any:
    """Return 1 where ``x > 0``, else 0, with the derivative of `surrogate`.

    What is not a tensor is a symbol, with which an engine reads the text of a step.
    """
    return _Spike.apply(x, surrogate) if isinstance(x, Tensor) else x.spike(surrogate)


def transfer(x: Tensor, phi: Transfer) -> Tensor:
    """Return ``phi(x)``."""
    value: Tensor = phi.value(x)
    return value


def carry_over(decay: Tensor, v: Tensor, spiked: Tensor, threshold: Tensor, reset: Reset) -> Tensor:
    """Return what a step carries over of the potential `v`, given whether it had `spiked`."""
    carried: Tensor = reset.carry(decay, v, spiked, threshold)
    return carried


def hold(
    r: Any, v: Tensor, spiked: Tensor, carried: Tensor, arriving: Tensor, refractory: Holding
) -> tuple[Tensor, Any]:
    """Return the potential after a step, and the steps for which it is still held.

    `v` is the potential before, `carried` what the step carries over of it, `arriving` what arrives; `r` are the steps
    for which it was held.
    """
    return refractory.hold(r, v, spiked, carried, arriving)


def emit(r: Any, z: Tensor, refractory: Holding) -> Tensor:
    """Return the spikes `z` of neurons that are not held, `r` being the steps for which they are."""
    emitted: Tensor = refractory.emit(r, z)
    return emitted


def relax(bank: tuple[Tensor, ...], x: Tensor, rates: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Move every filter of a bank towards `x`: ``m_k + (x - m_k) rate_k``."""
    return tuple(m + (x - m) * rate for m, rate in zip(bank, rates, strict=True))


def shift(bank: tuple[Tensor, ...], change: Tensor, rates: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Shift every filter of a bank as a `change` of its input would have: ``m_k + change rate_k``."""
    return tuple(m + change * rate for m, rate in zip(bank, rates, strict=True))


def weighted_sum(weights: tuple[Tensor, ...], bank: tuple[Tensor, ...]) -> Tensor:
    """Return ``sum_k a_k m_k`` over the filters of a bank."""
    total = weights[0] * bank[0]
    for weight, m in zip(weights[1:], bank[1:], strict=True):
        total = total + weight * m
    return total


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(x)
        ctx.surrogate = surrogate
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradient * ctx.surrogate.derivative(x), None
