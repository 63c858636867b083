"""Scores of classifiers against scikit-learn, and by hand."""

import numpy as np
import pytest
from sklearn import metrics

from neurotorch.evaluation import accuracy, calibration_error, confusion_matrix, f1, precision, recall

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 5, 300)
PREDICTED = np.where(RNG.random(300) < 0.7, LABELS, RNG.integers(0, 5, 300))


def test_scores_are_those_of_scikit_learn():
    matrix = confusion_matrix(LABELS, PREDICTED, classes=5)
    np.testing.assert_array_equal(matrix, metrics.confusion_matrix(LABELS, PREDICTED))
    assert accuracy(LABELS, PREDICTED) == metrics.accuracy_score(LABELS, PREDICTED)
    wanted = metrics.precision_recall_fscore_support(LABELS, PREDICTED)
    for found, expected in zip((precision(matrix), recall(matrix), f1(matrix)), wanted[:3], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_what_is_not_defined_is_nan():
    matrix = confusion_matrix([0, 0, 1], [0, 1, 1], classes=4)
    np.testing.assert_array_equal(np.isnan(recall(matrix)), [False, False, True, True])
    np.testing.assert_array_equal(np.isnan(f1(matrix)), [False, False, True, True])
    np.testing.assert_array_equal(precision(matrix), [1, 0.5, np.nan, np.nan])


def test_calibration_error_by_hand():
    # Two samples of confidence 0.9, one right; two of 0.6, both right: (2 |0.5 - 0.9| + 2 |1 - 0.6|) / 4.
    probabilities = [[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]]
    assert calibration_error([0, 1, 1, 1], probabilities, bins=10) == pytest.approx(0.4)


def test_a_calibrated_classifier_has_a_small_calibration_error():
    confidence = RNG.uniform(0.5, 1.0, 200_000)
    labels = (RNG.random(200_000) > confidence).astype(int)
    found = calibration_error(labels, np.stack([confidence, 1 - confidence], axis=1))
    assert found < 0.01  # eight bins of 25,000 samples: a standard error of 0.003 each


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: accuracy([], []), "whole numbers|no samples"),
        (lambda: accuracy(np.zeros(0, int), np.zeros(0, int)), "no samples"),
        (lambda: accuracy([0, 1], [0]), "2 labels but 1 predictions"),
        (lambda: accuracy([0.5], [0]), "whole numbers"),
        (lambda: confusion_matrix([0, 3], [0, 1], classes=3), "`labels` reach from 0 to 3, but classes are 0 to 2"),
        (lambda: precision(np.zeros((2, 3))), "must be \\(class, class\\)"),
        (lambda: calibration_error([0], [[0.5, 0.7]]), "hand in a softmax"),
        (lambda: calibration_error([2], [[0.5, 0.5]]), "`labels` reach from 2 to 2, but classes are 0 to 1"),
        (lambda: calibration_error([0], [0.5]), "must be \\(sample, class\\)"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
