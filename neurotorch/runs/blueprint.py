"""A blueprint: how to build a network for a recording."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurotorch import neurons
from neurotorch.connections import Balanced, Connection, Dale, no_self
from neurotorch.core.checks import as_tensor, check_count, check_fraction, check_kind, check_positive, nearest, shown
from neurotorch.core.seeds import torch_generator
from neurotorch.data import Recording
from neurotorch.network import Layer, Network, Observation
from neurotorch.neurons import Calcium, Mixed, MultiTimescaleRate, NeuronModel, learned
from neurotorch.runs.junctions import check_junctions, junctions_of

LAYER = "population"
MARGIN = 0.1
"""Share of a bounded neuron's range that is left free below and above the training data."""


@dataclass(frozen=True, eq=False)
class Blueprint:
    """One population of all recorded neurons, connected to each other but not to themselves.

    Parameters
    ----------
    neuron
        The model. One that emits spikes is seen through a calcium indicator.
    excitatory
        Fraction of excitatory neurons under Dale's law, assigned at random; None for weights of any sign. A recording
        does not tell the types: state them with `dale` where they are known.
    dale
        The types, in place of a fraction.
    mask
        ``(post, pre)``: which connections may exist, such as ``connectome.matched(recording.neurons).mask``; all but
        self-connections by default.
    steps_per_frame
        Network steps in a frame of the recording; by default 1 for rates and 10 for spikes.
    spectral_radius
        Of the balanced start. On validation time of fish 1 a small start with the plan's decay of 1 (R² 0.264) was
        better than 0.5 with a decay of 0.3 (0.211); at a decay of 4 it did not matter whether it was 0.1 or 0.03.
    electrical
        ``(neuron, neuron)``: gap junctions beside the synapses. A symmetric mask of bools, or strengths at least 0 of
        which both directions are averaged, such as ``gap_junctions.matched(recording.neurons).strength``; none by
        default. Where the strength is 0 there is none.
    coupling
        Largest sum of a neuron's conductances at the start, in which junctions are as strong to each other as in
        `electrical`. A start by least squares finds its own.
    """

    neuron: type[NeuronModel] = MultiTimescaleRate
    excitatory: float | None = 0.8
    dale: Dale | None = None
    mask: Tensor | None = None
    steps_per_frame: int | None = None
    spectral_radius: float = 0.1
    electrical: Tensor | None = None
    coupling: float = 0.05

    def __post_init__(self) -> None:
        if not (isinstance(self.neuron, type) and issubclass(self.neuron, NeuronModel)):
            raise TypeError(
                f"`neuron` is of type {type(self.neuron).__name__}, but it must be the class of a model, such as "
                "`WilsonCowan`: its constants are started from the recording. For a name there is `neuron_named(name)`."
            )
        if self.excitatory is not None:
            check_fraction("excitatory", self.excitatory)
        if self.steps_per_frame is not None:
            check_count("steps_per_frame", self.steps_per_frame)
        check_positive("spectral_radius", self.spectral_radius)
        check_positive("coupling", self.coupling)
        if self.electrical is not None:
            check_junctions(self.electrical)
        self._check_wiring()

    def _check_wiring(self) -> None:
        """Raise unless types are a Dale object that is decided, and the mask one of bools."""
        if self.dale is not None:
            check_kind("dale", self.dale, Dale, example="Dale.fraction(100, 0.8)")
            if self.dale.undecided:
                raise ValueError(
                    f"`dale` leaves {self.dale.undecided} types to be inferred, which nothing in `fit` decides: train "
                    "the network with a Trainer and TypeHardening, or leave these neurons free with `Dale.given`."
                )
        if self.mask is not None and as_tensor("mask", self.mask).dtype != torch.bool:
            raise TypeError(f"`mask` is {shown(self.mask)}, but it must hold bools, True where a connection may exist.")

    @property
    def steps(self) -> int:
        """Network steps in a frame."""
        return self.steps_per_frame or (10 if self.neuron.emits == "spikes" else 1)

    @property
    def excitatory_share(self) -> float | None:
        """Fraction of excitatory neurons, of the types that are stated if they are; None without Dale's law."""
        return self.excitatory if self.dale is None else float((self.dale.signs > 0).double().mean())

    def to_json(self) -> dict[str, Any]:
        """Return the blueprint as plain values; types, mask and junctions are in the network's own description."""
        return {
            "neuron": name_of(self.neuron),
            "excitatory": self.excitatory_share,
            "types": "given" if self.dale is not None else "random" if self.excitatory is not None else "none",
            "mask": "given" if self.mask is not None else "no self-connections",
            "steps_per_frame": self.steps,
            "spectral_radius": self.spectral_radius,
            "electrical": "given" if self.electrical is not None else "none",
            "coupling": self.coupling if self.electrical is not None else None,
        }

    def build(
        self, train: Recording, *, seed: int, connected: bool = True, units: NeuronModel | None = None
    ) -> Network:
        """Return a network for `train`: every number it starts from comes from there and from `seed`.

        `units` are neurons made already, in place of those that the model makes for a recording.
        """
        count, dt = train.activity.shape[1], train.dt / self.steps
        model = self.neuron.for_frames(dt, count) if units is None else units
        # the unit of the recording is the neuron's own
        if units is None and self.steps == 1 and model.limits() is None:
            activity = torch.from_numpy(train.activity.copy()).float()
            model.fit_alone([activity[start:stop] for start, stop in train.segments()], dt)
        recurrent = self._recurrent(count, seed) if connected else None
        inputs = None
        if train.inputs is not None:
            generator = torch_generator(seed, "inputs")
            inputs = Connection(train.inputs.shape[1], count, init=Balanced(0.1), generator=generator)
        electrical = None
        if connected and self.electrical is not None:
            electrical = junctions_of(self.electrical, count, coupling=self.coupling)
        bias = learned(torch.zeros(count))
        layer = Layer(model, count, inputs=inputs, recurrent=recurrent, electrical=electrical, bias=bias)
        return Network({LAYER: layer}, dt=dt, observation=self._observation(model, train))

    def _recurrent(self, count: int, seed: int) -> Connection:
        dale = self.dale
        if dale is None and self.excitatory is not None:
            dale = Dale.fraction(count, excitatory=self.excitatory, generator=torch_generator(seed, "types"))
        mask = no_self(count) if self.mask is None else self.mask
        init = Balanced(self.spectral_radius)
        return Connection(count, count, dale=dale, mask=mask, init=init, generator=torch_generator(seed, "weights"))

    def _observation(self, model: NeuronModel, train: Recording) -> Observation:
        activity = train.activity[train.valid]
        low, high = (torch.from_numpy(x).float() for x in (activity.min(axis=0), activity.max(axis=0)))
        # A neuron that is silent here may wake in what is left of the training part: it gets one unit of the recording.
        high = torch.where(high > low, high, low + 1)
        if model.emits == "spikes":
            return self._calcium(low, high, train.dt)
        limits = model.limits()
        if limits is None:
            return Observation(steps_per_frame=self.steps)
        gain = (high - low) / ((limits[1] - limits[0]) * (1 - 2 * MARGIN))
        offset = low - gain * (limits[0] + MARGIN * (limits[1] - limits[0]))
        return Observation(gain=gain, offset=offset, steps_per_frame=self.steps)

    def _calcium(self, low: Tensor, high: Tensor, frame: float) -> Observation:
        """Return an indicator whose calcium, at a spike in every fifth step, stands in the middle of the data."""
        tau = max(1.0, 2 * frame)
        typical = 0.2 * tau * self.steps / frame
        count = len(low)
        return Observation(
            Calcium(learned(torch.full((count,), tau))),
            gain=learned((high - low) / (2 * typical)),
            offset=learned(low),
            nudge=learned(torch.full((count,), 0.1 / typical)),
            steps_per_frame=self.steps,
        )


