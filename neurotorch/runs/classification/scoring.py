"""What a classifier says of samples, and the numbers that follow from it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from neurotorch.core.seeds import torch_generator
from neurotorch.evaluation import accuracy, calibration_error, confusion_matrix, f1, precision, recall
from neurotorch.evaluation.neurobench import NeuroBench, WorkloadCounter
from neurotorch.learning import Pooling
from neurotorch.learning.cross_entropy import counted_frames
from neurotorch.network import Network
from neurotorch.runs.classification.samples import LabelledSamples


class Classified(NamedTuple):
    """What a network did with samples.

    Parameters
    ----------
    labels, probabilities
        ``(sample,)`` and ``(sample, class)``: the softmax of the pooled readout.
    spikes
        Spikes of each spiking layer per sample, all its neurons together, in the steps that count.
    rates
        Their mean rate in those steps, in hertz, per neuron.
    costs
        As NeuroBench counts them.
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    spikes: dict[str, float]
    rates: dict[str, float]
    costs: NeuroBench


@torch.no_grad()
def classified(network: Network, samples: LabelledSamples, pooling: Pooling, *, seed: int) -> Classified:
    """Return what `network` says of `samples`; `seed` is that of encodings which draw."""
    if not len(samples):
        raise ValueError("There are no samples to score: the file of the samples is empty.")
    generator, dtype = torch_generator(seed, "evaluation"), next(network.parameters()).dtype
    counter, probabilities = WorkloadCounter(network), []
    spiking = {name: layer for name, layer in network.named_layers().items() if layer.neuron.emits == "spikes"}
    spikes = dict.fromkeys(spiking, 0.0)
    steps = 0.0
    for batch in samples.batches(generator=generator):
        assert batch.inputs is not None
        inputs = batch.inputs.to(dtype)
        run = network.run(inputs)
        counter.add(inputs, run)
        counted = counted_frames(batch.target)
        steps += inputs[..., 0].numel() if counted is None else float(counted.sum())
        probabilities.append(pooling(run.output, counted).double().softmax(-1))
        for name, part in zip(network.layers, run.runs, strict=True):
            if name in spikes:
                each_step = part.emitted.sum(-1, dtype=torch.float64)
                spikes[name] += float((each_step if counted is None else each_step * counted).sum())
    each = {name: total / len(samples) for name, total in spikes.items()}
    seconds = steps / len(samples) * network.dt
    return Classified(
        samples.labels.numpy(),
        torch.cat(probabilities).numpy(),
        each,
        {name: count / (spiking[name].neurons * seconds) for name, count in each.items()},
        counter.result(),
    )


@torch.no_grad()
def accuracy_of(network: Network, samples: LabelledSamples, pooling: Pooling, *, seed: int) -> float:
    """Return the accuracy alone, for every epoch."""
    generator, right = torch_generator(seed, "evaluation"), 0
    for batch in samples.batches(generator=generator):
        output, _ = network(batch.inputs)
        named = pooling(output, counted_frames(batch.target)).argmax(-1)
        right += int((batch.target.amax(0).argmax(-1) == named).sum())
    return right / len(samples)


def scores(result: Classified, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return the numbers as JSON has them; those of a class are None where they are not defined."""
    named = result.probabilities.argmax(axis=1)
    matrix = confusion_matrix(result.labels, named, classes=len(classes))
    right, count = accuracy(result.labels, named), len(named)
    chosen = result.probabilities[np.arange(count), result.labels]
    parts = {"precision": precision(matrix), "recall": recall(matrix), "f1": f1(matrix)}
    return {
        "samples": count,
        "accuracy": right,
        "standard_error": math.sqrt(right * (1 - right) / count),
        **{name: _mean(values) for name, values in parts.items()},
        "cross_entropy": float(-np.log(np.maximum(chosen, 1e-300)).mean()),
        "calibration_error": calibration_error(result.labels, result.probabilities),
        "confusion": matrix.tolist(),
        "per_class": {
            name: {part: _plain(values[index]) for part, values in parts.items()} for index, name in enumerate(classes)
        },
        "spikes_per_inference": sum(result.spikes.values()),
        "spikes": result.spikes,
        "firing_rates_hz": result.rates,
        "neurobench": result.costs.to_json(),
    }


def _mean(values: NDArray[np.float64]) -> float | None:
    """Return the mean over the classes for which a number is defined."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
