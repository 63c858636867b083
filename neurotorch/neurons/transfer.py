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


class PowerLaw(NamedTuple):
    """``phi(x) = gain max(0, x)^exponent``, with an exponent of at least 1.

    Supralinear above 1: Ahmadian, Rubin & Miller 2013, doi:10.1162/NECO_a_00472. It has no upper end, and
    only inhibition keeps a recurrent network of it from running away. The defaults are those of Rubin, Van Hooser &
    Miller 2015, doi:10.1016/j.neuron.2014.12.026, for inputs in mV and rates in Hz.
    """

    gain: float = 0.04
    exponent: float = 2.0

    def value(self, x: Any) -> Any:
        """Return phi(x)."""
        return self.gain * relu(x) ** self.exponent

    def limits(self) -> tuple[float, float] | None:
        """Return the range of phi, None where it has none."""
        return None


class Hill(NamedTuple):
    """``phi(x) = gain max(0, x)^exponent / (half^exponent + max(0, x)^exponent)``, with an exponent of at least 1.

    The saturation of an indicator that binds calcium, `half` of it at ``x = half``; of a rate, it is the function of
    Naka & Rushton 1966, doi:10.1113/jphysiol.1966.sp008001.
    """

    gain: float = 1.0
    exponent: float = 2.0
    half: float = 1.0

    def value(self, x: Any) -> Any:
        """Return phi(x)."""
        power = relu(x) ** self.exponent
        return self.gain * power / (self.half**self.exponent + power)

    def limits(self) -> tuple[float, float] | None:
        """Return the range of phi, None where it has none."""
        return (0.0, self.gain) if self.gain >= 0 else (self.gain, 0.0)
