"""What needs no network: the largest class, and a linear classifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurotorch.core.seeds import torch_generator
from neurotorch.runs.classification.samples import LabelledSamples

DECAYS = (1e-3, 1e-1, 1.0)
EPOCHS, BATCH, RATE = 3, 128, 3e-3
LEAST_UPDATES = 300


class LinearBaseline:
    """Softmax regression on the features of a presentation, its weight decay chosen on the validation part.

    Features are shifted by their mean and divided by one number, the root of their mean variance, on the training part.
    """

    def __init__(self, train: LabelledSamples, validation: LabelledSamples, *, seed: int) -> None:
        features = train.presentation.features(train)
        self._shift = features.mean(0)
        self._scale = features.var(0).mean().sqrt().clamp(min=1e-12)
        known = self._scaled(features)
        fitted = {decay: _softmax_regression(known, train.labels, len(train.classes), decay, seed) for decay in DECAYS}
        unknown = self._scaled(validation.presentation.features(validation))
        self.decay = max(DECAYS, key=lambda decay: _accuracy(fitted[decay], unknown, validation.labels))
        self._model = fitted[self.decay]

    def accuracy(self, samples: LabelledSamples) -> float:
        """Return the share of samples whose class it names."""
        return _accuracy(self._model, self._scaled(samples.presentation.features(samples)), samples.labels)

    def _scaled(self, features: Tensor) -> Tensor:
        return ((features - self._shift) / self._scale).to(torch.get_default_dtype())


def largest_class(train: LabelledSamples, samples: LabelledSamples) -> float:
    """Return the accuracy of naming the class that is largest in training."""
    return float((samples.labels == train.labels.bincount().argmax()).double().mean())


@torch.no_grad()
def _accuracy(model: nn.Linear, features: Tensor, labels: Tensor) -> float:
    return float((model(features).argmax(1) == labels).double().mean())


def _softmax_regression(features: Tensor, labels: Tensor, classes: int, decay: float, seed: int) -> nn.Linear:
    generator = torch_generator(seed, "linear baseline")
    model = nn.Linear(features.shape[1], classes)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    batches = -(-len(labels) // BATCH)
    updates = max(EPOCHS * batches, LEAST_UPDATES)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=updates)
    order = torch.randperm(len(labels), generator=generator)
    for update in range(updates):
        place = update % batches
        if place == 0:
            order = torch.randperm(len(labels), generator=generator)
        chosen = order[place * BATCH : (place + 1) * BATCH]
        optimizer.zero_grad()
        functional.cross_entropy(model(features[chosen]), labels[chosen]).backward()
        optimizer.step()
        schedule.step()
    return model
