"""The multi-timescale rate unit: a rate neuron with slow states of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from neurotorch.core.vocabulary import Transfer, relax, shift, transfer, weighted_sum
from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, check_per_neuron, constant, learned
from neurotorch.neurons.options import transfer_option
from neurotorch.neurons.transfer import Sigmoid


class MultiTimescaleRateState(NamedTuple):
    """`x`: the observed activity; `s`: its short trace, which acts on others; `bank`: filters of its own past."""

    x: Any
    s: Any
    bank: Any


class MultiTimescaleRateCoefficients(NamedTuple):
    """`own`: weights of the filters; `rates`: their ``dt / tau``; `trace_rate`: that of the trace; the option `phi`."""

    own: Any
    rates: Any
    trace_rate: Any
    phi: Any


class MultiTimescaleRate(NeuronModel):
    r"""Rate unit with a bank of causal exponential filters of its *own* past.

    Recorded neurons have slow states of their own (calcium, adaptation), which synaptic input cannot stand in for.
    One step of `dt`::

        x'   = sum_k a_k m_k + I
        m_k' = m_k + (dt / tau_k) (x' - m_k)
        s'   = s + (dt / tau_trace) (x' - s)

    It emits ``phi(s')``, which acts on other neurons a step later, and is observed as ``x'``.

    Parameters
    ----------
    own
        Weights ``a`` of the filters, ``(filter,)``, ``(filter, 1)`` or ``(filter, neuron)``; sums of one keep the past
        for ever.
    tau
        Time constants of the filters in seconds, each at least `dt`: ``(filter,)``. For a recording with frames of
        `dt`, ``tuple(dt * k for k in (1.5, 2.5, 5, 12, 40))`` is a good bank.
    tau_trace
        Time constant of the short trace in seconds, at least `dt`.
    transfer
        ``phi``; `Sigmoid()`, which is never negative, so that the sign of a synapse is that of its effect.

    References
    ----------
    Beside `neurotorch.neurons.firing_rate`, after the multi-timescale adaptive filters of Pozzorini et al. 2013,
    doi:10.1038/nn.3431.
    """

    State = MultiTimescaleRateState
    Coefficients = MultiTimescaleRateCoefficients
    emits = "rates"

    def __init__(
        self,
        own: Sequence[float] | Tensor | Learned | Constant = (0.5, 0.2, 0.1, 0.05, 0.05),
        tau: Sequence[float] | Tensor | Learned | Constant = (1.5, 2.5, 5.0, 12.0, 40.0),
        *,
        tau_trace: float | Tensor | Learned | Constant = 1.5,
        transfer: Transfer = Sigmoid(),
    ) -> None:
        super().__init__()
        self.tau = constant("tau", tau, positive=True, bank=True)
        self.own = constant("own", own, bank=True)
        self.tau_trace = constant("tau_trace", tau_trace, positive=True)
        self.transfer = transfer_option(transfer)
        filters = self.tau.value.shape[0] if self.tau.value.dim() else 0
        if not filters or self.own.value.shape[:1] != (filters,):
            raise ValueError(
                f"`own` has shape {tuple(self.own.value.shape)} and `tau` {tuple(self.tau.value.shape)}, "
                "but both need one entry per filter along their first axis."
            )

    def coefficients(self, dt: float) -> MultiTimescaleRateCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        own, rates = self.own(), dt / self.tau()
        return MultiTimescaleRateCoefficients(
            tuple(own.unbind(0)), tuple(rates.unbind(0)), dt / self.tau_trace(), self.transfer
        )

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return what is emitted, and the state, after one step."""
        c = coefficients
        x = weighted_sum(c.own, state.bank) + current
        s = state.s + c.trace_rate * (x - state.s)
        return transfer(s, c.phi), MultiTimescaleRateState(x=x, s=s, bank=relax(state.bank, x, c.rates))

    @staticmethod
    def observe(state: Any, emitted: Any) -> Any:
        """Return the activity ``x``."""
        return state.x

    @staticmethod
    def force(coefficients: Any, state: Any, target: Any, strength: Any) -> tuple[Any, Any]:
        """Pull the activity towards `target`; the trace and the filters, being linear in it, follow exactly."""
        c = coefficients
        change = strength * (target - state.x)
        s = state.s + c.trace_rate * change
        bank = shift(state.bank, change, c.rates)
        return transfer(s, c.phi), MultiTimescaleRateState(x=state.x + change, s=s, bank=bank)

    @staticmethod
    def required_current(coefficients: Any, state: Any, target: Any) -> Any:
        """Return ``target - sum_k a_k m_k``."""
        return target - weighted_sum(coefficients.own, state.bank)

    @classmethod
    def for_frames(cls, dt: float, neurons: int) -> Self:
        """Return units with filters of 1.5 to 40 steps, whose weights are learned for each neuron, as is the trace."""
        own = torch.tensor([[0.5], [0.2], [0.1], [0.05], [0.05]]).repeat(1, neurons)
        tau = dt * torch.tensor([1.5, 2.5, 5.0, 12.0, 40.0])
        return cls(learned(own), tau, tau_trace=learned(torch.full((neurons,), 2 * dt)))

    @classmethod
    def with_timescales(
        cls, dt: float, neurons: int, *, filters: Sequence[float], trace: float, transfer: Transfer
    ) -> Self:
        """Return units whose filter weights are learned for each neuron and start at zero.

        Parameters
        ----------
        dt
            Seconds of a step.
        neurons
            How many.
        filters, trace
            Time constants in steps, each at least 1.
        transfer
            ``phi``.
        """
        own = torch.zeros(len(filters), neurons)
        return cls(learned(own), dt * torch.tensor(filters), tau_trace=dt * trace, transfer=transfer)

    @torch.no_grad()
    def fit_alone(self, segments: Sequence[Tensor], dt: float) -> None:
        """Set the weights of the filters by ridge regression of every frame on the filters of the frames before.

        The penalty is 1e-4 per frame, for activity of unit variance; on validation time of two fish 3e-3 was no better.
        The first 20 frames of a segment only fill the filters.
        """
        filters, rates = len(self.tau.value), (dt / self.tau.value).double().reshape(len(self.tau.value), -1)
        gram: Tensor = torch.zeros(segments[0].shape[1], filters, filters, dtype=torch.float64)
        moment = gram.new_zeros(segments[0].shape[1], filters)
        for segment in segments:
            bank = gram.new_zeros(filters, segment.shape[1])
            banks = []
            for x in segment[:-1].double():
                bank = bank + rates * (x - bank)
                banks.append(bank)
            past, following = torch.stack([*banks, bank])[20:-1], segment[21:].double()
            gram += torch.einsum("tkn,tln->nkl", past, past)
            moment += torch.einsum("tkn,tn->nk", past, following)
            gram += 1e-4 * len(past) * torch.eye(filters, dtype=torch.float64)
        own = torch.linalg.solve(gram + 1e-9 * torch.eye(filters, dtype=torch.float64), moment).t()
        if self.own.value.shape == own.shape:
            self.own.assign(own.to(self.own.value))

    def initial_state(self, batch: int, like: Tensor) -> MultiTimescaleRateState:
        """Return zeros."""
        zeros = like.new_zeros(batch, like.shape[-1])
        return MultiTimescaleRateState(x=zeros, s=zeros, bank=(zeros,) * self.tau.value.shape[0])

    def largest_dt(self) -> float:
        """Return the smallest time constant: beyond it Euler's method overshoots."""
        return float(min(self.tau.value.min(), self.tau_trace.value.min()))

    def project_(self, dt: float) -> None:
        """Raise learned time constants below `dt` to it."""
        for time_constant in (self.tau, self.tau_trace):
            if time_constant.learned:
                time_constant.clamp_(least=dt)

    def check_neurons(self, neurons: int) -> None:
        """Raise if weights given per neuron do not fit a population of `neurons`."""
        check_per_neuron("the layer", [("tau_trace", self.tau_trace)], neurons)
        for name, bank in (("own", self.own), ("tau", self.tau)):
            shape = tuple(bank.value.shape)
            if len(shape) == 2 and shape[1] not in (1, neurons):
                raise ValueError(
                    f"`{name}` has {shape[1]} columns, but the layer has {neurons} neurons: give one or {neurons}."
                )
