"""The figures of a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from neurotorch.evaluation import confusion_matrix
from neurotorch.runs.classification.blueprint import READOUT

if TYPE_CHECKING:
    from neurotorch.plotting.style import Figure
    from neurotorch.runs.classification.classify import Classification

ACCURACY = "validation_accuracy"


def classification_figures(result: Classification) -> dict[str, Figure]:
    """Return the figures by file name."""
    from neurotorch.plotting import plot_confusion, plot_learning

    history, classes = result.history.to_frame(), result.task.train.classes
    learning = plot_learning(history, scores=[ACCURACY], score_label="validation accuracy")
    counts = confusion_matrix(result.test.labels, result.test.probabilities.argmax(axis=1), classes=len(classes))
    confusion = plot_confusion(counts, classes=classes)
    figures = {"learning": learning[0].figure, "confusion": confusion.figure, "sample": sample_figure(result)}
    return figures  # type: ignore[return-value]


@torch.no_grad()
def sample_figure(result: Classification, index: int = 0) -> Figure:
    """Return what the network was shown of a test sample, what it fired and what it made of it."""
    from neurotorch.plotting import plot_input_output

    samples = result.example
    batch = samples.batch(torch.tensor([index]), generator=torch.Generator())
    run = result.network.run(batch.inputs)
    length = None if samples.lengths is None else int(samples.lengths[index])
    hidden = [name for name in result.network.layers if name != READOUT][-1]
    layers = dict(zip(result.network.layers, run.runs, strict=True))
    picture = samples.presentation.picture(samples.values[index])
    assert batch.inputs is not None
    axes = plot_input_output(
        batch.inputs[:length, 0].numpy(),
        layers[hidden].emitted[:length, 0].numpy(),
        dt=result.network.dt,
        readout=run.output[:length, 0].numpy(),
        classes=samples.classes,
        label=int(samples.labels[index]),
        picture=None if picture is None else picture.numpy(),
    )
    return axes[0].figure  # type: ignore[return-value]
