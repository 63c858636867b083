"""The calcium indicator with a rise, a decay and saturation."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from neurotorch.core.vocabulary import Transfer, transfer
from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, constant
from neurotorch.neurons.transfer import Linear


class DoubleExponentialCalciumState(NamedTuple):
    """`rise`: what has not yet reached the indicator; `c`: calcium, in units of what one spike adds in the end."""

    rise: Any
    c: Any


class DoubleExponentialCalciumCoefficients(NamedTuple):
    """`rise`, `decay`: factors per step; the option `phi`."""

    rise: Any
    decay: Any
    phi: Any


class DoubleExponentialCalcium(NeuronModel):
    r"""Double-exponential calcium indicator: a pointwise filter of the activity that it is given as its current.

    One step of `dt`, with ``gamma = exp(-dt / tau)`` for each time constant and ``z`` the activity of that step::

        r' = gamma_rise r + z
        c' = gamma_decay c + (1 - gamma_rise) r'
        f  = phi(c')

    It emits ``f``; gain and baseline of the fluorescence are those of the `Observation` that holds it, and so are
    several simulation steps per frame. A short `tau_rise` makes it `Calcium`. It is an autoregressive process of order
    two whose roots are the two ``gamma``.

    Parameters
    ----------
    tau_rise
        Time constant of the rise in seconds; 50 ms.
    tau_decay
        Time constant of the decay in seconds; 1 s.
    transfer
        ``phi``; `Linear()`. `Hill()` makes the indicator saturate.

    References
    ----------
    Pnevmatikakis et al. 2016, doi:10.1016/j.neuron.2015.11.037, equation 1 with ``p = 2``; saturation as in Vogelstein
    et al. 2010, doi:10.1152/jn.01073.2009.
    """

    State = DoubleExponentialCalciumState
    Coefficients = DoubleExponentialCalciumCoefficients
    emits = "rates"

    def __init__(
        self,
        tau_rise: float | Tensor | Learned | Constant = 0.05,
        tau_decay: float | Tensor | Learned | Constant = 1.0,
        *,
        transfer: Transfer = Linear(),
    ) -> None:
        super().__init__()
        self.tau_rise = constant("tau_rise", tau_rise, positive=True)
        self.tau_decay = constant("tau_decay", tau_decay, positive=True)
        self.transfer = transfer

    def coefficients(self, dt: float) -> DoubleExponentialCalciumCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        rise, decay = (-dt / self.tau_rise()).exp(), (-dt / self.tau_decay()).exp()
        return DoubleExponentialCalciumCoefficients(rise, decay, self.transfer)

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the fluorescence and the state after one step with the activity `current`."""
        k = coefficients
        rise = k.rise * state.rise + current
        c = k.decay * state.c + (1 - k.rise) * rise
        return transfer(c, k.phi), DoubleExponentialCalciumState(rise=rise, c=c)

    def limits(self) -> tuple[float, float] | None:
        """Return the range of the transfer function."""
        return self.transfer.limits()
