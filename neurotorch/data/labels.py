"""Labels of samples and the names of their classes, checked when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import numpy as np
from torch import Tensor

Part: TypeAlias = Literal["train", "validation", "test"]


class Labelled(Protocol):
    """Samples with a label each, and the part of a data set that they are."""

    @property
    def labels(self) -> Tensor:
        """(sample,) int64."""
        ...

    @property
    def part(self) -> Part | None:
        """The official part they are, or None: parts of one's own, or put together."""
        ...


def checked_labels(labels: np.ndarray, classes: Sequence[str] | None, where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels (sample,) as int64 and the names of the classes, "0", "1", ... unless they are given.

    Raises
    ------
    ValueError
        If labels are no list of whole numbers of at least 0, or one of them has no class; the first is named.
    """
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"The labels of {where} have shape {labels.shape} and dtype {labels.dtype}, but they must be one whole "
            "number for each sample."
        )
    values = labels.astype(np.int64)
    names = tuple(str(index) for index in range(int(values.max(initial=-1)) + 1)) if classes is None else tuple(classes)
    wrong = np.flatnonzero((values < 0) | (values >= len(names)))
    if len(wrong):
        raise ValueError(
            f"Sample {wrong[0]} of {where} has the label {values[wrong[0]]}, and {len(wrong)} samples have a label "
            f"outside of the {len(names)} classes 0..{len(names) - 1}: give all `classes`, or correct the labels."
        )
    return values, names


def checked_indices(indices: object, samples: int) -> np.ndarray:
    """Return indices of samples (selected,) as int64, from numbers or from a mask of bool (sample,).

    Raises
    ------
    IndexError
        If there is no such sample.
    ValueError
        If it is neither, or a mask of another length.
    """
    chosen = np.asarray(indices)
    if chosen.dtype == np.bool_:
        if chosen.shape != (samples,):
            raise ValueError(f"The mask has shape {chosen.shape}, but there are {samples} samples: give one bool each.")
        return np.flatnonzero(chosen)
    if chosen.size == 0:
        chosen = chosen.astype(np.int64)
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
        raise ValueError(
            f"`indices` has shape {chosen.shape} and dtype {chosen.dtype}, but it must be a list of whole numbers or a "
            "mask of bool."
        )
    if chosen.size and not (int(chosen.min()) >= 0 and int(chosen.max()) < samples):
        raise IndexError(f"`indices` reaches from {chosen.min()} to {chosen.max()}, but samples are 0..{samples - 1}.")
    return chosen.astype(np.int64)


def file_name(path: Path) -> str:
    """Return the name of a file without its endings, for data that nobody named."""
    return path.name.partition(".")[0]
