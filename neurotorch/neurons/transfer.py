"""Transfer functions of rate neurons, written in the step vocabulary."""

from __future__ import annotations

from typing import Any, NamedTuple

from neurotorch.core.vocabulary import relu, sigmoid, softplus, tanh


class Tanh(NamedTuple):
    """``phi(x) = tanh(gain x)``.

    It takes both signs: under Dale's law a neuron below its rest then acts with the wrong sign.
    """

    gain: float = 1.0

    def value(self, x: Any) -> Any:
        """Return phi(x)."""
        return tanh(self.gain * x)

    def limits(self) -> tuple[float, float] | None:
        """Return the range of phi, None where it has none."""
        return -1.0, 1.0


class Sigmoid(NamedTuple):
    """``phi(x) = 1 / (1 + exp(-gain x))``."""

    gain: float = 1.0

    def value(self, x: Any) -> Any:
        """Return phi(x)."""
        return sigmoid(self.gain * x)

    def limits(self) -> tuple[float, float] | None:
        """Return the range of phi, None where it has none."""
        return 0.0, 1.0


class Relu(NamedTuple):
    """``phi(x) = max(0, gain x)``."""

    gain: float = 1.0

    def value(self, x: Any) -> Any:
        """Return phi(x)."""
        return relu(self.gain * x)

    def limits(self) -> tuple[float, float] | None:
        """Return the range of phi, None where it has none."""
        return None


class Softplus(NamedTuple):
    """``phi(x) = log(1 + exp(gain x))``."""

    gain: float = 1.0

    def value(self, x: Any) -> Any:
        """Return phi(x)."""
        return softplus(self.gain * x)

    def limits(self) -> tuple[float, float] | None:
        """Return the range of phi, None where it has none."""
        return None


class Linear(NamedTuple):
    """``phi(x) = gain x``."""

    gain: float = 1.0

    def value(self, x: Any) -> Any:
        """Return phi(x)."""
        return self.gain * x

    def limits(self) -> tuple[float, float] | None:
        """Return the range of phi, None where it has none."""
        return None
