"""Labelled samples that are turned into inputs batch by batch: a data set stays in memory as the bytes it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from neurotorch.data import Batch
from neurotorch.learning import class_target

if TYPE_CHECKING:
    from neurotorch.runs.classification.presentation import Presentation

EVALUATED = 250
"""Samples in a batch where nothing is trained: their activity is in memory at once."""


@dataclass(frozen=True, eq=False)  # tensors have no truth value
class LabelledSamples:
    """Samples as a presentation keeps them, to be shown to a network.

    Parameters
    ----------
    values
        ``(sample, ...)``, of any dtype.
    labels
        ``(sample,)`` int64.
    classes
        Names of the classes.
    presentation
        How values become inputs.
    lengths
        Steps of each sample that count, ``(sample,)``; all by default.
    """

    values: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    presentation: Presentation
    lengths: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: Tensor) -> LabelledSamples:
        """Return those with these indices."""
        lengths = None if self.lengths is None else self.lengths[indices]
        return replace(self, values=self.values[indices], labels=self.labels[indices], lengths=lengths)

    def inputs(self, indices: Tensor, *, generator: torch.Generator, training: bool = False) -> Tensor:
        """Return the inputs of some samples, ``(time, batch, channel)``; augmented only in `training`."""
        shown = self.presentation.present(self.values[indices], generator=generator, training=training)
        return shown.to(torch.get_default_dtype())  # that of a network that is built

    def batch(self, indices: Tensor, *, generator: torch.Generator, training: bool = False) -> Batch:
        """Return some samples, and their classes as the target; in training they end with the longest of them."""
        inputs = self.inputs(indices, generator=generator, training=training)
        lengths = None if self.lengths is None else self.lengths[indices]
        if training and lengths is not None:
            inputs = inputs[: int(lengths.max())]  # what comes behind counts for no sample
        target = class_target(
            self.labels[indices], len(self.classes), frames=len(inputs), lengths=lengths, dtype=inputs.dtype
        )
        return Batch(target, inputs)

    def batches(self, *, generator: torch.Generator, size: int = EVALUATED) -> Iterator[Batch]:
        """Yield all samples in order."""
        for indices in torch.arange(len(self)).split(size):
            yield self.batch(indices, generator=generator)


class TrainingSamples:
    """Samples as a `WindowLoader` draws them: what is random in them comes from the loader's own generator.

    The state of that generator is saved with the loader, so that a resumed epoch goes on bit for bit.
    """

    def __init__(self, samples: LabelledSamples, generator: torch.Generator) -> None:
        self.samples, self.generator = samples, generator

    def __len__(self) -> int:
        return len(self.samples)

    def gather(self, indices: Sequence[int] | np.ndarray | Tensor, *, dtype: torch.dtype = torch.float32) -> Batch:
        """Return the samples with these indices."""
        batch = self.samples.batch(torch.as_tensor(indices), generator=self.generator, training=True)
        assert batch.inputs is not None
        return batch if batch.inputs.dtype == dtype else Batch(batch.target.to(dtype), batch.inputs.to(dtype))
