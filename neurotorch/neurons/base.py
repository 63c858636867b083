"""The contract of a neuron model: a pure, pointwise step, written once."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, Self

from torch import Tensor, nn

from neurotorch.neurons.constant import check_per_neuron


class NeuronModel(nn.Module, abc.ABC):
    """A population of like neurons. A model is final: never derive from one that is not abstract.

    A model Must define, in one file:

    - `State` and `Coefficients`, NamedTuples at module level. Every field of a state is one floating
      ``(batch, neuron)`` tensor, or a tuple of such tensors (a bank of filters; an empty one where an option makes the
      field superfluous). A coefficient broadcasts against ``(batch, neuron)``, or is an option.
    - `emits`: ``"spikes"`` or ``"rates"``.
    - `coefficients(dt)`: computed once per sequence, differentiable in the constants that are learned.
    - `step(coefficients, state, current) -> (emitted, state)`: static, pure, pointwise (neuron *j* of sample *b* sees
      only its own values), written in `neurotorch.core.vocabulary`.

    It May define

    - `observe(state, emitted)`: what a recording is compared with, where that is not what is emitted;
    - `force(coefficients, state, target, strength) -> (emitted, state)`: the state after its observed quantity was
      pulled to ``observed + strength (target - observed)``, in the vocabulary. Models without it are forced through
      their instrument;
    - `required_current(coefficients, state, target)`: the current with which the next step shows `target`: what a warm
      start by least squares inverts;
    - `for_frames`, `fit_alone` and `limits`, from which the fit of a recording starts;
    - `initial_state`, where it is not zero;
    - `potential`, the field of the state that gap junctions act on, where it is not `v`, `v_mv`, `x` or `h`;
    - `largest_dt`, where the step is only stable up to some `dt`.

    All arguments of the constructor have defaults, save those of a model that is composed of others, and are kept as
    attributes of the same name: saving rests on it, and so do the contract tests, which find every model by themselves.
    """

    State: ClassVar[type[Any]]
    Coefficients: ClassVar[type[Any]]
    emits: Literal["spikes", "rates"]
    force: ClassVar[Callable[..., Any] | None] = None
    required_current: ClassVar[Callable[..., Any] | None] = None

    @abc.abstractmethod
    def coefficients(self, dt: float) -> Any:
        """Return the `Coefficients` of a step of `dt` seconds."""

    @staticmethod
    @abc.abstractmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return ``(emitted, state)`` after one step."""

    @staticmethod
    def observe(state: Any, emitted: Any) -> Any:
        """Return the quantity that a recording is compared with."""
        return emitted

    def initial_state(self, batch: int, like: Tensor) -> Any:
        """Return the state at rest: `like` is any tensor whose last axis is the neurons, and gives dtype and device."""
        zeros = like.new_zeros(batch, like.shape[-1])
        return self.State(*[zeros] * len(self.State._fields))

    @classmethod
    def potential(cls) -> str | None:
        """Return the field of the state that gap junctions even out, None if there is none.

        By default it is the membrane potential, `v` or `v_mv`; of rate models the rate `x`, or the current `h`.
        """
        return next((name for name in ("v", "v_mv", "x", "h") if name in cls.State._fields), None)

    @classmethod
    def for_frames(cls, dt: float, neurons: int) -> Self:
        """Return a model to start the fit of a recording with: `neurons` neurons, steps of `dt` seconds.

        By default it is the model as it comes; models with time constants tie them to `dt` and make them learned.
        """
        del dt, neurons
        return cls()

    def fit_alone(self, segments: Sequence[Tensor], dt: float) -> None:
        """Start constants from recorded activity, each neuron by itself; by default nothing is to be started.

        `segments` are ``(time, neuron)``, in the unit of the observed quantity, with frames of `dt` seconds.
        """

    def limits(self) -> tuple[float, float] | None:
        """Return the range of the observed quantity, None where it has none: a recording is scaled into it."""
        return None

    def largest_dt(self) -> float:
        """Return the largest step in seconds at which the discretisation is stable."""
        return float("inf")

    def project_(self, dt: float) -> None:
        """Move learned constants back into the range where a step of `dt` seconds is stable."""

    def check_neurons(self, neurons: int) -> None:
        """Raise if a constant given per neuron does not fit a population of `neurons`."""
        check_per_neuron("the layer", self.named_children(), neurons)
