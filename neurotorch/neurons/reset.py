"""What a spike leaves of the membrane potential, written in the step vocabulary. A reset carries no gradient."""

from __future__ import annotations

from typing import Any, NamedTuple


class ResetBySubtraction(NamedTuple):
    """``alpha v - strength * threshold * z``: the threshold is taken off once (Bellec et al. 2020)."""

    strength: float = 1.0

    def carry(self, decay: Any, v: Any, spiked: Any, threshold: Any) -> Any:
        """Return the potential carried over."""
        return decay * v - self.strength * threshold * spiked


class ResetToZero(NamedTuple):
    """``alpha v (1 - strength * z)``: the potential restarts at zero, and keeps the current of the next step."""

    strength: float = 1.0

    def carry(self, decay: Any, v: Any, spiked: Any, threshold: Any) -> Any:  # noqa: ARG002 (numba compiles no `del`)
        """Return the potential carried over."""
        return decay * v * (1 - self.strength * spiked)


class ResetToValue(NamedTuple):
    """``alpha v (1 - z) + value z``: the potential restarts at `value`, and keeps the current of the next step."""

    value: float = -0.5

    def carry(self, decay: Any, v: Any, spiked: Any, threshold: Any) -> Any:  # noqa: ARG002 (numba compiles no `del`)
        """Return the potential carried over."""
        return decay * v * (1 - spiked) + self.value * spiked
