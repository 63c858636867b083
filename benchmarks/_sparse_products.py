"""The three products of a recurrent connection, dense and in compressed rows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import scipy.sparse
import torch

Product = Callable[[], Any]


def products(weight: np.ndarray, activity: np.ndarray, error: np.ndarray) -> dict[str, dict[str, Product]]:
    """Return by product and peer what computes it, each in the layout that suits it best.

    ``W z`` and ``W' g`` are of one time step, `activity` ``(pre, batch)`` and `error` ``(post, batch)``; the gradient
    is of all that exist in `weight`, from as many rows as there are samples in a batch.
    """
    dense, z, g = (torch.from_numpy(each) for each in (weight, activity, error))
    z_rows, g_rows = z.T.contiguous(), g.T.contiguous()
    rows = scipy.sparse.csr_array(weight)
    turned = scipy.sparse.csr_array(np.ascontiguousarray(weight.T))
    torch_rows, torch_turned = (_torch(each, weight.shape) for each in (rows, turned))
    flat, across, sampled = _compiled()
    one = activity.shape[1] == 1
    gather = flat if one else across
    z1, g1 = (activity[:, 0].copy(), error[:, 0].copy()) if one else (activity, error)
    return {
        "W z": {
            "dense": lambda: (z_rows @ dense.T).T,
            "torch": lambda: torch_rows @ z,
            "scipy": lambda: rows @ z1,
            "numba": lambda: gather(rows.indptr, rows.indices, rows.data, z1),
        },
        "W' g": {
            "dense": lambda: (g_rows @ dense).T,
            "torch": lambda: torch_turned @ g,
            "scipy": lambda: turned @ g1,
            "numba": lambda: gather(turned.indptr, turned.indices, turned.data, g1),
        },
        "gradient": {
            "dense": lambda: g @ z_rows,
            "numba": lambda: sampled(rows.indptr, rows.indices, error, activity),
        },
    }


def _torch(matrix: Any, shape: tuple[int, ...]) -> torch.Tensor:
    parts = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
    return torch.sparse_csr_tensor(*parts, size=shape, check_invariants=False)


@functools.cache
def _compiled() -> tuple[Any, Any, Any]:
    made = numba.njit(fastmath={"contract", "reassoc", "nsz"})
    return made(_flat), made(_across), made(_sampled)


def _flat(starts: Any, columns: Any, values: Any, activity: Any) -> Any:
    """Return ``W z`` for one sample: every row gathers what it needs."""
    out = np.empty(len(starts) - 1, values.dtype)
    for i in range(len(out)):
        total = values.dtype.type(0)
        for k in range(starts[i], starts[i + 1]):
            total += values[k] * activity[columns[k]]
        out[i] = total
    return out


def _across(starts: Any, columns: Any, values: Any, activity: Any) -> Any:
    """Return ``W z`` for a batch, which is contiguous."""
    out = np.zeros((len(starts) - 1, activity.shape[1]), values.dtype)
    for i in range(len(out)):
        for k in range(starts[i], starts[i + 1]):
            value, source = values[k], activity[columns[k]]
            for b in range(activity.shape[1]):
                out[i, b] += value * source[b]
    return out


def _sampled(starts: Any, columns: Any, error: Any, activity: Any) -> Any:
    """Return the entries of ``g z'`` that exist."""
    out = np.empty(len(columns), error.dtype)
    for i in range(len(starts) - 1):
        for k in range(starts[i], starts[i + 1]):
            total = error.dtype.type(0)
            source = activity[columns[k]]
            for b in range(error.shape[1]):
                total += error[i, b] * source[b]
            out[k] = total
    return out
