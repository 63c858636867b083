"""Neurons of norse as neuron models: under every connection, Dale's law and learning rule."""

from __future__ import annotations

import functools
import importlib
import inspect
import typing
from collections.abc import Collection, Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from neurotorch.core.checks import nearest
from neurotorch.engine import Population
from neurotorch.engine.jacobian import check_pointwise
from neurotorch.interop.named_tuples import check_names, flatten, is_tuple, make, paths
from neurotorch.network.steps import NeuronStep
from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, check_per_neuron, constant, learned

_ARGUMENTS = 4


class NorseState(NamedTuple):
    """`norse`: the state of the neuron, as norse has it."""

    norse: Any


class NorseCoefficients(NamedTuple):
    """`function`: norse's step; `p`: its parameters, as norse has them; `dt`: the step in seconds."""

    function: Any
    p: Any
    dt: Any


class NorseNeuron(NeuronModel):
    r"""A neuron of norse, stepped by norse's own function; `from_norse` makes one.

    One step of `dt`, with ``p`` the parameters, in norse's units and by its discretisation::

        (z, h') = function(I, h, p, dt)

    It runs in torch where norse's function does what the vocabulary has no word for, as its spikes do.

    Parameters
    ----------
    function
        Where the step is, such as ``"norse.torch.functional.lif:lif_feed_forward_step"``.
    constants
        Numbers among its parameters by name; of a parameter within another, ``"lif/tau_mem_inv"``. Fixed or `learned`,
        for all neurons or per neuron; those that are not given have norse's defaults.
    options
        Other parameters, such as the name of the surrogate, ``{"method": "super"}``; a function by where it is.
    rest
        Where fields of the state start that do not start at zero.

    Raises
    ------
    ValueError
        If `function` is none of norse, not pointwise, or takes something else than input, state, parameters and dt; if
        it has no parameter or state of a name.
    ImportError
        If norse is not installed.

    References
    ----------
    Pehle & Pedersen 2021, *Norse*, doi:10.5281/zenodo.4422025.
    """

    State = NorseState
    Coefficients = NorseCoefficients
    emits: Literal["spikes", "rates"] = "spikes"

    def __init__(
        self,
        function: str,
        constants: Mapping[str, float | Tensor | Learned | Constant],
        *,
        options: Mapping[str, str] | None = None,
        rest: Mapping[str, float | Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.function = function
        self.options, self.rest = dict(options or {}), dict(rest or {})
        # A rate (tau_mem_inv) must stay above zero.
        self.constants = nn.ModuleDict(
            {name: constant(name, value, positive="tau" in name) for name, value in constants.items()}
        )
        parameters, state = _classes(_resolve(function))
        check_names(function, {**constants, **self.options}, parameters)
        check_names(function, self.rest, state)
        if not any(path.endswith("method") for path in paths(parameters)):
            self.emits = "rates"  # it has no surrogate: an integrator
        wide = [shape[-1] for module in self.constants.values() if (shape := module().shape)]
        device = next((module().device for module in self.constants.values()), None)
        like = torch.zeros(1, 2, max(wide, default=3), device=device)
        start = self.initial_state(2, like)
        population = Population(NeuronStep(type(self)), self.coefficients(0.001), start, like[0], like)
        check_pointwise(function, population)

    def coefficients(self, dt: float) -> NorseCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        values: dict[str, Any] = {name: module() for name, module in self.constants.items()}
        values |= {name: _resolve(value) if ":" in value else value for name, value in self.options.items()}
        function = _resolve(self.function)
        return NorseCoefficients(function, make(_classes(function)[0], values), dt)

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return what norse's step emits, and the state after it."""
        c = coefficients
        emitted, after = c.function(current, state.norse, c.p, c.dt)
        return emitted, NorseState(norse=after)

    def initial_state(self, batch: int, like: Tensor) -> NorseState:
        """Return `rest`."""
        _, kind = _classes(_resolve(self.function))
        zeros = like.new_zeros(batch, like.shape[-1])
        values = {path: zeros + torch.as_tensor(self.rest.get(path, 0.0)).to(like) for path in paths(kind)}
        return NorseState(norse=make(kind, values))

    def check_neurons(self, neurons: int) -> None:
        """Raise if a constant given per neuron does not fit a population of `neurons`."""
        check_per_neuron("the layer", self.constants.items(), neurons)


def from_norse(cell: Any, parameters: Any = None, *, learn: Collection[str] = ()) -> NorseNeuron:
    """Return a neuron of norse as a neuron model.

    Its input weights, recurrence and signs are those of a `Layer`'s connections, its time step is the network's.

    Parameters
    ----------
    cell
        A cell without weights of its own, such as ``norse.torch.LIFCell(p)``, ``LSNNCell(p)``, ``IzhikevichCell(...)``,
        the module that runs one over a sequence (``norse.torch.LIF(p)``), or a step, such as
        ``norse.torch.functional.lif.lif_feed_forward_step``, with its `parameters`.
    parameters
        Of a step; norse's defaults unless given.
    learn
        Names of parameters that are learned, such as ``"tau_mem_inv"`` or ``"lif/tau_mem_inv"``.

    Raises
    ------
    TypeError
        If `cell` is something else.
    ValueError
        If it has weights of its own, or is not pointwise.

    Examples
    --------
    >>> neuron = from_norse(norse.torch.LIFCell(norse.torch.LIFParameters()), learn=["tau_mem_inv"])  # doctest: +SKIP
    >>> Layer(neuron, 100, recurrent=Connection(100, 100, dale=Dale.fraction(100)))  # doctest: +SKIP
    """
    rest: dict[str, float | Tensor] = {}
    function: Any = cell
    if isinstance(cell, nn.Module):
        module: Any = cell
        if _has_weights(module):
            raise ValueError(
                f"{type(module).__name__} has weights of its own: take the cell without them, such as LIFCell(p), and "
                "put weights into the connections of a Layer."
            )
        function, parameters = getattr(module, "activation", None), getattr(module, "p", None)
        if inspect.isfunction(function):
            rest = {path: _number(value) for path, value in flatten(module.state_fallback(torch.zeros(1, 1)))}
    if not inspect.isfunction(function):
        raise TypeError(f"{cell!r} is neither a cell of norse nor a step function: give one such as LIFCell().")
    kind, _ = _classes(function)
    if parameters is None and (missing := [field for field in kind._fields if field not in kind._field_defaults]):
        raise ValueError(f"{function.__qualname__} needs `parameters`: norse has no defaults for {missing}.")
    given = kind() if parameters is None else parameters
    numbers, options = {}, {}
    for path, value in flatten(given):
        if isinstance(value, str):
            options[path] = value
        elif callable(value) and not isinstance(value, Tensor):
            options[path] = f"{value.__module__}:{value.__qualname__}"
        else:
            numbers[path] = value
    unknown = sorted(set(learn) - set(numbers))
    if unknown:
        raise ValueError(f"`learn` names {unknown}; there are {sorted(numbers)}.{nearest(unknown[0], numbers)}")
    constants = {path: learned(value) if path in learn else value for path, value in numbers.items()}
    name = f"{function.__module__}:{function.__qualname__}"
    return NorseNeuron(name, constants, options=options, rest={path: at for path, at in rest.items() if _nonzero(at)})


@functools.cache
def _resolve(name: str) -> Any:
    """Return the function of norse that is named ``"module:function"``; nothing else is ever imported."""
    module, _, function = name.partition(":")
    if module.split(".")[0] != "norse" or not function.isidentifier():
        raise ValueError(f"{name!r} does not name a function of norse, such as 'norse.torch.functional.lif:lif_step'.")
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{name!r} cannot be imported ({error}): pip install 'neurotorch[norse]', or another version of norse."
        ) from error
    if not inspect.isfunction(found):
        raise ValueError(f"{module} has no function {function!r}: it is of another version of norse.")
    return found


@functools.cache
def _classes(function: Any) -> tuple[Any, Any]:
    """Return the classes of parameters and state of a step, from its annotations."""
    arguments = list(inspect.signature(function).parameters)
    hints = typing.get_type_hints(function)
    found = [hints.get(argument) for argument in arguments]
    if len(arguments) != _ARGUMENTS or not (is_tuple(found[1]) and is_tuple(found[2])):
        raise ValueError(
            f"{function.__qualname__} takes {', '.join(arguments)}, but a neuron's step takes its current, a state, "
            "parameters and dt, each neuron its own: take a feed-forward step, and put weights into connections."
        )
    return found[2], found[1]


def _has_weights(cell: nn.Module) -> bool:
    named = dict(cell.named_parameters())
    return "recurrent_weights" in named or "input_weights" in named or any(p.dim() > 1 for p in named.values())


def _number(value: Any) -> float | Tensor:
    """Return where a field starts: a float, or one value per neuron."""
    tensor = torch.as_tensor(value).detach()
    return float(tensor) if tensor.numel() == 1 else tensor.clone()


def _nonzero(value: float | Tensor) -> bool:
    return bool(torch.as_tensor(value).ne(0).any())
