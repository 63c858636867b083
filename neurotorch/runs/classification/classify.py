"""Train a spiking classifier, and score it once on samples that it was not trained on."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from neurotorch.core.config import describe
from neurotorch.core.seeds import torch_generator
from neurotorch.core.storage import has_state
from neurotorch.data import WindowLoader, split
from neurotorch.network import Network
from neurotorch.runs.classification.baselines import LinearBaseline, largest_class
from neurotorch.runs.classification.blueprint import ClassifierBlueprint
from neurotorch.runs.classification.plan import ClassifierPlan
from neurotorch.runs.classification.report import classification_report
from neurotorch.runs.classification.samples import LabelledSamples, TrainingSamples
from neurotorch.runs.classification.scoring import Classified, accuracy_of, classified
from neurotorch.runs.classification.task import ClassificationTask, Data, preset
from neurotorch.runs.folder import CLASSIFICATION
from neurotorch.runs.same_fit import check_same_settings, digest
from neurotorch.runs.training_plan import CHECKPOINT_SECONDS, raise_if_interrupted
from neurotorch.training import Callback, Checkpoint, EarlyStopping, History, Trainer

if TYPE_CHECKING:
    import pandas as pd

    from neurotorch.plotting.style import Figure

ACCURACY = "validation_accuracy"
"""Column of the history."""
EXAMPLES = 256
"""Samples of the training part that the start is made from."""


@dataclass(frozen=True)
class Classification:
    """A trained classifier.

    Attributes
    ----------
    network, history
        What was trained, and how it went.
    task, blueprint, plan, seed
        What it was made with.
    validation, test
        What it says of the two parts.
    baselines
        Accuracy on the test part of what needs no network, by name.
    seconds, stopped_by, epoch
        Of training; the last is the epoch whose parameters were kept.
    example
        A few test samples, for figures.
    """

    network: Network
    history: History
    task: ClassificationTask
    blueprint: ClassifierBlueprint
    plan: ClassifierPlan
    seed: int
    validation: Classified
    test: Classified
    baselines: Mapping[str, float]
    seconds: float
    stopped_by: str
    epoch: int
    example: LabelledSamples

    def settings(self) -> dict[str, Any]:
        """Return the settings that the run can be repeated with."""
        return {"protocol": CLASSIFICATION, **settings_of(self.task, self.blueprint, self.plan, self.seed)}

    def stored(self) -> None:
        """Return nothing: data sets are not copied into a run folder."""

    def history_table(self) -> pd.DataFrame:
        """Return one row per epoch."""
        return self.history.to_frame()

    def report(self) -> dict[str, Any]:
        """Return the content of ``report.json``."""
        return classification_report(self)

    def figures(self) -> Mapping[str, Figure]:
        """Return the figures by name."""
        from neurotorch.runs.classification.figures import classification_figures

        return classification_figures(self)


def settings_of(
    task: ClassificationTask, blueprint: ClassifierBlueprint, plan: ClassifierPlan, seed: int
) -> dict[str, Any]:
    """Return what the numbers of a run depend on, as plain values."""
    return {
        "data": {"name": task.name, "samples": len(task.train), "labels": digest(task.train.labels.numpy())},
        "classes": list(task.train.classes),
        "presentation": describe(task.presentation),
        "blueprint": blueprint.to_json(),
        "plan": plan.to_json(),
        "seed": seed,
    }


def classify(
    task: ClassificationTask,
    blueprint: ClassifierBlueprint | None = None,
    *,
    plan: ClassifierPlan | None = None,
    seed: int = 0,
    checkpoints: Path | None = None,
    callbacks: Iterable[Callback] = (),
) -> Classification:
    """Train a classifier and score it, once, on the test part.

    Parameters
    ----------
    task
        The data, such as ``open_task("mnist")``.
    blueprint, plan
        The network to build and how to train it; those of the task's preset unless given.
    seed
        Of everything that is drawn, the split into training and validation included.
    checkpoints
        Folder for checkpoints; if it holds those of an interrupted run of the same, that is continued.
    callbacks
        Called while training.

    Raises
    ------
    ValueError
        If the training part is a test part, or the checkpoints are of another run.
    """
    blueprint = preset(task.name).blueprint if blueprint is None else blueprint
    plan = preset(task.name).plan if plan is None else plan
    if checkpoints is not None:
        check_same_settings(checkpoints, settings_of(task, blueprint, plan, seed))
    groups = _groups(task, plan)
    inner, held = split(task.train, validation=plan.validation, seed=seed, groups=groups)
    samples = task.presentation.samples(task.train)
    train, validation = samples.select(inner), samples.select(held)
    network = _built(blueprint, train, seed)
    trainer, epoch = _trained(network, train, validation, plan, seed, checkpoints, callbacks)
    linear = LinearBaseline(train, validation, seed=seed)
    network.eval()
    on_validation = classified(network, validation, plan.pooling, seed=seed)
    test = task.presentation.samples(_of_same_classes(task.open_test(), task.train))
    return Classification(
        network=network,
        history=trainer.history,
        task=task,
        blueprint=blueprint,
        plan=plan,
        seed=seed,
        validation=on_validation,
        test=classified(network, test, plan.pooling, seed=seed),
        baselines={"largest class": largest_class(train, test), "linear": linear.accuracy(test)},
        seconds=trainer.elapsed,
        stopped_by=trainer.stopped_by or "",
        epoch=epoch,
        example=test.select(torch.arange(min(len(test), 64))),
    )


def _of_same_classes(test: Data, train: Data) -> Data:
    """Return `test`, or raise if its labels mean something else; its last classes may be missing."""
    if test.classes != train.classes[: len(test.classes)]:
        raise ValueError(
            f"The classes of the test part are {list(test.classes)}, but those of the training part "
            f"{list(train.classes)}: a label would mean another class."
        )
    return test


def _groups(task: ClassificationTask, plan: ClassifierPlan) -> torch.Tensor | None:
    if plan.by_group and task.groups is None:
        raise ValueError(
            f"The plan splits by groups, but the samples of {task.name!r} have none: use by_group=False, "
            "which is to leave out --by-speaker."
        )
    return task.groups if plan.by_group else None


def _built(blueprint: ClassifierBlueprint, train: LabelledSamples, seed: int) -> Network:
    generator = torch_generator(seed, "examples")
    few = torch.randperm(len(train), generator=generator)[:EXAMPLES]
    inputs = train.inputs(few, generator=generator)
    network = blueprint.build(inputs, len(train.classes), dt=train.presentation.dt, seed=seed)
    _warn_of_silence(network, inputs)
    return network


@torch.no_grad()
def _warn_of_silence(network: Network, inputs: torch.Tensor) -> None:
    """Warn of a layer that could spike and does not: models in volts have no start of their own here."""
    for (name, layer), run in zip(network.named_layers().items(), network.run(inputs).runs, strict=True):
        if layer.neuron.emits == "spikes" and not run.emitted.any():
            warnings.warn(
                f"Layer {name!r} of {type(layer.neuron).__name__} neurons emits no spike on {inputs.shape[1]} samples "
                "before training and may never learn: show samples for longer, or take another model.",
                stacklevel=4,
            )


def _trained(
    network: Network,
    train: LabelledSamples,
    validation: LabelledSamples,
    plan: ClassifierPlan,
    seed: int,
    checkpoints: Path | None,
    callbacks: Iterable[Callback],
) -> tuple[Trainer, int]:
    """Train, or continue; return the trainer and the epoch whose parameters the network has."""
    generator = torch_generator(seed, "samples")
    dtype = torch.get_default_dtype()
    loader = WindowLoader(TrainingSamples(train, generator), plan.batch_size, generator=generator, dtype=dtype)
    best = EarlyStopping(ACCURACY, higher_is_better=True)
    used: list[Callback] = [*plan.schedules(len(loader)), *([best] if plan.keep == "best" else []), *callbacks]
    if checkpoints is not None:
        used.append(Checkpoint(checkpoints, every_seconds=CHECKPOINT_SECONDS))
    metrics = {ACCURACY: lambda model, samples: accuracy_of(model, samples, plan.pooling, seed=seed)}
    trainer = Trainer(plan.build_rule(network), callbacks=used, metrics=metrics)
    saved = checkpoints if checkpoints is not None and has_state(checkpoints) else None
    trainer.fit(loader, validation, epochs=plan.epochs, resume_from=saved)
    raise_if_interrupted(trainer)
    return trainer, trainer.epoch if plan.keep == "last" else best.best_epoch or 0
