"""What populations of several models share: who is of which part, their states, coefficients and step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from neurotorch.core.checks import as_tensor, check_kind, nearest, shown
from neurotorch.core.trees import combine, leaves, transform
from neurotorch.core.vocabulary import where
from neurotorch.neurons.base import NeuronModel


class MixedState(NamedTuple):
    """`parts`: the state of each part, for all neurons; `shown`: what they show, empty where that is what they emit.

    The state of a part stays where it began in neurons of another part.
    """

    parts: Any
    shown: Any = ()


class MixedCoefficients(NamedTuple):
    """`parts`: a `Part` for each."""

    parts: Any


class Part(NamedTuple):
    """`model`: the class of its neurons; `here`: 1 for neurons of the part, else 0; their `coefficients`."""

    model: Any
    here: Any
    coefficients: Any


class Parts(nn.Module):
    """Named models, and which neuron is of which.

    Parameters
    ----------
    models
        Name to model. A constant per neuron is one per neuron *of the part*.
    members
        The name of the part of every neuron.
    """

    def __init__(self, models: Mapping[str, NeuronModel], members: Sequence[str]) -> None:
        super().__init__()
        check_parts(models, members)
        self.models, self.members = nn.ModuleDict(models), tuple(members)
        here = torch.tensor([[member == name for member in members] for name in models])
        # Not saved: both follow from `members`.
        self.register_buffer("_here", here.to(torch.get_default_dtype()), persistent=False)
        self.register_buffer("_places", (here.long().cumsum(1) - 1).clamp(min=0), persistent=False)

    def items(self) -> Iterator[tuple[str, NeuronModel, Tensor, Tensor]]:
        """Yield of every part: name, model, 1 for its neurons, and their places among themselves (others have one too).

        Both tensors are ``(neuron,)``.
        """
        here, places = self.get_buffer("_here"), self.get_buffer("_places")
        for index, (name, model) in enumerate(self.models.items()):
            assert isinstance(model, NeuronModel)
            yield name, model, here[index], places[index]

    def coefficients(self, dt: float) -> MixedCoefficients:
        """Return the coefficients of a step of `dt` seconds, those per neuron spread over the population."""
        found = []
        for name, model, here, places in self.items():
            count = self.members.count(name)
            own = transform(model.coefficients(dt), partial(_spread, count=count, places=places))
            constants = leaves(own)
            wide = [leaf.dtype for leaf in constants if leaf.dim()] or [leaf.dtype for leaf in constants]
            found.append(Part(type(model), here.to(wide[0]) if wide else here, own))
        return MixedCoefficients(parts=tuple(found))

    def initial_state(self, batch: int, like: Tensor) -> tuple[Any, ...]:
        """Return the states of the parts at rest."""
        found = []
        for name, model, _, places in self.items():
            own = model.initial_state(batch, like[..., : self.members.count(name)])
            found.append(transform(own, partial(_at, places=places)))
        return tuple(found)

    def check_neurons(self, neurons: int) -> None:
        """Raise unless the members are those of `neurons`, and the constants those of their parts."""
        if len(self.members) != neurons:
            raise ValueError(
                f"`members` names the parts of {len(self.members)} neurons, but the layer has {neurons}: name one part "
                "for each."
            )
        for name, model, _, _ in self.items():
            count = self.members.count(name)
            try:
                model.check_neurons(count)
            except ValueError as error:
                raise ValueError(f"In part {name!r}, which has {count} of the {neurons} neurons: {error}") from error

    def largest_dt(self) -> float:
        """Return the smallest of the parts'."""
        return min(model.largest_dt() for _, model, _, _ in self.items())

    def project_(self, dt: float) -> None:
        """Move learned constants of all parts back into the range where a step of `dt` seconds is stable."""
        for _, model, _, _ in self.items():
            model.project_(dt)


def check_parts(models: Mapping[str, NeuronModel], members: Sequence[str]) -> None:
    """Raise unless there are parts, each a model with at least one neuron."""
    check_kind("parts", models, Mapping, example="{'excitatory': AdaptiveLIF(), 'inhibitory': LIF()}")
    if isinstance(members, str) or not isinstance(members, Sequence):
        raise TypeError(f"`members` is {shown(members)}, but it must list the name of the part of every neuron.")
    for name, model in models.items():
        if not isinstance(model, NeuronModel):
            raise TypeError(f"Part {name!r} is a {type(model).__name__}, but it must be a neuron model such as LIF().")
    for member in members:
        if member not in models:
            raise ValueError(f"`members` names {member!r}; there are {list(models)}.{nearest(str(member), models)}")
    for name in models:
        if name not in members:
            raise ValueError(f"No neuron is of part {name!r}: leave it out, or name it in `members`.")
    if not models:
        raise ValueError("A population needs at least one part.")


def by_sign(signs: Tensor | Sequence[float]) -> tuple[str, ...]:
    """Return "excitatory" for every 1 in `signs`, "inhibitory" for every -1."""
    values = as_tensor("signs", signs)
    free = torch.nonzero((values != 1) & (values != -1)).flatten().tolist()
    if values.dim() != 1 or free:
        raise ValueError(
            f"`signs` must hold 1 or -1 for every neuron, but neurons {free[:8]} have neither: a neuron whose type is "
            "free has no model. Give `parts` and `members` instead."
        )
    return tuple("excitatory" if sign > 0 else "inhibitory" for sign in values.tolist())


def step_of_parts(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any, Any]:
    """Return what every neuron emits and shows by the step of its part, and the states of the parts.

    Neurons of another part get no current and stay in their state, so that no number of theirs can overflow.
    """
    return _of_parts(
        coefficients,
        state,
        lambda part, here, before: part.model.step(part.coefficients, before, where(here, current, 0 * current)),
    )


def force_parts(coefficients: Any, state: Any, target: Any, strength: Any) -> tuple[Any, Any, Any]:
    """Return the same after every neuron was pulled to `target`."""
    return _of_parts(
        coefficients,
        state,
        lambda part, _, before: part.model.force(part.coefficients, before, target, strength),
    )


def _of_parts(
    coefficients: Any, state: Any, act: Callable[[Any, Any, Any], tuple[Any, Any]]
) -> tuple[Any, Any, tuple[Any, ...]]:
    emitted = shown = None
    states = []
    for part, before in zip(coefficients.parts, state.parts, strict=True):
        here = part.here > 0.5
        z, after = act(part, here, before)
        seen = part.model.observe(after, z)
        emitted = z if emitted is None else where(here, z, emitted)
        shown = seen if shown is None else where(here, seen, shown)
        states.append(combine(partial(where, here), after, before))
    return emitted, shown, tuple(states)


def _at(leaf: Tensor, places: Tensor) -> Tensor:
    """Return a state of the neurons of a part as one of the whole population."""
    return leaf[..., places.to(leaf.device)]


def _spread(leaf: Tensor, count: int, places: Tensor) -> Tensor:
    """Return a constant per neuron of a part as one per neuron of the population; others get one of them."""
    return leaf[..., places] if leaf.dim() and leaf.shape[-1] == count else leaf
