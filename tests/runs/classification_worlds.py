"""Small data sets with a known answer, for classifiers."""

from __future__ import annotations

import numpy as np
import torch

from neurotorch.data import Images
from neurotorch.learning import BPTT
from neurotorch.runs.classification import (
    ClassificationTask,
    ClassifierBlueprint,
    ClassifierPlan,
    ImagePresentation,
)

CLASSES = ("bar", "dot", "edge")
SIDE = 5
PLAN = ClassifierPlan(BPTT, epochs=3, batch_size=16, learning_rate=0.02, validation=0.2)
BLUEPRINT = ClassifierBlueprint(units=(12,))


def images(samples: int, *, seed: int, part=None) -> Images:
    """Noisy copies of one random pattern for each class."""
    patterns = np.random.default_rng(0).integers(0, 200, (len(CLASSES), SIDE, SIDE))
    random = np.random.default_rng(seed)
    labels = random.integers(0, len(CLASSES), samples)
    pixels = np.clip(patterns[labels] + random.normal(0, 30, (samples, SIDE, SIDE)), 0, 255).astype(np.uint8)
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels), CLASSES, name="patterns", part=part)


class CountingTest:
    """Opens the test part, and counts how often."""

    def __init__(self, samples: int = 60) -> None:
        self.samples, self.opened = samples, 0

    def __call__(self) -> Images:
        self.opened += 1
        return images(self.samples, seed=2, part="test")


def task(open_test=None, presentation: ImagePresentation | None = None) -> ClassificationTask:
    """The task of telling the patterns apart."""
    return ClassificationTask(
        "patterns", images(200, seed=1, part="train"), open_test or CountingTest(), presentation or ImagePresentation()
    )
