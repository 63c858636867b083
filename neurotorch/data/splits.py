"""Splits of labelled samples by seed: validation from training, folds, one group left out.

The test part of a data set is for the one score at the end: `refuse_test` is what splits and training say to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from neurotorch.core.checks import check_count, check_fraction
from neurotorch.core.seeds import numpy_generator
from neurotorch.data.labels import Labelled

STREAM = "split"


def refuse_test(data: Labelled | Tensor, use: str) -> None:
    """Raise if `data` are the test part of a data set; `use` says for what they were to be used.

    Raises
    ------
    ValueError
        If ``data.part`` is "test".
    """
    if not isinstance(data, Tensor) and data.part == "test":
        raise ValueError(
            f"These are the {len(data.labels)} samples of the test part, which is scored once at the end and not used "
            f"for {use}: use the training part, or a split of it. (Put together with the training part, for a cross-"
            "validation over all samples, it is no test part any more.)"
        )


def split(
    data: Labelled | Tensor,
    *,
    validation: float,
    seed: int,
    groups: Tensor | None = None,
    stratify: bool = True,
) -> tuple[Tensor, Tensor]:
    """Return the indices of the samples for training and for validation, each in rising order.

    Parameters
    ----------
    data
        The training part, or its labels (sample,).
    validation
        Fraction for validation, between 0 and 1.
    seed
        The same seed gives the same split.
    groups : Tensor, (sample,), optional
        Such as speakers: all samples of a group go to the same side. As many groups as come nearest to the fraction
        of groups, and at least one on either side, go to validation; classes are then not balanced.
    stratify
        Take the fraction from every class, to one sample; one sample of each stays for training. False: from all
        samples together.

    Raises
    ------
    ValueError
        If `data` are the test part, the fraction takes no sample, or there are fewer than two groups.
    """
    refuse_test(data, "validation")
    labels = _labels(data)
    random = numpy_generator(seed, STREAM)
    if not 0 < check_fraction("validation", validation) < 1:
        raise ValueError(f"`validation` is {validation:g}, but it must lie between 0 and 1.")
    if groups is not None:
        members = _groups(groups, len(labels))
        names = random.permutation(np.unique(members))
        if len(names) < 2:
            raise ValueError("`groups` holds one group, but one side of a split by groups needs one each.")
        taken = min(max(round(validation * len(names)), 1), len(names) - 1)
        held = np.isin(members, names[:taken])
    else:
        held = np.zeros(len(labels), dtype=bool)
        for place in _rows_by_class(labels, stratify):
            held[random.permutation(place)[: min(round(validation * len(place)), len(place) - 1)]] = True
    if not held.any():
        raise ValueError(
            f"A validation fraction of {validation:g} of {len(labels)} samples takes none for validation: use a larger "
            "one, or `stratify=False` if it takes less than one sample of every class."
        )
    return torch.from_numpy(np.flatnonzero(~held)), torch.from_numpy(np.flatnonzero(held))


def folds(
    data: Labelled | Tensor, count: int, *, seed: int, groups: Tensor | None = None
) -> tuple[tuple[Tensor, Tensor], ...]:
    """Return for each fold the indices outside and inside of it: every sample is inside of exactly one.

    Parameters
    ----------
    data
        Samples that are no test part, or their labels (sample,).
    count
        Number of folds.
    seed
        The same seed gives the same folds.
    groups : Tensor, (sample,), optional
        Such as speakers: the folds are balanced in every pair of class and group, which makes them balanced in either.
        (To leave groups *out*, see `leave_one_group_out`.)

    Raises
    ------
    ValueError
        If `data` are the test part, or there are fewer samples than folds.
    """
    refuse_test(data, "cross-validation")
    labels = _labels(data)
    if check_count("count", count, least=2) > len(labels):
        raise ValueError(f"`count` is {count} folds, but there are {len(labels)} samples.")
    random = numpy_generator(seed, "folds")
    members = np.zeros_like(labels) if groups is None else _groups(groups, len(labels))
    # Dealt out in turn through sorted strata, so that sizes of folds differ by one, in each stratum and in all.
    order = random.permutation(len(labels))
    order = order[np.lexsort((members[order], labels[order]))]
    fold = np.empty(len(labels), dtype=np.int64)
    fold[order] = np.arange(len(labels)) % count
    return tuple(_pair(fold == index) for index in range(count))


def leave_one_group_out(data: Labelled | Tensor, groups: Tensor) -> tuple[tuple[int, Tensor, Tensor], ...]:
    """Return for each group, such as a speaker, its number and the indices outside and inside of it.

    Raises
    ------
    ValueError
        If `data` are the test part, or there are fewer than two groups.
    """
    refuse_test(data, "cross-validation")
    members = _groups(groups, len(_labels(data)))
    names = np.unique(members)
    if len(names) < 2:
        raise ValueError("`groups` holds one group: with it left out nothing is left.")
    return tuple((int(name), *_pair(members == name)) for name in names)


def _pair(inside: np.ndarray) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(np.flatnonzero(~inside)), torch.from_numpy(np.flatnonzero(inside))


def _rows_by_class(labels: np.ndarray, stratify: bool) -> Sequence[np.ndarray]:
    return [np.flatnonzero(labels == label) for label in np.unique(labels)] if stratify else [np.arange(len(labels))]


def _labels(data: Labelled | Tensor) -> np.ndarray:
    labels = data if isinstance(data, Tensor) else data.labels
    if labels.ndim != 1 or len(labels) < 2:
        raise ValueError(f"`data` has labels of shape {tuple(labels.shape)}, but a split needs at least two samples.")
    return labels.numpy()


def _groups(groups: Tensor, samples: int) -> np.ndarray:
    if groups.shape != (samples,):
        raise ValueError(f"`groups` has shape {tuple(groups.shape)}, but there are {samples} samples: give one each.")
    return groups.numpy()
