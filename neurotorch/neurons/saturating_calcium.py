"""The calcium indicator that saturates."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from neurotorch.core.vocabulary import exp, log, maximum, minimum, sigmoid
from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, constant


class SaturatingCalciumState(NamedTuple):
    """`c`: calcium, in units of what one spike adds; `f`: the share of the indicator that binds it."""

    c: Any
    f: Any


class SaturatingCalciumCoefficients(NamedTuple):
    """`gamma`: decay of calcium per step; `half`: calcium that binds half of the indicator; `exponent`."""

    gamma: Any
    half: Any
    exponent: Any


class SaturatingCalcium(NeuronModel):
    r"""Single-exponential calcium indicator with Hill saturation.

    One step of `dt`, with ``gamma = exp(-dt / tau)`` and ``z`` the activity of that step::

        c' = gamma c + z
        f' = c'^exponent / (half_bound^exponent + c'^exponent)

    computed as ``sigmoid(exponent log(c' / half_bound))``, with ``c'`` of at least ``1e-6 half_bound``. It emits
    ``f'``, between 0 and 1; gain and baseline of the fluorescence are those of the `Observation` that holds it.

    Parameters
    ----------
    tau
        Decay time of calcium in seconds; 1 s.
    half_bound
        Calcium at which half of the indicator is bound, in spikes; 5.
    exponent
        Hill exponent; 2.

    References
    ----------
    Vogelstein et al. 2009, doi:10.1016/j.bpj.2008.08.005, with its Hill function of calcium; the decay as in `Calcium`.
    """

    State = SaturatingCalciumState
    Coefficients = SaturatingCalciumCoefficients
    emits = "rates"

    def __init__(
        self,
        tau: float | Tensor | Learned | Constant = 1.0,
        half_bound: float | Tensor | Learned | Constant = 5.0,
        *,
        exponent: float | Tensor | Learned | Constant = 2.0,
    ) -> None:
        super().__init__()
        self.tau = constant("tau", tau, positive=True)
        self.half_bound = constant("half_bound", half_bound, positive=True)
        self.exponent = constant("exponent", exponent, positive=True)

    def coefficients(self, dt: float) -> SaturatingCalciumCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        return SaturatingCalciumCoefficients((-dt / self.tau()).exp(), self.half_bound(), self.exponent())

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the bound share and the state after one step with the activity `current`."""
        k = coefficients
        c = k.gamma * state.c + current
        f = sigmoid(k.exponent * log(maximum(c / k.half, 0 * c + 1e-6)))
        return f, SaturatingCalciumState(c=c, f=f)

    @staticmethod
    def observe(state: Any, emitted: Any) -> Any:
        """Return the bound share."""
        return state.f

    @staticmethod
    def force(coefficients: Any, state: Any, target: Any, strength: Any) -> tuple[Any, Any]:
        """Pull the bound share towards `target`, and calcium by as much as lies between shares held in 0.02 to 0.98."""
        k = coefficients
        f = state.f + strength * (target - state.f)
        before = minimum(maximum(state.f, 0 * f + 0.02), 0 * f + 0.98)
        after = minimum(maximum(f, 0 * f + 0.02), 0 * f + 0.98)
        change = exp(log(after / (1 - after)) / k.exponent) - exp(log(before / (1 - before)) / k.exponent)
        return f, SaturatingCalciumState(c=state.c + k.half * change, f=f)

    def limits(self) -> tuple[float, float]:
        """Return 0 and 1."""
        return 0.0, 1.0
