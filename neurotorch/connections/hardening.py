"""Deciding the types that are being inferred: from the weights that leave each neuron to signs that are fixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from neurotorch.connections.connection import Connection
from neurotorch.connections.dale import Dale
from neurotorch.core.checks import check_kind, listed, shown

FLOOR = 1e-3
"""What is left of a weight of the wrong sign, in root mean squares of the connection: not zero, where the square map
has no gradient and others have no value."""


class _Leaning(NamedTuple):
    sign: Tensor
    lean: Tensor
    agreement: Tensor


def undecided_types(module: nn.Module) -> list[Dale]:
    """Return the `Dale` objects in a network, or in any module, that hold types still to be decided, each once."""
    check_kind("module", module, nn.Module, example="network")
    return [each for each in module.modules() if isinstance(each, Dale) and each.undecided]


@torch.no_grad()
def harden_types(module: nn.Module, *, otherwise: int | None = None) -> int:
    """Decide all types that are being inferred, by the side to which the weights that leave each neuron lean.

    Over all weights that leave neuron `j`, in every connection of `module` that shares its `Dale` object and in root
    mean squares of that connection::

        z_j = sum w / sqrt(sum w^2),    s_j = sign(z_j)

    Weights of the sign ``s_j`` stay as they are, to the rounding of the magnitude map; those of the other sign become
    ``1e-3 s_j`` root mean squares, from where they may grow again. What an optimizer remembers of these parameters
    (momentum) belongs to the values before.

    Parameters
    ----------
    module : nn.Module
        A network, with all connections of the neurons in question.
    otherwise : int, optional
        Sign, -1 or +1, of neurons that lean to no side; without it they are an error.

    Returns
    -------
    decided : int
        How many neurons were decided.

    Raises
    ------
    ValueError
        If neurons lean to no side (they are named): all their weights are zero, or none leaves them. Nothing is changed
        then.
    """
    check_otherwise(otherwise)
    found = []
    for dale in undecided_types(module):
        own = [each for each in module.modules() if isinstance(each, Connection) and each.dale is dale]
        undecided = dale.types().undecided
        leaning = _leaning(own, undecided)
        found.append((dale, own, undecided, leaning, _resolved(leaning.sign, undecided, otherwise)))
    for dale, own, undecided, leaning, signs in found:
        weights = [connection.weight() for connection in own]
        dale.decide(undecided, signs, lean=leaning.lean, agreement=leaning.agreement)
        for connection, weight in zip(own, weights, strict=True):
            _bind(connection, weight, torch.where(undecided, signs, 0.0))
    return sum(int(undecided.sum()) for _, _, undecided, _, _ in found)


def check_otherwise(otherwise: int | None) -> None:
    """Raise unless the sign of neurons that lean to no side is -1, +1 or not given."""
    if isinstance(otherwise, bool) or otherwise not in (None, -1, 1):
        raise ValueError(f"`otherwise` is {shown(otherwise)}, but a type is 1 (excitatory) or -1 (inhibitory).")


def _leaning(connections: Sequence[Connection], undecided: Tensor) -> _Leaning:
    """Return where the weights that leave each neuron lean, connections counting alike whatever their size."""
    total, squares, sizes = (torch.zeros(len(undecided), dtype=torch.float64, device=undecided.device) for _ in "123")
    for connection in connections:
        weight = connection.weight().double()
        weight = weight / _root_mean_square(connection, weight)
        total += weight.sum(dim=0)
        squares += weight.square().sum(dim=0)
        sizes += weight.abs().sum(dim=0)
    some = squares > 0
    lean = torch.where(some, total / torch.where(some, squares, 1.0).sqrt(), 0.0)
    return _Leaning(lean.sign(), lean, torch.where(some, total.abs() / torch.where(some, sizes, 1.0), 0.0))


def _resolved(sign: Tensor, undecided: Tensor, otherwise: int | None) -> Tensor:
    level = [int(j) for j in (undecided & (sign == 0)).nonzero().flatten()]
    if level and otherwise is None:
        raise ValueError(
            f"The weights that leave {len(level)} neurons, {listed(level)}, lean to no side: "
            "none leave them (a mask), all are zero, or their connections are not part of `module`. Give these neurons "
            f"a type as `known`, or say what they shall be, `otherwise=1` or `otherwise=-1`."
        )
    return torch.where(sign == 0, 1.0 if otherwise is None else float(otherwise), sign)


def _bind(connection: Connection, weight: Tensor, signs: Tensor) -> None:
    """Set weights ``(post, pre)`` in which the neurons that have a sign in `signs` ``(pre,)`` keep to it."""
    sign = signs.to(weight)
    floor = FLOOR * sign * _root_mean_square(connection, weight)
    bound = torch.where(sign * weight > 0, weight, floor)
    if connection.mask is not None:
        bound = torch.where(connection.mask, bound, 0.0)
    connection.set_weight(torch.where(sign == 0, weight, bound))


def _root_mean_square(connection: Connection, weight: Tensor) -> Tensor:
    """Return the root mean square of the weights that exist, 1 where there are none but zeros."""
    squares = weight.square() if connection.mask is None else weight[connection.mask].square()
    size = squares.mean().sqrt() if squares.numel() else squares.new_zeros(())
    return torch.where(size > 0, size, 1.0)
