"""The vocabulary on scalars, for numba: the same words, so that the text of a step compiles as it stands.

The words that take an option look up the option's class: `transfer`, `carry_over`, `hold` and `emit` compile the
option's own method, `spike` needs no derivative here, because derivatives belong to the torch meaning.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from neurotorch.core import vocabulary


def compile_step(step: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a neuron's step for scalars.

    Parameters
    ----------
    step
        The `step` of a neuron model: ``step(coefficients, state, current) -> (emitted, state)``.

    Returns
    -------
    callable
        The same function of NamedTuples of floats, compiled at its first call. A step that leaves the vocabulary raises
        numba's `TypingError` then.
    """
    import numba

    teach_numba()
    compiled: Callable[..., Any] = numba.njit(step)
    return compiled


@functools.cache
def teach_numba() -> None:
    """Tell numba what the words mean; once per process, at first use: importing numba takes a third of a second."""
    import numba
    from numba.extending import overload

    for word, meaning in _SCALAR_WORDS.items():
        overload(word)(_always(meaning))

    @overload(vocabulary.spike)
    @_unannotated
    def _spike(x: Any, surrogate: Any) -> Any:
        return lambda x, surrogate: x * 0 + 1 if x > 0 else x * 0

    @overload(vocabulary.transfer)
    @_unannotated
    def _transfer(x: Any, phi: Any) -> Any:
        value = numba.njit(phi.instance_class.value)
        return lambda x, phi: value(phi, x)

    @overload(vocabulary.carry_over)
    @_unannotated
    def _carry_over(decay: Any, v: Any, spiked: Any, threshold: Any, reset: Any) -> Any:
        carry = numba.njit(reset.instance_class.carry)
        return lambda decay, v, spiked, threshold, reset: carry(reset, decay, v, spiked, threshold)

    @overload(vocabulary.hold)
    @_unannotated
    def _hold(r: Any, v: Any, spiked: Any, carried: Any, arriving: Any, refractory: Any) -> Any:
        hold = numba.njit(refractory.instance_class.hold)
        return lambda r, v, spiked, carried, arriving, refractory: hold(refractory, r, v, spiked, carried, arriving)

    @overload(vocabulary.emit)
    @_unannotated
    def _emit(r: Any, z: Any, refractory: Any) -> Any:
        emit = numba.njit(refractory.instance_class.emit)
        return lambda r, z, refractory: emit(refractory, r, z)

    # A bank is a tuple of any length; numba unrolls it when each element is spelled out.
    @overload(vocabulary.relax)
    @_unannotated
    def _relax(bank: Any, x: Any, rates: Any) -> Any:
        elements = "".join(f"bank[{k}] + (x - bank[{k}]) * rates[{k}], " for k in range(len(bank)))
        return _from_text(f"def meaning(bank, x, rates): return ({elements})")

    @overload(vocabulary.shift)
    @_unannotated
    def _shift(bank: Any, change: Any, rates: Any) -> Any:
        elements = "".join(f"bank[{k}] + change * rates[{k}], " for k in range(len(bank)))
        return _from_text(f"def meaning(bank, change, rates): return ({elements})")

    @overload(vocabulary.weighted_sum)
    @_unannotated
    def _weighted_sum(weights: Any, bank: Any) -> Any:
        terms = " + ".join(f"weights[{k}] * bank[{k}]" for k in range(len(bank)))
        return _from_text(f"def meaning(weights, bank): return {terms}")


def _always(meaning: Callable[..., Any]) -> Callable[..., Any]:
    """Return a typing function with the signature of `meaning` that answers `meaning` for all types."""
    meaning = _unannotated(meaning)
    names = ", ".join(meaning.__code__.co_varnames[: meaning.__code__.co_argcount])
    return _from_text(f"def choose({names}): return meaning", meaning=meaning)


def _unannotated(function: Callable[..., Any]) -> Callable[..., Any]:
    """Take the annotations off: numba wants those of a typing function and of its answer to be equal too."""
    function.__annotations__ = {}
    return function


def _from_text(text: str, **names: Any) -> Callable[..., Any]:
    scope: dict[str, Any] = dict(names)
    exec(text, scope)
    function: Callable[..., Any] = scope[text[4 : text.index("(")]]
    return function


def _sigmoid(x: float) -> float:
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    return math.exp(x) / (1 + math.exp(x))


def _softplus(x: float) -> float:
    if x > 0:
        return x + math.log1p(math.exp(-x))
    return math.log1p(math.exp(x))


_SCALAR_WORDS: dict[Callable[..., Any], Callable[..., Any]] = {
    vocabulary.exp: lambda x: math.exp(x),
    vocabulary.log: lambda x: math.log(x),
    vocabulary.tanh: lambda x: math.tanh(x),
    vocabulary.sigmoid: _sigmoid,
    vocabulary.softplus: _softplus,
    vocabulary.relu: lambda x: x if x > 0 else x * 0,
    vocabulary.where: lambda condition, x, y: x if condition else y,
    vocabulary.minimum: lambda x, y: x if x < y or x != x else y,
    vocabulary.maximum: lambda x, y: x if x > y or x != x else y,
    vocabulary.stop_gradient: lambda x: x,
}
