"""The vanilla recurrent unit; with a linear transfer function, the linear one."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from neurotorch.core.vocabulary import Transfer, transfer
from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, constant
from neurotorch.neurons.options import transfer_option
from neurotorch.neurons.transfer import Tanh


class ElmanState(NamedTuple):
    """`x`: what was emitted. The next step does not depend on it but through synapses."""

    x: Any


class ElmanCoefficients(NamedTuple):
    """`gain`; the option `phi`."""

    gain: Any
    phi: Any


class Elman(NeuronModel):
    r"""Vanilla recurrent unit, without a memory of its own.

    One step, whatever `dt`::

        x' = phi(gain I)

    In a recurrent layer that is ``x' = phi(gain (W x + I))``, and with `transfer` ``Linear()`` the linear dynamical
    system ``x' = gain (W x + I)``.

    Parameters
    ----------
    gain
        Factor of the input; 1.
    transfer
        ``phi``; `Tanh()`.

    References
    ----------
    Elman 1990, doi:10.1207/s15516709cog1402_1.
    """

    State = ElmanState
    Coefficients = ElmanCoefficients
    emits = "rates"

    def __init__(self, gain: float | Tensor | Learned | Constant = 1.0, *, transfer: Transfer = Tanh()) -> None:
        super().__init__()
        self.gain = constant("gain", gain)
        self.transfer = transfer_option(transfer)

    def coefficients(self, dt: float) -> ElmanCoefficients:
        """Return the coefficients of a step."""
        del dt
        return ElmanCoefficients(self.gain(), self.transfer)

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the activity and the state after one step."""
        x = transfer(coefficients.gain * current, coefficients.phi)
        return x, ElmanState(x=x)

    @staticmethod
    def force(coefficients: Any, state: Any, target: Any, strength: Any) -> tuple[Any, Any]:
        """Pull the activity towards `target`."""
        x = state.x + strength * (target - state.x)
        return x, ElmanState(x=x)

    def limits(self) -> tuple[float, float] | None:
        """Return the range of the transfer function."""
        return self.transfer.limits()
