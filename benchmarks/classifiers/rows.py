"""The rows of the table: what is trained on what, in which ways, and how the data are divided."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from neurotorch.data import catalog, folds, leave_one_group_out
from neurotorch.data.encodings import DirectCurrent
from neurotorch.learning import EProp
from neurotorch.neurons import LIF
from neurotorch.runs.classification import (
    ClassificationTask,
    ClassifierBlueprint,
    ClassifierPlan,
    ImagePresentation,
    Presentation,
    open_task,
    preset,
)

FOLDS = 5
DALE = 0.8
"""Fraction of excitatory neurons where Dale's law holds."""


@dataclass(frozen=True)
class Row:
    """One row: `ways` are those that are compared, `divided` how: by the official parts, in folds, or by speaker."""

    question: str
    data: str
    presentation: Presentation
    blueprint: ClassifierBlueprint
    plan: ClassifierPlan
    aim: float | None = None
    ways: dict[str, dict[str, Any]] = field(default_factory=lambda: {"ours": {}})
    divided: str = "parts"
    peers: bool = False

    def parts(self) -> int:
        """Return into how many parts the data are divided."""
        return {"parts": 1, "folds": FOLDS, "speakers": len(self._speakers())}[self.divided]

    def task(self, part: int) -> ClassificationTask:
        """Return the task whose test part is `part`."""
        if self.divided == "parts":
            return open_task(self.data, self.presentation)
        every = catalog.open(self.data, "train") + catalog.open(self.data, "test")
        if self.divided == "folds":
            train, test = folds(every, FOLDS, seed=0, groups=every.speakers)[part]
        else:
            _, train, test = list(leave_one_group_out(every, every.speakers))[part]
        known = every.select(train)
        return ClassificationTask(self.data, known, lambda: every.select(test), self.presentation, known.speakers)

    def of(self, way: str, *, epochs: int | None = None) -> tuple[ClassifierBlueprint, ClassifierPlan]:
        """Return the network and the training of a way; peers have those of ours."""
        changes = dict(self.ways.get(way, {}))
        plan = replace(self.plan, **{k: changes.pop(k) for k in ("rule", "epochs") if k in changes})
        if epochs is not None:
            plan = replace(plan, epochs=epochs)
        return replace(self.blueprint, **changes), plan

    def trains(self, way: str, *, epochs: int | None = None) -> tuple[Any, ...]:
        """Return all that a training of a way depends on but for its seed and part."""
        return self.data, self.divided, self.presentation, self.of(way, epochs=epochs)

    def _speakers(self) -> set[int]:
        if self.divided != "speakers":
            return set()
        return set(catalog.open(self.data, "train").speakers.tolist())


def _images(data: str, question: str, aim: float, **changes: Any) -> Row:
    chosen = preset(data)
    blueprint, plan = changes.pop("blueprint", {}), changes.pop("plan", {})
    return Row(
        question,
        data,
        changes.pop("presentation", chosen.presentation),
        replace(chosen.blueprint, **blueprint),
        replace(chosen.plan, **plan),
        aim=aim,
        **changes,
    )


def _spoken(question: str, **changes: Any) -> Row:
    chosen = preset("spoken-digits")
    return Row(
        question,
        "spoken-digits",
        replace(chosen.presentation, **changes.pop("presentation", {})),
        replace(chosen.blueprint, **changes.pop("blueprint", {})),
        replace(chosen.plan, **changes.pop("plan", {})),
        **{"divided": "folds", **changes},
    )


ROWS = {
    "mnist-minute": _images("mnist", "MNIST, 100 LIF, direct current, 10 steps, a minute", 0.970, peers=True),
    "mnist-256": _images(
        "mnist",
        "MNIST, 256 LIF, direct current, 10 steps, five minutes",
        0.980,
        blueprint={"units": (256,)},
        plan={"epochs": 25, "smoothing": 0.05},
        peers=True,
    ),
    "mnist-literature": _images(
        "mnist",
        "MNIST, the literature's setting: 100 steps, a spiking encoder, 100 LIF, AdamW 2e-4, 30 epochs of 256",
        0.970,
        presentation=ImagePresentation(DirectCurrent(100), 0.001),
        blueprint={"encoder": LIF},
        plan={"epochs": 30, "batch_size": 256, "learning_rate": 2e-4, "one_cycle": False},
    ),
    "fashion-minute": _images(
        "fashion-mnist", "Fashion-MNIST, 256 LIF, direct current, 10 steps, a minute", 0.880, peers=True
    ),
    "spoken-digits": _spoken("Spoken digits, recurrent current-based LIF, five folds", aim=0.87, peers=True),
    # Settings chosen on validation speakers: of three, two to train on and one to score.
    "spoken-digits-speakers": _spoken(
        "Spoken digits, one speaker left out of training",
        divided="speakers",
        presentation={"pool": 50, "root": True, "stretched": True, "shift": 0},
        blueprint={"units": (128,)},
        plan={"epochs": 30},
    ),
    "eprop": _spoken("E-prop against BPTT, equal epochs", ways={"bptt": {}, "eprop": {"rule": EProp}}),
    "dale-mnist": _images(
        "mnist", "Dale against free on MNIST", 0.970, ways={"free": {}, "dale": {"excitatory": DALE}}
    ),
    "dale-spoken-digits": _spoken(
        "Dale against free on the spoken digits", ways={"free": {}, "dale": {"excitatory": DALE}}
    ),
}
