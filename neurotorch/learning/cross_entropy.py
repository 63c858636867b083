"""Losses for classification, and the target they compare with: a class for every frame that counts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from neurotorch.core.checks import check_count
from neurotorch.learning.pooling import MeanOverTime, Pooling

_MEAN = MeanOverTime()


def class_target(
    labels: Tensor,
    classes: int,
    *,
    frames: int,
    lengths: Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Return ``(time, batch, class)``: 1 for the class of a sample, 0 for the others, and 0 for all behind its end.

    Parameters
    ----------
    labels
        ``(batch,)``, whole numbers from 0 to ``classes - 1``.
    classes
        How many there are.
    frames
        Length of the target. Samples that are all of this length share one frame: it takes no memory over time.
    lengths
        Frames of each sample that count, ``(batch,)``, 1 to `frames`; all by default.
    dtype
        Of the target; torch's default dtype unless given.

    Raises
    ------
    ValueError
        If a label is no class, or there is not one length in 1..`frames` for each sample.
    """
    check_count("classes", classes)
    check_count("frames", frames)
    if labels.dim() != 1 or labels.is_floating_point():
        raise ValueError(f"`labels` are {labels.dtype} {tuple(labels.shape)}, but they must be whole numbers (batch,).")
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        raise ValueError(
            f"`labels` holds {int(labels[outside][0])} at sample {int(outside.nonzero()[0])}, but classes are 0 to "
            f"{classes - 1}."
        )
    target = functional.one_hot(labels.long(), classes).to(dtype or torch.get_default_dtype())
    whole = target.unsqueeze(0).expand(frames, -1, -1)
    if lengths is not None and lengths.shape != labels.shape:
        raise ValueError(f"`lengths` are {tuple(lengths.shape)}, but there are {len(labels)} samples: give one each.")
    if lengths is None or bool((lengths == frames).all()):
        return whole
    if bool(((lengths < 1) | (lengths > frames)).any()):
        raise ValueError(
            f"`lengths` reach from {int(lengths.min())} to {int(lengths.max())}, but the target has {frames} frames."
        )
    counted = torch.arange(frames, device=lengths.device).unsqueeze(-1) < lengths
    return whole * counted.unsqueeze(-1)


def counted_frames(target: Tensor) -> Tensor | None:
    """Return which frames of a `class_target` count, ``(time, batch)``; None where all do.

    Raises
    ------
    ValueError
        If none of a sample's frames does.
    """
    counted = (target[:1] if target.stride(0) == 0 else target).sum(-1)  # one frame, where it is held
    if bool((counted > 0).all()):
        return None
    empty = ~(counted > 0).any(0)
    if empty.any():
        raise ValueError(f"The target names no class for sample {int(empty.nonzero()[0])}: no frame of it counts.")
    return (counted > 0).to(target.dtype)


@dataclass(frozen=True)
class CrossEntropy:
    r"""Cross-entropy between classes and the pooled output of a readout.

    With ``p`` the `pooling` over the frames that count, ``C`` classes, ``q`` the sample's target averaged over those
    frames and ``e`` the `smoothing`::

        loss = - 1/batch sum_b sum_c ((1 - e) q_bc + e / C) log softmax_c(p(y)_b)

    The target is ``(time, batch, class)``, see `class_target`: rows that sum to 1 in frames that count and to 0 in
    those that do not. It is not a sum over time: for online e-prop there is `CrossEntropyPerStep`.

    Parameters
    ----------
    pooling
        `MeanOverTime()`, `MaximumOverTime()`, `LastStep()` or `SumOverTime()`.
    smoothing
        Share of the probability that is spread over all classes, 0..1.
    """

    pooling: Pooling = _MEAN
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.pooling, Pooling):
            raise TypeError(f"`pooling` is {self.pooling!r}, but it must be an object such as MeanOverTime().")
        _check_smoothing(self.smoothing)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss."""
        _check_shapes(output, target)
        counted = counted_frames(target)
        if counted is None:
            wanted = target[0] if target.stride(0) == 0 else target.mean(0)
        else:
            wanted = target.sum(0) / counted.sum(0).unsqueeze(-1)
        return functional.cross_entropy(self.pooling(output, counted), wanted, label_smoothing=self.smoothing)


@dataclass(frozen=True)
class CrossEntropyPerStep:
    r"""The mean over time and batch of the cross-entropy in each frame, a `SummedLoss`.

    It is ::

        loss = - 1/(frames batch) sum_tb sum_c ((1 - e) q_tbc + e / C) log softmax_c(y_tb)

    over the frames that count; the others add nothing, so that a shorter sample weighs less.

    Parameters
    ----------
    smoothing
        Share ``e`` of the probability that is spread over all classes, 0..1.

    References
    ----------
    Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, Methods, "classification".
    """

    smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check_smoothing(self.smoothing)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss."""
        return self.part(output, target, start=0, frames=len(output))

    def part(self, output: Tensor, target: Tensor, *, start: int, frames: int) -> Tensor:
        """Return what some frames of a window of `frames` frames add to its loss."""
        del start
        _check_shapes(output, target)
        share = target.sum(-1, keepdim=True)
        smooth = (1 - self.smoothing) * target + self.smoothing * share / target.shape[-1]
        return -(smooth * output.log_softmax(-1)).sum() / (frames * output.shape[1])


def _check_smoothing(smoothing: float) -> None:
    if not 0 <= smoothing < 1:
        raise ValueError(f"`smoothing` is {smoothing!r}, but it is a share of at least 0 and below 1.")


def _check_shapes(output: Tensor, target: Tensor) -> None:
    if output.shape != target.shape:
        raise ValueError(
            f"The output is {tuple(output.shape)}, but the target is {tuple(target.shape)}: both are (time, batch, "
            "class), see class_target(labels, classes, frames=...)."
        )
