"""Labelled sequences of sensor values, such as the tactile letters of the Braille data."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurotorch.core.checks import check_positive
from neurotorch.data.labels import Part, checked_indices, checked_labels, file_name
from neurotorch.data.readers.contents import damaged
from neurotorch.data.readers.npz import read_npz

FIELDS = ("taxel", "length", "label", "repetition", "letters")


@dataclass(frozen=True, eq=False)  # tensors have no truth value
class Sequences:
    """Sequences of sensor values, each with a label.

    It is a PyTorch data set: ``sequences[i]`` is ``(values (time, channel), label)``.

    Parameters
    ----------
    values : Tensor, (sample, time, channel)
        The sensors; what comes after the end of a sequence is padding.
    labels : Tensor, (sample,), int64
        Index of the class of each sequence.
    classes : tuple of str
        Names of the classes.
    dt : float
        Seconds from one value to the next.
    lengths : Tensor, (sample,), int64
        Values before the padding.
    groups : Tensor, (sample,), int64, optional
        What samples share, such as the number of the repetition.
    name : str
        What the sequences are called.
    part : "train", "validation", "test", optional
        The part of a data set that they are; training and splits refuse "test".
    provenance : mapping
        Path of the file they come from.
    """

    values: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    dt: float
    lengths: Tensor
    groups: Tensor | None = None
    name: str = "sequences"
    part: Part | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_positive("dt", self.dt, "s")
        if self.values.ndim != 3:
            raise ValueError(f"`values` has shape {tuple(self.values.shape)}, but it must be (sample, time, channel).")
        samples, frames, _ = self.values.shape
        for what in ("labels", "lengths") if self.groups is None else ("labels", "lengths", "groups"):
            if getattr(self, what).shape != (samples,):
                raise ValueError(
                    f"`{what}` has shape {tuple(getattr(self, what).shape)}, but there are {samples} samples."
                )
        if samples and not (int(self.lengths.min()) >= 1 and int(self.lengths.max()) <= frames):
            raise ValueError(
                f"`lengths` is {int(self.lengths.min())} to {int(self.lengths.max())}, but must be 1 to {frames}."
            )
        checked_labels(self.labels.numpy(), self.classes, f"`{self.name}`")
        object.__setattr__(self, "labels", self.labels.long())

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        place = range(len(self))[operator.index(index)]
        return self.values[place], int(self.labels[place])

    def select(self, indices: Sequence[int] | np.ndarray | Tensor) -> Sequences:
        """Return the sequences with these indices, in this order, or those where a mask is True."""
        rows = torch.from_numpy(checked_indices(indices, len(self)))
        groups = None if self.groups is None else self.groups[rows]
        return replace(
            self, values=self.values[rows], labels=self.labels[rows], lengths=self.lengths[rows], groups=groups
        )


def read_braille(path: str | os.PathLike[str]) -> Sequences:
    """Return the tactile letters of an npz file with `taxel`, `length`, `label`, `repetition` and `letters`.

    The 12 sensors were read 40 times a second (Mueller-Cleve et al. 2022, doi:10.3389/fnins.2022.951164). `groups`
    holds the number of the repetition.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged or holds other arrays.
    """
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"There is no file {source}.")
    contents = read_npz(source)
    missing = [name for name in FIELDS if name not in contents]
    if missing:
        raise damaged(source, "the Braille letters", ValueError(f"it holds {list(contents)} and no {missing}"))
    taxel, length, label, repetition, letters = (contents[name].load() for name in FIELDS)
    labels, classes = checked_labels(label, [str(letter) for letter in letters], str(source))
    return Sequences(
        torch.from_numpy(taxel),
        torch.from_numpy(labels),
        classes,
        dt=1 / 40,
        lengths=torch.from_numpy(length.astype(np.int64)),
        groups=torch.from_numpy(repetition.astype(np.int64)),
        name=file_name(source),
        provenance={"paths": (str(source),)},
    )
