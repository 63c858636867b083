"""The figures of a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neurotorch.plotting.style import Figure
    from neurotorch.runs.classification.classify import Classification


def classification_figures(result: Classification) -> dict[str, Figure]:
    """Return the figures by file name."""
    from neurotorch.plotting import plot_learning

    history = result.history.to_frame()
    axes = plot_learning(
        history, scores=["validation_accuracy"], score_label="validation accuracy", best_epoch=result.epoch
    )
    return {"learning": axes[0].figure}  # type: ignore[dict-item]
