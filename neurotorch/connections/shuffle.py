"""Degree-preserving shuffles: what is left of a structure when only how many connections each neuron has is kept."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neurotorch.core.checks import as_tensor, check_count, check_finite, check_generator

SWAPS = 10
AT_ONCE = 2**20
"""Attempted moves whose random numbers are drawn together."""


def shuffle_degrees(
    matrix: Tensor,
    *,
    types: Sequence[float] | Tensor | None = None,
    recurrent: bool | None = None,
    swaps: int = SWAPS,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return a mask or weights ``(post, pre)`` with connections moved at random, in- and out-degrees kept exactly.

    A chain of double swaps: of two connections drawn at random, ``a -> b`` and ``c -> d`` become ``a -> d`` and
    ``c -> b``, unless one of these exists or is a self-connection. In place of every eighth swap three connections are
    drawn; if they are a directed triangle without connections the other way, it is turned round, which no double swap
    can do. All matrices of these degrees are then equally likely in the limit. A weight moves with its presynaptic
    neuron: the multiset of values in each column, and with it Dale's law, is kept; sums over rows are not.

    Parameters
    ----------
    matrix : (post, pre)
        A mask (bool), or weights, which exist where they are not zero. It stays as it is.
    types : (pre,), optional
        Of the presynaptic neurons, such as ``dale.signs``: connections are swapped within a type, so that each neuron
        keeps its number of inputs from each type.
    recurrent : bool, optional
        Whether rows are the same neurons as columns, as in a square matrix unless given. Then self-connections stay as
        they are.
    swaps : int
        Swaps per connection that are aimed at, 10: ``swaps / (1 - density)^2`` are tried for each connection, as that
        is the share that succeeds where degrees are equal. Attempts are counted and not successes, or matrices with
        many neighbours would be favoured.
    generator : torch.Generator, optional
        Where the randomness comes from; torch's own unless given.

    Raises
    ------
    ValueError
        If `matrix` is no matrix, is not finite, or `types` do not fit its columns.

    Notes
    -----
    A matrix that its degrees determine, such as a full one, comes back as it was.

    References
    ----------
    Maslov & Sneppen (2002), Science 296, 910-913, doi:10.1126/science.1065103. The triangles: Rao, Jana &
    Bandyopadhyay (1996), Sankhya A 58, 225-242.
    """
    table = _checked(matrix)
    post, pre = table.shape
    own = post == pre if recurrent is None else recurrent
    if own and post != pre:
        raise ValueError(f"`matrix` has shape {(post, pre)}, but a recurrent one is square: pass `recurrent=False`.")
    exists = (table != 0).cpu().numpy()
    rows, columns = _moving(exists, own)
    kinds = _checked_types(types, pre)[columns]
    sources = rows.copy()
    for kind in np.unique(kinds):
        chosen = kinds == kind
        moved, senders = rows[chosen], columns[chosen]
        density = len(moved) / max(1, post * len(np.unique(senders)))
        for picks in _picks(len(moved), _attempts(len(moved), density, swaps), generator):
            _compiled()[0](exists, moved, senders, picks, own)
        rows[chosen] = moved
    return _moved(table, sources, rows, columns)


def shuffle_degrees_symmetric(
    matrix: Tensor, *, swaps: int = SWAPS, generator: torch.Generator | None = None
) -> Tensor:
    """Return a symmetric mask or symmetric weights, such as gap junctions, shuffled with all degrees kept exactly.

    As `shuffle_degrees`, for connections without a direction: ``{a, b}`` and ``{c, d}`` become ``{a, d}`` and
    ``{c, b}``, or ``{a, c}`` and ``{b, d}``, either with probability 1/2. A weight moves with one of its two ends;
    neurons keep their number of partners and not their summed weight. The diagonal stays as it is.

    Parameters
    ----------
    matrix : (neuron, neuron)
        Symmetric: a mask (bool), or weights, which exist where they are not zero.
    swaps, generator
        As for `shuffle_degrees`.

    Raises
    ------
    ValueError
        If `matrix` is not a symmetric matrix of finite numbers.
    """
    table = _checked(matrix)
    if table.shape[0] != table.shape[1] or not torch.equal(table, table.T):
        raise ValueError(
            f"`matrix` of shape {tuple(table.shape)} is not symmetric: unite both directions (`matrix | matrix.T` for "
            "a mask), or shuffle directed connections with `shuffle_degrees`."
        )
    exists = (table != 0).cpu().numpy()
    lower = np.tril(exists, -1)
    first, second = (ends.astype(np.int64) for ends in np.nonzero(lower))
    before = first.copy(), second.copy()
    density = len(first) / max(1, lower.size / 2)
    for picks in _picks(len(first), _attempts(len(first), density, swaps), generator):
        _compiled()[1](exists, first, second, picks)
    shuffled = torch.zeros_like(table)
    shuffled.diagonal().copy_(table.diagonal())
    values = table[before]
    shuffled[first, second] = values
    shuffled[second, first] = values
    return shuffled


