"""Labelled images, read from the two idx files of MNIST and its relatives."""

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

from neurotorch.data.idx import parse_idx, read_unpacked
from neurotorch.data.labels import Part, checked_indices, checked_labels, file_name


@dataclass(frozen=True, eq=False)  # tensors have no truth value
class Images:
    """Images of one size, each with a label.

    It is a PyTorch data set: ``images[i]`` is ``(pixels (row, column), label)``.

    Parameters
    ----------
    pixels : Tensor, (sample, row, column), uint8
        Grey levels 0..255.
    labels : Tensor, (sample,), int64
        Index of the class of each image.
    classes : tuple of str
        Names of the classes.
    name : str
        What the images are called.
    part : "train", "validation", "test", optional
        The official part of a data set that they are; training and splits refuse "test".
    provenance : mapping
        Paths and digests of the files they come from.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit, or a label is outside of the classes.
    """

    pixels: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    name: str = "images"
    part: Part | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.dtype != torch.uint8:
            raise ValueError(
                f"`pixels` has shape {tuple(self.pixels.shape)} and dtype {self.pixels.dtype}, but it must be (sample, "
                "row, column) of torch.uint8."
            )
        if self.labels.shape != self.pixels.shape[:1]:
            raise ValueError(
                f"There are {len(self.pixels)} images and labels of shape {tuple(self.labels.shape)}: give one label "
                "for each image. Do both files belong together?"
            )
        checked_labels(self.labels.numpy(), self.classes, f"`{self.name}`")
        object.__setattr__(self, "labels", self.labels.long())

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        place = range(len(self))[operator.index(index)]
        return self.pixels[place], int(self.labels[place])

    def select(self, indices: Sequence[int] | np.ndarray | Tensor) -> Images:
        """Return the images with these indices, in this order, or those where a mask is True."""
        rows = torch.from_numpy(checked_indices(indices, len(self)))
        return replace(self, pixels=self.pixels[rows], labels=self.labels[rows])

    def values(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return all images as numbers in 0..1, (sample, pixel), rows one after the other."""
        return self.pixels.flatten(1).to(dtype) / 255


def read_images(
    images: str | os.PathLike[str],
    labels: str | os.PathLike[str],
    *,
    classes: Sequence[str] | None = None,
    name: str | None = None,
) -> Images:
    """Return the images of two idx files, gzipped or not.

    Parameters
    ----------
    images
        File of (sample, row, column), unsigned bytes.
    labels
        File of (sample,), whole numbers.
    classes
        Names of the classes; their numbers up to the largest label unless given.
    name
        The name of the file of images unless given.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a file is damaged, its header does not fit its size, the two do not fit each other, or a label is outside of
        the classes.
    """
    pictures, answers = Path(images), Path(labels)
    return images_from(
        (pictures, read_unpacked(pictures)), (answers, read_unpacked(answers)), classes=classes, name=name
    )


def images_from(
    images: tuple[Path, bytes],
    labels: tuple[Path, bytes],
    *,
    classes: Sequence[str] | None = None,
    name: str | None = None,
) -> Images:
    """Return the images in the uncompressed bytes of two idx files, whose paths errors name."""
    pixels, answers = parse_idx(images[1], images[0]), parse_idx(labels[1], labels[0])
    if pixels.ndim != 3 or pixels.dtype != np.uint8:
        raise ValueError(
            f"{images[0]} holds values of shape {pixels.shape} and dtype {pixels.dtype}, but images are (sample, row, "
            "column) of unsigned bytes. Were the files of images and labels exchanged?"
        )
    values, names = checked_labels(answers, classes, str(labels[0]))
    if len(values) != len(pixels):
        raise ValueError(
            f"{images[0]} holds {len(pixels)} images and {labels[0]} {len(values)} labels: they are not files of the "
            "same part."
        )
    return Images(
        torch.from_numpy(pixels),
        torch.from_numpy(values),
        names,
        file_name(images[0]) if name is None else name,
        provenance={"paths": (str(images[0]), str(labels[0]))},
    )
