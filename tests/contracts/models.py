"""Finds every neuron model and prepares it for the contracts. Nothing here knows a model by its name."""

from __future__ import annotations

import functools
import importlib
import inspect
import math
import pkgutil
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from neurotorch import neurons
from neurotorch.core.trees import leaves, transform
from neurotorch.neurons import Constant, Learned, NeuronModel, learned
from tests.contracts.composed import CASES as COMPOSED

Factory = Callable[..., NeuronModel]
DOUBLE = torch.float64


def discover() -> list[type[NeuronModel]]:
    """Return every model in a file of `neurotorch.neurons`, exported or not."""
    modules = [
        importlib.import_module(found.name) for found in pkgutil.walk_packages(neurons.__path__, "neurotorch.neurons.")
    ]
    classes = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    found = [c for c in classes if issubclass(c, NeuronModel) and not c.__subclasses__()]
    return sorted(found, key=lambda c: c.__name__)


def is_composed(model: type[NeuronModel]) -> bool:
    """Return whether a model is built from others, which its constructor must be given."""
    return any(p.default is inspect.Parameter.empty for p in inspect.signature(model).parameters.values())


def constants(model: NeuronModel) -> dict[str, Constant]:
    """Return the constants of a model by name, of one that is composed by address."""
    return {name: child for name, child in model.named_modules() if isinstance(child, Constant)}


def alternatives(option: Any) -> list[Any]:
    """Return an option of every class that stands in the file of `option`'s class, save its own."""
    module = sys.modules[type(option).__module__]
    beside = [
        value
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__name__ == name and value.__module__ == module.__name__
    ]
    return [kind() for kind in beside if hasattr(kind, "_fields") and kind is not type(option)]


def variants(models: list[type[NeuronModel]]) -> dict[str, Factory]:
    """Return every model with its defaults, and with alternatives of every option.

    Of an option with few alternatives a model gets all; of many they are dealt out, so that each meets some model. An
    option that a model has with numbers of its own (a surrogate in mV) has no alternatives: those would need them too.
    What a model does without by default (None) it gets from `OPTIONAL`.
    """
    found: dict[str, Factory] = {}
    dealt: Counter[str] = Counter()
    for model in models:
        default = model()
        found[model.__name__] = model
        for name in inspect.signature(model).parameters:
            option = getattr(default, name)
            if option is None:
                found[f"{model.__name__}-{name}"] = functools.partial(model, **{name: OPTIONAL[name]})
            if isinstance(option, tuple) and hasattr(option, "_fields") and option == type(option)():
                others, kind = alternatives(option), type(option).__module__
                for other in (others[(dealt[kind] + k) % len(others)] for k in range(min(FEW, len(others)))):
                    found[f"{model.__name__}-{type(other).__name__}"] = functools.partial(model, **{name: other})
                dealt[kind] += FEW
    return found


FEW = 2
OPTIONAL = {"refractory": 0.003}
UNLEARNED = ("refractory",)  # a number of whole steps, which models refuse to learn
ALL = discover()
MODELS = [model for model in ALL if not is_composed(model)]
SIMPLE = variants(MODELS)
VARIANTS = SIMPLE | COMPOSED


def time_step(model: NeuronModel) -> float:
    """Return a step in seconds at which the model is stable and its dynamics show within tens of steps."""
    largest = model.largest_dt()
    return largest / 3 if math.isfinite(largest) else 0.001


def scattered(factory: Factory, count: int, generator: torch.Generator, *, learn: bool = True) -> NeuronModel:
    """Return the model in float64 with another value of every constant for each of `count` neurons."""
    values = {}
    for name, constant in constants(factory()).items():
        wide = constant.value.to(DOUBLE)[..., None].expand(*constant.value.shape, count)
        draw = torch.rand(wide.shape, generator=generator, dtype=DOUBLE)
        value = torch.where(wide == 0, 0.2 * draw, wide * (1 - 0.2 * draw))
        values[name] = learned(value) if learn and name not in UNLEARNED else value
    return factory(**values)


def shared_constant(name: str, constant: Constant) -> Tensor | Learned:
    """Return a constant of a model in float64 as it may be handed in again: learned where it can be."""
    value = constant.value.to(DOUBLE)
    return value if name in UNLEARNED else learned(value)


def lively_currents(model: NeuronModel, steps: int, batch: int, count: int, generator: torch.Generator) -> Tensor:
    """Return random currents ``(time, batch, neuron)`` at which a spiking model fires, but not at every step."""
    draw = torch.rand(steps, batch, count, generator=generator, dtype=DOUBLE)
    if model.emits == "rates":
        return 2 * draw - 0.5
    for scale in (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0):
        rate = float(run(model, scale * draw)[0].mean())
        if 0.05 < rate < 0.6:
            return scale * draw
    raise AssertionError(f"{type(model).__name__} fires at no current between 0.03 and 1000, or at every step.")


@torch.no_grad()
def run(model: NeuronModel, currents: Tensor) -> tuple[Tensor, Any]:
    """Return what an unconnected population emits at every step, and its last state."""
    state, emitted = model.initial_state(currents.shape[1], currents[0]), []
    coefficients = model.coefficients(time_step(model))
    for current in currents:
        z, state = type(model).step(coefficients, state, current)
        emitted.append(z)
    return torch.stack(emitted), state


class Situation:
    """A model with constants per neuron in the midst of a lively run: coefficients, state, and the next current."""

    def __init__(self, factory: Factory, generator: torch.Generator, *, batch: int = 3, count: int = 5) -> None:
        self.model = scattered(factory, count, generator)
        self.batch, self.count = batch, count
        currents = lively_currents(self.model, 41, batch, count, generator)
        self.step = type(self.model).step
        self.coefficients = transform(self.model.coefficients(time_step(self.model)), Tensor.detach)
        _, self.state = run(self.model, currents[:-1])
        self.current = currents[-1]
        self.scale = float(currents.abs().max())

    def inputs(self) -> list[Tensor]:
        """Return every tensor that the step sees."""
        return [*leaves(self.coefficients), *leaves(self.state), self.current]
