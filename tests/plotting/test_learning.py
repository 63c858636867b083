"""Learning curves."""

from __future__ import annotations

import numpy as np
import pytest

from neurotorch.plotting import plot_learning
from tests.plotting import fake


def test_losses_and_scores_are_drawn_with_the_epoch_of_the_best_score():
    history = fake.history()
    upper, lower = plot_learning(history, scores=("r2",), score_label="validation R²")
    assert upper.get_title(loc="left") == "best epoch: 20 (r2 0.8)"
    assert (upper.get_ylabel(), lower.get_ylabel(), lower.get_xlabel()) == ("loss", "validation R²", "epoch")
    assert upper.get_yscale() == "log"
    line = lower.get_lines()[0]
    np.testing.assert_array_equal(line.get_xdata(), [5, 10, 15, 20, 25, 30])
    assert [list(each.get_data()) for each in lower.get_lines()[-1:]] == [[[20], [0.8]]]


def test_without_scores_the_smallest_loss_is_the_best():
    history = fake.history()
    history.loc[11, "loss"] = 1e-9
    (ax,) = plot_learning(history)
    assert ax.get_title(loc="left") == "best epoch: 12 (loss 1e\N{MINUS SIGN}09)"


def test_a_start_that_no_epoch_improved_is_said_to_be_the_best():
    (ax,) = plot_learning(fake.history(), best_epoch=0)
    assert ax.get_title(loc="left") == "best: the start, before any epoch"
    assert not [line for line in ax.get_lines() if line.get_linestyle() == ":"]


def test_the_best_epoch_can_be_told():
    (ax,) = plot_learning(fake.history(), best_epoch=3)
    assert ax.get_title(loc="left").startswith("best epoch: 3 (loss ")


@pytest.mark.parametrize(("losses", "scale"), [([1.0, 0.9], "linear"), ([1.0, 0.01], "log"), ([1.0, -0.01], "linear")])
def test_the_loss_is_logarithmic_where_that_makes_sense(losses, scale):
    history = fake.history(2)
    history["loss"] = losses
    assert plot_learning(history)[0].get_yscale() == scale


def test_scores_far_below_are_counted_and_not_shown():
    history = fake.history()
    history.loc[4, "r2"] = -500.0
    _, lower = plot_learning(history, scores=("r2",))
    assert lower.get_ylim()[0] == -1.0
    assert lower.get_title(loc="right") == "1 value below \N{MINUS SIGN}1.0 not shown"


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_fit_of_a_few_epochs_and_scores_that_are_all_nan(epochs):
    upper, lower = plot_learning(fake.history(epochs), scores=("r2",))
    upper.figure.draw_without_rendering()
    assert upper.get_title(loc="left") == ""
    assert len(lower.get_lines()[0].get_xdata()) == 0


def test_several_losses_are_named():
    history = fake.history()
    history["validation_loss"] = 2 * history["loss"]
    (ax,) = plot_learning(history, losses=("loss", "validation_loss"))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["loss", "validation_loss"]


def test_a_missing_column_or_row_is_an_error():
    with pytest.raises(ValueError, match=r"no column 'los'; it has .* Did you mean 'loss'"):
        plot_learning(fake.history(), losses=("los",))
    with pytest.raises(ValueError, match="no rows"):
        plot_learning(fake.history().head(0))
