r"""Scores of a classifier: pure functions on labels ``(sample,)`` and probabilities ``(sample, class)``.

The confusion matrix ``M`` counts samples of class `i` (row) that were taken for class `j` (column).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurotorch.core.checks import check_count

Array = NDArray[np.float64]
BINS = 15


def accuracy(labels: ArrayLike, predicted: ArrayLike) -> float:
    """Return the share of samples whose class was named.

    Raises
    ------
    ValueError
        If there are no samples, or not as many predictions as labels.
    """
    true, named = _pair(labels, predicted)
    return float((true == named).mean())


def confusion_matrix(labels: ArrayLike, predicted: ArrayLike, *, classes: int) -> NDArray[np.int64]:
    """Return how many samples of class `i` (row) were taken for class `j` (column), ``(class, class)``.

    Raises
    ------
    ValueError
        As `accuracy`, and if a label or prediction is not in ``0..classes - 1``.
    """
    true, named = _pair(labels, predicted)
    check_count("classes", classes)
    _check_classes("labels", true, classes)
    _check_classes("predicted", named, classes)
    matrix: NDArray[np.int64] = np.bincount(true * classes + named, minlength=classes**2).reshape(classes, classes)
    return matrix


def precision(confusion: ArrayLike) -> Array:
    """Return ``M_jj / sum_i M_ij`` for each class: the share of those taken for it that are; NaN where none was."""
    matrix = _square(confusion)
    return _ratio(np.diag(matrix), matrix.sum(axis=0))


def recall(confusion: ArrayLike) -> Array:
    """Return ``M_ii / sum_j M_ij`` for each class: the share of its samples that were found; NaN where it has none."""
    matrix = _square(confusion)
    return _ratio(np.diag(matrix), matrix.sum(axis=1))


def f1(confusion: ArrayLike) -> Array:
    """Return ``2 M_ii / (sum_j M_ij + sum_j M_ji)``, the harmonic mean of precision and recall, for each class.

    NaN where a class neither occurs nor was named.
    """
    matrix = _square(confusion)
    return _ratio(2 * np.diag(matrix), matrix.sum(axis=0) + matrix.sum(axis=1))


def calibration_error(labels: ArrayLike, probabilities: ArrayLike, *, bins: int = BINS) -> float:
    r"""Return the expected calibration error: how far confidence is from accuracy.

    The confidence ``c`` of a sample is its largest probability. With samples in `bins` equal intervals of it,
    ``(k/bins, (k+1)/bins]``::

        sum_k n_k / n |accuracy_k - mean confidence_k|

    Raises
    ------
    ValueError
        If the probabilities are not ``(sample, class)``, rows are not at least 0 and of sum 1 (to 1e-3), or a label is
        no class.

    References
    ----------
    Guo et al. 2017, doi:10.48550/arXiv.1706.04599, equation 3.
    """
    chances = np.asarray(probabilities, dtype=np.float64)
    if chances.ndim != 2:
        raise ValueError(f"`probabilities` are {chances.shape}, but they must be (sample, class).")
    if not (chances >= 0).all() or not np.allclose(chances.sum(axis=1), 1, atol=1e-3):
        raise ValueError("`probabilities` has rows that are not at least 0 with sum 1: hand in a softmax.")
    true, named = _pair(labels, chances.argmax(axis=1))
    _check_classes("labels", true, chances.shape[1])
    confidence = chances.max(axis=1)
    place = np.clip(np.ceil(confidence * check_count("bins", bins)).astype(np.int64) - 1, 0, bins - 1)
    gap = np.bincount(place, weights=(true == named) - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(true))


def _pair(labels: ArrayLike, predicted: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    true, named = np.asarray(labels), np.asarray(predicted)
    for name, values in (("labels", true), ("predicted", named)):
        if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
            raise ValueError(f"`{name}` are {values.dtype} {values.shape}, but they must be whole numbers (sample,).")
    if len(true) != len(named):
        raise ValueError(f"There are {len(true)} labels but {len(named)} predictions.")
    if not len(true):
        raise ValueError("There are no samples to score.")
    return true.astype(np.int64), named.astype(np.int64)


def _check_classes(name: str, values: NDArray[np.int64], classes: int) -> None:
    if values.min() < 0 or values.max() >= classes:
        raise ValueError(f"`{name}` reach from {values.min()} to {values.max()}, but classes are 0 to {classes - 1}.")


def _square(confusion: ArrayLike) -> Array:
    matrix = np.asarray(confusion, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"`confusion` is {matrix.shape}, but it must be (class, class): see `confusion_matrix`.")
    return matrix


def _ratio(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
