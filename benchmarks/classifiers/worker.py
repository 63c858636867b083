"""One training in a process of its own: prints a JSON of accuracy, seconds, memory and spikes."""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import torch
from _machine import threads
from classifiers.rows import ROWS, Row
from torch.optim.lr_scheduler import OneCycleLR

from neurotorch.core.seeds import torch_generator
from neurotorch.data import WindowLoader, split
from neurotorch.learning import CrossEntropy
from neurotorch.learning.cross_entropy import counted_frames
from neurotorch.runs.classification import classify
from neurotorch.runs.classification.classify import EXAMPLES
from neurotorch.runs.classification.samples import LabelledSamples, TrainingSamples
from neurotorch.training import Callback, Trainer


def main(row: str, way: str, seed: int, part: int, epochs: int | None, peer: bool) -> dict[str, Any]:
    """Train, and return what was found."""
    chosen = ROWS[row]
    if way == "svm":
        return support_vectors(chosen, seed, part)
    found = peer_run(chosen, way, seed, part, epochs) if peer else our_run(chosen, way, seed, part, epochs)
    return {**found, "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "threads": threads()}


def our_run(row: Row, way: str, seed: int, part: int, epochs: int | None) -> dict[str, Any]:
    """Train our network."""
    blueprint, plan = row.of(way, epochs=epochs)
    clock = ProcessorClock()
    result = classify(row.task(part), blueprint, plan=plan, seed=seed, callbacks=[clock])
    report = result.report()
    return {
        "accuracy": report["test"]["accuracy"],
        "validation": report["validation"]["accuracy"],
        "seconds": result.seconds,
        "processor_seconds": clock.seconds,
        "spikes_per_inference": report["spikes_per_inference"],
        "neurobench": report["test"]["neurobench"],
        "linear": report["baselines"]["linear"],
        "dale_violations": report["dale"]["violations"],
        "curve": result.history.column("validation_accuracy"),
    }


class ProcessorClock(Callback):
    """Processor time of training, its validation included: on a machine with other work that of an idle one."""

    def on_fit_start(self, trainer: Trainer) -> None:
        """Start."""
        del trainer
        self._began = time.process_time()

    def on_fit_end(self, trainer: Trainer) -> None:
        """Stop."""
        del trainer
        self.seconds = time.process_time() - self._began


def peer_run(row: Row, way: str, seed: int, part: int, epochs: int | None) -> dict[str, Any]:
    """Train a network of another library on the same batches from the same start."""
    from classifiers.others import PEERS

    blueprint, plan = row.of(way, epochs=epochs)
    task = row.task(part)
    inner, held = split(task.train, validation=plan.validation, seed=seed)
    samples = task.presentation.samples(task.train)
    train, validation = samples.select(inner), samples.select(held)
    generator = torch_generator(seed, "examples")
    few = torch.randperm(len(train), generator=generator)[:EXAMPLES]
    inputs = train.inputs(few, generator=generator)
    start = blueprint.build(inputs, len(train.classes), dt=task.presentation.dt, seed=seed)
    network = PEERS[way](start, blueprint)
    generator = torch_generator(seed, "samples")
    loader = WindowLoader(TrainingSamples(train, generator), plan.batch_size, generator=generator)
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=plan.learning_rate, weight_decay=plan.weight_decay)
    schedule = OneCycleLR(optimizer, plan.learning_rate, total_steps=plan.epochs * len(loader))
    loss, began, before = CrossEntropy(plan.pooling, smoothing=plan.smoothing), time.perf_counter(), time.process_time()
    curve = []
    for _ in range(plan.epochs):
        for batch in loader:
            optimizer.zero_grad()
            output, _ = network(batch.inputs)
            loss(output, batch.target).backward()
            if plan.clip is not None:
                torch.nn.utils.clip_grad_norm_(parameters, plan.clip)
            optimizer.step()
            schedule.step()
        curve.append(scored(network, validation, plan.pooling)[0])
    seconds, processor = time.perf_counter() - began, time.process_time() - before
    right, spikes = scored(network, task.presentation.samples(task.open_test()), plan.pooling)
    return {
        "accuracy": right,
        "validation": curve[-1],
        "seconds": seconds,
        "processor_seconds": processor,
        "spikes_per_inference": spikes,
        "curve": curve,
    }


@torch.no_grad()
def scored(network: torch.nn.Module, samples: LabelledSamples, pooling: Any) -> tuple[float, float]:
    """Return accuracy and spikes per sample, in the steps that count."""
    right, spikes = 0, 0.0
    for batch in samples.batches(generator=torch.Generator()):
        output, emitted = network(batch.inputs)
        counted = counted_frames(batch.target)
        right += int((pooling(output, counted).argmax(-1) == batch.target.amax(0).argmax(-1)).sum())
        each = emitted.sum(-1)
        spikes += float((each if counted is None else each * counted).sum())
    return right / len(samples), spikes / len(samples)


def support_vectors(row: Row, seed: int, part: int) -> dict[str, Any]:
    """Return the accuracy of an SVM with a Gaussian kernel, its constant chosen on the validation part.

    It gets the roots of the counts: on a validation part 0.875, the counts themselves 0.863, each standardized 0.79.
    """
    from sklearn.svm import SVC

    task = row.task(part)
    inner, held = split(task.train, validation=row.plan.validation, seed=seed)
    samples, test = (task.presentation.samples(data) for data in (task.train, task.open_test()))
    features, labels = task.presentation.features(samples).sqrt().numpy(), samples.labels.numpy()

    def fitted(constant: float, chosen: torch.Tensor) -> Any:
        return SVC(C=constant).fit(features[chosen], labels[chosen])

    began, before = time.perf_counter(), time.process_time()
    best = max((1.0, 10.0, 100.0), key=lambda c: fitted(c, inner).score(features[held], labels[held]))
    accuracy = fitted(best, inner).score(task.presentation.features(test).sqrt().numpy(), test.labels.numpy())
    seconds = time.perf_counter() - began
    return {
        "accuracy": float(accuracy),
        "seconds": seconds,
        "processor_seconds": time.process_time() - before,
        "constant": best,
    }


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(main(**asked)))