def _checked(matrix: Tensor) -> Tensor:
    table = as_tensor("matrix", matrix)
    if table.ndim != 2 or not table.numel():
        raise ValueError(f"`matrix` has shape {tuple(table.shape)}, but it must be (post, pre).")
    check_finite("matrix", table)
    return table


def _checked_types(types: Sequence[float] | Tensor | None, pre: int) -> NDArray[np.float64]:
    found = np.zeros(pre) if types is None else as_tensor("types", types).cpu().double().numpy()
    if found.shape != (pre,):
        raise ValueError(
            f"`types` has shape {found.shape}, but there are {pre} presynaptic neurons (columns): one type for each."
        )
    return found


def _moving(exists: NDArray[np.bool_], own: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows and columns of the connections that can move."""
    places = exists & ~np.eye(len(exists), dtype=bool) if own else exists
    rows, columns = np.nonzero(places)
    return rows.astype(np.int64), columns.astype(np.int64)


def _attempts(connections: int, density: float, swaps: int) -> int:
    check_count("swaps", swaps)
    # A matrix without room cannot change; the bound keeps nearly full ones from trying for ever.
    return 0 if connections < 2 else math.ceil(swaps * connections / max(1 - density, 0.02) ** 2)


def _picks(connections: int, attempts: int, generator: torch.Generator | None) -> Any:
    """Yield blocks ``(attempt, 4)`` of random numbers: three connections, and a coin."""
    device = check_generator(generator)
    for first in range(0, attempts, AT_ONCE):
        shape = (min(AT_ONCE, attempts - first), 4)
        picks = torch.randint(connections, shape, generator=generator, device=device).cpu().numpy()
        coins = torch.randint(2, shape[:1], generator=generator, device=device).cpu().numpy()
        picks[:, 3] = coins
        yield picks


def _moved(table: Tensor, before: Any, after: Any, columns: Any) -> Tensor:
    values = table[before, columns]
    shuffled = table.clone()
    shuffled[before, columns] = torch.zeros((), dtype=table.dtype, device=table.device)
    shuffled[after, columns] = values
    return shuffled


@functools.cache
def _compiled() -> tuple[Callable[..., None], Callable[..., None]]:
    import numba

    return numba.njit(cache=True)(_swap), numba.njit(cache=True)(_swap_symmetric)


def _swap(exists: Any, rows: Any, columns: Any, picks: Any, own: bool) -> None:
    """Make the moves in `picks` in place; connection `k` goes from ``columns[k]``, which stays, to ``rows[k]``."""
    for attempt in range(len(picks)):
        i, j, k = picks[attempt, 0], picks[attempt, 1], picks[attempt, 2]
        a, b, c, d = columns[i], rows[i], columns[j], rows[j]
        if attempt % 8 == 7 and own:
            triangle = b == c and d == columns[k] and rows[k] == a and a != b and b != d and d != a
            if triangle and not (exists[a, b] or exists[b, d] or exists[d, a]):
                exists[b, a] = exists[d, b] = exists[a, d] = False
                exists[a, b] = exists[b, d] = exists[d, a] = True
                rows[i], rows[j], rows[k] = d, a, b
            continue
        if (own and (a == d or c == b)) or exists[d, a] or exists[b, c]:
            continue
        exists[b, a] = exists[d, c] = False
        exists[d, a] = exists[b, c] = True
        rows[i], rows[j] = d, b


def _swap_symmetric(exists: Any, first: Any, second: Any, picks: Any) -> None:
    """Make the moves in `picks` in place; connection `k` is between ``first[k]`` and ``second[k]``."""
    for attempt in range(len(picks)):
        i, j = picks[attempt, 0], picks[attempt, 1]
        a, b, c, d = first[i], second[i], first[j], second[j]
        if picks[attempt, 3]:
            c, d = d, c
        if a == d or c == b or exists[d, a] or exists[b, c]:
            continue
        exists[b, a] = exists[a, b] = exists[d, c] = exists[c, d] = False
        exists[d, a] = exists[a, d] = exists[b, c] = exists[c, b] = True
        first[i], second[i], first[j], second[j] = a, d, c, b
