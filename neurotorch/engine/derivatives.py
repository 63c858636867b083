"""How a gradient passes each operation of a step, the way torch has it: ties, zeros and non-finite values included."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from neurotorch.engine import machine
from neurotorch.engine.tracing import Symbol

Rule = Callable[..., tuple[Any, ...]]
"""``rule(gradient, result, *operands) -> a gradient per operand``, None where an operand has none."""


def _where(g: Symbol, condition: Any, x: Any, y: Any) -> Symbol:
    return g.tape.add(machine.WHERE, condition, x, y)


def _sigmoid(x: Symbol) -> Symbol:
    return x.tape.add(machine.SIGMOID, x)


def _log(x: Any) -> Any:
    if isinstance(x, float):
        return math.log(x) if x > 0 else -math.inf if x == 0 else math.nan
    return x.tape.add(machine.LOG, x)


def _power(g: Symbol, y: Symbol, a: Any, b: Any) -> tuple[Any, Any]:
    add = g.tape.add
    of_base = _where(g, add(machine.EQUAL, b, 0.0), 0.0, g * (b * add(machine.POWER, a, b - 1)))
    vanishes = add(machine.BOTH, add(machine.EQUAL, a, 0.0), add(machine.GREATER_EQUAL, b, 0.0))
    return of_base, g * _where(g, vanishes, 0.0, y * _log(a))


def _extreme(g: Symbol, a: Any, b: Any, a_loses: Symbol, b_loses: Symbol) -> tuple[Any, Any]:
    """Return the gradients of the smaller or the larger of two; where they tie, each takes half."""
    tie, half = g.tape.add(machine.EQUAL, a, b), g / 2
    return _where(g, tie, half, _where(g, a_loses, 0.0, g)), _where(g, tie, half, _where(g, b_loses, 0.0, g))


def _greater(g: Symbol, a: Any, b: Any) -> Symbol:
    return g.tape.add(machine.GREATER, a, b)


RULES: dict[int, Rule] = {
    machine.COPY: lambda g, _y, _a: (g,),
    machine.ADD: lambda g, _y, _a, _b: (g, g),
    machine.SUBTRACT: lambda g, _y, _a, _b: (g, -g),
    machine.MULTIPLY: lambda g, _y, a, b: (g * b, g * a),
    machine.DIVIDE: lambda g, y, _a, b: (g / b, -(g * (y / b))),
    machine.NEGATE: lambda g, _y, _a: (-g,),
    machine.POWER: _power,
    machine.ABSOLUTE: lambda g, _y, a: (g * a.tape.add(machine.SIGN, a),),
    machine.EXP: lambda g, y, _a: (g * y,),
    machine.LOG: lambda g, _y, a: (g / a,),
    machine.TANH: lambda g, y, _a: (g * (1 - y * y),),
    machine.SIGMOID: lambda g, y, _a: (g * ((1 - y) * y),),
    machine.SOFTPLUS: lambda g, _y, a: (_where(g, a > 20, g, g * _sigmoid(a)),),
    machine.RELU: lambda g, y, _a: (_where(g, y <= 0, 0.0, g),),
    machine.WHERE: lambda g, _y, condition, _a, _b: (None, _where(g, condition, g, 0.0), _where(g, condition, 0.0, g)),
    machine.MINIMUM: lambda g, _y, a, b: _extreme(g, a, b, _greater(g, a, b), _greater(g, b, a)),
    machine.MAXIMUM: lambda g, _y, a, b: _extreme(g, a, b, _greater(g, b, a), _greater(g, a, b)),
}
"""By operation. What is absent (comparisons, logic) passes none; a spike passes ``gradient * slope``."""
