"""What a network refuses: layers that cannot be, steps that are too long, and numbers that are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from neurotorch.connections.connection import Connection
from neurotorch.core.checks import all_finite, check_kind, nearest, shown
from neurotorch.core.trees import leaves
from neurotorch.engine import Run
from neurotorch.neurons.base import NeuronModel


def check_stable(owner: str, neuron: NeuronModel, dt: float) -> None:
    """Raise if the discretisation of `neuron` is not stable at steps of `dt` seconds; `owner` is named."""
    largest = neuron.largest_dt()
    # time constants are held in float32, or are the exponential of a learned logarithm: equal means equal to rounding
    if dt > largest * (1 + 1e-6):
        raise ValueError(
            f"`dt` is {dt:g} s, but a time constant of {owner} is {largest:g} s, and its step is stable only up to "
            f"that: use dt <= {largest:g}, or longer time constants."
        )


def check_named_layers(layers: Mapping[str, Any], layer: type[nn.Module]) -> None:
    """Raise unless `layers` maps at least one usable name to objects of the class `layer`."""
    if isinstance(layers, nn.Module) or not isinstance(layers, Mapping):
        raise TypeError(
            f"`layers` is a {type(layers).__name__}, but it must map names to layers, in order: "
            '{"cortex": Layer(LIF(), 100)}.'
        )
    if not layers:
        raise ValueError("A network needs at least one layer.")
    for name, found in layers.items():
        if isinstance(found, NeuronModel):
            raise TypeError(
                f"Layer {name!r} is the neuron model {type(found).__name__}, which has no number of neurons and no "
                f"connections: wrap it, as in Layer({type(found).__name__}(...), 100)."
            )
        if not isinstance(found, layer):
            raise TypeError(f"Layer {name!r} is a {type(found).__name__}, but it must be a Layer.")
        if not isinstance(name, str):
            raise TypeError(f"A layer is named {name!r}, but names are text.")
        if not name or "." in name or " -> " in name:
            raise ValueError(
                f"A layer is named {name!r}, but a name is not empty and has neither '.' nor ' -> ' in it: they divide "
                "the addresses of weights, such as 'cortex.recurrent' and 'readout -> cortex'."
            )
        if hasattr(nn.ModuleDict, name):
            raise ValueError(f"A layer is named {name!r}, a name that torch keeps for itself: choose another one.")


def check_parts(observation: Any, feedback: Any, learned_start: Any, observed: type[nn.Module]) -> None:
    """Raise if what is handed to a network beside its layers is of the wrong kind."""
    if observation is not None:
        check_kind("observation", observation, observed, example="Observation(Calcium(1.0))")
    if feedback is not None:
        example = "{'readout -> cortex': Connection(2, 100)}"
        check_kind("feedback", feedback, Mapping, example=example)
        for address, connection in feedback.items():
            check_kind(f"feedback[{address!r}]", connection, Connection, example="Connection(2, 100)")
    if not isinstance(learned_start, bool):
        raise TypeError(f"`learned_start` is {shown(learned_start)}, but it must be True or False.")


def check_noise(noise: Mapping[str, Tensor] | None, shapes: Mapping[str, tuple[int, int, int]]) -> None:
    """Raise unless noise is currents by name of a layer, of its shape ``(step, batch, neuron)``."""
    if noise is None:
        return
    check_kind("noise", noise, Mapping, example="noise_currents(network, 0.1, ...)")
    for name, current in noise.items():
        if name not in shapes:
            raise ValueError(f"`noise` names no layer {name!r}; there are {list(shapes)}.{nearest(name, shapes)}")
        check_kind(f"noise[{name!r}]", current, Tensor, example="torch.zeros(steps, batch, neurons)")
        if tuple(current.shape) != shapes[name]:
            raise ValueError(
                f"`noise[{name!r}]` is {tuple(current.shape)}, but (step, batch, neuron) is {shapes[name]} here."
            )


def check_inputs_finite(inputs: Tensor) -> None:
    """Raise if `inputs` ``(frame, batch, channel)`` hold NaN or infinite values, naming the first frame."""
    if not all_finite(inputs):
        finite = torch.isfinite(inputs)
        frame, sample, channel = (int(i) for i in torch.nonzero(~finite)[0])
        raise ValueError(
            f"`inputs` holds {int((~finite).sum())} NaN or infinite values, the first in frame {frame} "
            f"(sample {sample}, channel {channel}): leave out such frames, or fill them in."
        )


def check_activity_finite(name: str, run: Run) -> None:
    """Raise if the layer `name` emitted or showed a value that is not finite, or ended in a state with NaN.

    A neuron whose potential is NaN does not spike: without a look at its state it would only seem silent.
    """
    outputs = {"emitted": run.emitted} if run.seen is run.emitted else {"emitted": run.emitted, "showed": run.seen}
    for kind, tensor in outputs.items():
        if not all_finite(tensor):
            finite = torch.isfinite(tensor)
            step, sample, neuron = (int(i) for i in torch.nonzero(~finite)[0])
            raise FloatingPointError(
                f"Layer {name!r} {kind} a value that is not finite at step {step} (sample {sample}, neuron {neuron}): "
                "its activity has exploded. Lower the spectral radius or the learning rate."
            )
    for leaf in leaves(run.state):
        if bool(torch.isnan(leaf).any()):
            sample, neuron = (int(i) for i in torch.nonzero(torch.isnan(leaf))[0])
            raise FloatingPointError(
                f"Layer {name!r} ended in a state with NaN (sample {sample}, neuron {neuron}): a weight or constant is "
                "NaN, or its activity has exploded. Lower the spectral radius or the learning rate."
            )
