"""Confusion matrices."""

from __future__ import annotations

import numpy as np
import pytest

from neurotorch.plotting import plot_confusion

COUNTS = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]])


def test_colours_are_fractions_of_the_true_class_and_numbers_are_counts():
    ax = plot_confusion(COUNTS, classes=("a", "b", "c"))
    (image,) = ax.images
    np.testing.assert_allclose(image.get_array(), [[0.8, 0.2, 0], [0.25, 0.75, 0], [0, 0, 0]])
    assert {(text.get_position(), text.get_text()) for text in ax.texts} == {
        ((0, 0), "8"), ((1, 0), "2"), ((0, 1), "1"), ((1, 1), "3"),
    }  # fmt: skip
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]
    assert ax.get_title("left") == "accuracy 0.786 of 14 samples"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    # The first class is at the top.
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_many_classes_have_no_numbers():
    assert not plot_confusion(np.ones((35, 35))).texts


@pytest.mark.parametrize(
    ("counts", "classes", "told"),
    [
        (np.zeros((2, 3)), None, r"shape \(2, 3\), but it must be \(true, predicted\)"),
        (np.zeros((0, 0)), None, "of equal size"),
        (-np.eye(2), None, "must count samples"),
        (np.eye(2) * np.nan, None, "must count samples"),
        (np.eye(2), ("a",), "2 classes, but `classes` names 1"),
    ],
)
def test_what_is_no_confusion_matrix_is_refused(counts, classes, told):
    with pytest.raises(ValueError, match=told):
        plot_confusion(counts, classes=classes)