def neuron_names() -> dict[str, type[NeuronModel]]:
    """Return every neuron model of the library by its name on the command line, such as ``"wilson-cowan"``.

    Populations of several models are not among them: a name does not say which.
    """
    models = [value for name in neurons.__all__ if isinstance(value := getattr(neurons, name), type)]
    found = [model for model in models if issubclass(model, NeuronModel) and model is not NeuronModel]
    found = [model for model in found if not issubclass(model, Mixed)]
    return {name_of(model): model for model in found}


def name_of(model: type) -> str:
    """Return the name of a class on the command line: ``CurrentLIF`` is ``"current-lif"``."""
    return "-".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|\d+", model.__name__)).lower()


def neuron_named(name: str) -> type[NeuronModel]:
    """Return the model with this name.

    Raises
    ------
    ValueError
        If there is none; the message lists those that exist.
    """
    models = neuron_names()
    if name not in models:
        raise ValueError(f"There is no neuron {name!r}; there are {sorted(models)}.{nearest(name, models)}")
    return models[name]


def recurrent_of(network: Network) -> np.ndarray | None:
    """Return the recurrent weights ``(post, pre)`` of the last layer, None if it has none."""
    recurrent = list(network.named_layers().values())[-1].recurrent
    if recurrent is None:
        return None
    weight: np.ndarray = recurrent.weight().detach().cpu().numpy()
    return weight


def signs_of(network: Network) -> np.ndarray | None:
    """Return the types of the last layer's neurons as presynaptic ones, None without Dale's law or connections."""
    recurrent = list(network.named_layers().values())[-1].recurrent
    if recurrent is None or recurrent.dale is None:
        return None
    signs: np.ndarray = recurrent.dale.signs.cpu().numpy()
    return signs
