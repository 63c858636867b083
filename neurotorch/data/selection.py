"""How neurons are picked from a recording: by index, by name or by a boolean mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurotorch.core.checks import nearest

Selection = str | int | Sequence[str] | Sequence[int] | Sequence[bool] | np.ndarray


def selected(neurons: tuple[str, ...], selection: Selection) -> np.ndarray:
    """Return the indices of the neurons that `selection` means, in the order it names them.

    Parameters
    ----------
    neurons : tuple of str
        The names there are.
    selection : str, int, or a sequence or array of them, or a mask of bool
        Names, indices, or one bool per neuron.

    Returns
    -------
    ndarray of int, (selected,)

    Raises
    ------
    ValueError
        If nothing is selected, a neuron is selected twice, there is no such neuron, or the mask has the wrong length.
    TypeError
        If the selection is something else.
    """
    chosen = np.atleast_1d(np.asarray(selection))
    if chosen.ndim != 1:
        raise TypeError(f"The selection has shape {chosen.shape}, but it must be one list of neurons.")
    if chosen.dtype == np.bool_:
        if len(chosen) != len(neurons):
            raise ValueError(
                f"The mask has {len(chosen)} entries, but there are {len(neurons)} neurons: give one each."
            )
        indices = np.flatnonzero(chosen)
    elif len(chosen) == 0:
        indices = np.zeros(0, dtype=np.int64)
    elif chosen.dtype.kind in "UST":
        indices = np.array([_index_of(neurons, str(name)) for name in chosen])
    elif chosen.dtype.kind in "iu":
        indices = np.array([_index_in_range(neurons, int(index)) for index in chosen])
    else:
        raise TypeError(f"The selection {selection!r} is neither names, indices nor a mask of bool.")
    if len(indices) == 0:
        raise ValueError(f"The selection is empty, but at least one of the {len(neurons)} neurons must stay.")
    values, counts = np.unique(indices, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"Neuron {neurons[int(values[counts > 1][0])]!r} is selected more than once.")
    return indices


def _index_of(neurons: tuple[str, ...], name: str) -> int:
    try:
        return neurons.index(name)
    except ValueError:
        raise ValueError(f"There is no neuron {name!r} among the {len(neurons)}.{nearest(name, neurons)}") from None


def _index_in_range(neurons: tuple[str, ...], index: int) -> int:
    if not -len(neurons) <= index < len(neurons):
        raise ValueError(f"There is no neuron with index {index}: there are {len(neurons)}, counted from 0.")
    return index % len(neurons)
