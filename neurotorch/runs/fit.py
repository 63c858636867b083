"""Fit a network to a recording and report on time that it was not trained on."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurotorch.core.checks import check_fraction, check_kind
from neurotorch.core.storage import has_state
from neurotorch.data import Recording
from neurotorch.evaluation import Baseline, HeldOut, evaluate_held_out, fit_baselines
from neurotorch.evaluation.network_forecaster import NetworkForecaster
from neurotorch.network import Network
from neurotorch.runs.blueprint import Blueprint
from neurotorch.runs.figures import held_out_figures
from neurotorch.runs.one_step import Setting, fit_one_step
from neurotorch.runs.report import held_out_report
from neurotorch.runs.same_fit import check_same_fit
from neurotorch.runs.training_plan import (
    CHECKPOINT_SECONDS,
    VALIDATION,
    Rule,
    TrainingPlan,
    raise_if_interrupted,
    validation_score,
)
from neurotorch.runs.warm_start import NEVER_ZERO, Choice
from neurotorch.runs.without_input import said_once
from neurotorch.training import Callback, Checkpoint, EarlyStopping, History, Trainer

if TYPE_CHECKING:
    import pandas as pd

    from neurotorch.plotting.style import Figure

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """A trained network, the histories of its phases, and why and after how many seconds training stopped.

    There is no history, and `stopped_by` is empty, where no rule trained; `best_epoch` is 0 where a rule did not
    improve on the warm start.
    """

    network: Network
    histories: Mapping[str, History]
    seconds: float
    stopped_by: str
    best_epoch: int | None


@dataclass(frozen=True)
class Fit:
    """A network fitted to a recording.

    Attributes
    ----------
    recording
        The whole recording, standardized on its training part: the unit of the network.
    start
        The first held-out frame.
    trained, unconnected
        The network, and the same refitted without connections.
    held_out
        The score on held-out time.
    blueprint, plan, seed
        What it was made with.
    choice
        What the warm start chose, None for a random start.
    """

    recording: Recording
    start: int
    trained: Trained
    unconnected: Trained
    held_out: HeldOut
    blueprint: Blueprint
    plan: TrainingPlan
    seed: int
    choice: Choice | None = None

    @property
    def network(self) -> Network:
        """The fitted network."""
        return self.trained.network

    def settings(self) -> dict[str, Any]:
        """Return the settings that the fit can be repeated with."""
        return {
            "protocol": "held-out",
            "start": self.start,
            "seed": self.seed,
            "blueprint": self.blueprint.to_json(),
            "plan": self.plan.to_json(),
        }

    def stored(self) -> Recording:
        """Return the recording in the unit of the network."""
        return self.recording

    def history_table(self) -> pd.DataFrame:
        """Return one row per epoch of every phase of both trainings."""
        import pandas as pd

        tables = [
            history.to_frame().assign(network=name, phase=phase)
            for name, trained in (("connected", self.trained), ("without_connections", self.unconnected))
            for phase, history in trained.histories.items()
        ]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["epoch", "network", "phase"])

    def report(self) -> dict[str, Any]:
        """Return the content of ``report.json``."""
        return held_out_report(self)

    def figures(self) -> Mapping[str, Figure]:
        """Return the figures by name."""
        return held_out_figures(self)


def fit(
    recording: Recording,
    blueprint: Blueprint = Blueprint(),
    *,
    plan: TrainingPlan = TrainingPlan(),
    held_out: float = 0.2,
    seed: int = 0,
    baselines: Sequence[Baseline] | None = None,
    checkpoints: Path | None = None,
    callbacks: Iterable[Callback] = (),
) -> Fit:
    """Fit a network to the first part of a recording and score it on the rest.

    Parameters
    ----------
    recording
        Free of dead neurons (`recording.drop_dead()`).
    blueprint
        The network to build.
    plan
        How to train it.
    held_out
        Fraction of the time, at the end, that is kept for the score. Nothing is fitted to it or chosen on it.
    seed
        Of everything that is drawn.
    baselines
        What the network is held against; all of the standard ones by default.
    checkpoints
        Folder for checkpoints; if it holds those of an interrupted fit of the same, that fit is continued.
    callbacks
        Called while training.

    Raises
    ------
    ValueError
        If the recording is too short, has neurons that are constant or not finite in its training part, or the
        checkpoints are of another fit.

    Warns
    -----
    NoInputWarning
        If the blueprint's mask leaves neurons without input and they have no gap junctions; they are named.
    """
    check_fraction("held_out", held_out)
    check_kind("recording", recording, Recording, example="nt.read(path, axes='time,neuron', dt=0.5)")
    for name, found, expected in (("blueprint", blueprint, Blueprint), ("plan", plan, TrainingPlan)):
        if not isinstance(found, expected):
            raise TypeError(f"`{name}` is a {type(found).__name__}, but it must be a {expected.__name__}(...).")
    train, _ = recording.split(held_out)
    scaled, start = recording.standardize(fit_on=train), train.frames
    training = scaled.window(0, start)
    if checkpoints is not None:
        check_same_fit(checkpoints, training, blueprint=blueprint, plan=plan, seed=seed)
    started = time.perf_counter()
    start_plan = plan.start(blueprint)
    choice = None
    with said_once(blueprint, recording.neurons):
        if start_plan is not None:
            logger.info("choosing time scales and penalties of the warm start by cross-validation")
            choice = start_plan.choose(training, blueprint, seed=seed)
        maker = _Maker(blueprint, plan, seed, choice, plan.rule_after(start_plan))
        trained = _train(training, maker, True, checkpoints, callbacks, time.perf_counter() - started)
        unconnected = _train(training, maker, False, checkpoints, callbacks, 0.0)
    logger.info("fitting the baselines")
    score = evaluate_held_out(
        scaled,
        start,
        forecaster=NetworkForecaster(trained.network),
        baselines=fit_baselines(training, baselines),
        without_connections=NetworkForecaster(unconnected.network),
        seed=seed,
    )
    return Fit(scaled, start, trained, unconnected, score, blueprint, plan, seed, choice)


@dataclass(frozen=True)
class _Maker:
    """How networks are made: all that does not change between the trainings of one fit."""

    blueprint: Blueprint
    plan: TrainingPlan
    seed: int
    choice: Choice | None
    rule: Rule | None

    def network(self, train: Recording, *, connected: bool) -> Network:
        """Return a network as training finds it."""
        if self.choice is None:
            return self.blueprint.build(train, seed=self.seed, connected=connected)
        least = NEVER_ZERO if self.rule is not None else 0.0
        settings: list[Setting] = [self.choice.setting]
        fitted = fit_one_step(train, self.blueprint, settings, seed=self.seed, connected=connected, least=least)
        return next(fitted)[1]


def _train(
    training: Recording,
    maker: _Maker,
    connected: bool,
    checkpoints: Path | None,
    callbacks: Iterable[Callback],
    seconds: float,
) -> Trained:
    """Train on the inner part until validation no longer improves, then as long on all of the training time."""
    plan, began = maker.plan, time.perf_counter()
    if maker.rule is None:
        network = maker.network(training, connected=connected)
        return Trained(network, {}, seconds + time.perf_counter() - began, "", None)
    kind = "network" if connected else "without_connections"
    folder = None if checkpoints is None else checkpoints / kind
    inner, _ = training.split(plan.validation)
    validation = (training, inner.frames)
    stopping = EarlyStopping(VALIDATION, higher_is_better=True, patience=plan.patience, seconds=plan.seconds)
    chosen = _Training(inner, maker, connected, None if folder is None else folder / "choose")
    before = None if maker.choice is None else validation_score(chosen.network, validation)
    first = chosen.run(plan.epochs, [stopping, *callbacks], validation=validation)
    histories, seconds = {"choose": first.history}, seconds + first.elapsed
    if before is not None and (stopping.best is None or stopping.best <= before):
        # Without training the weights need not be kept from zero: this is the fit that no rule gives.
        network = dataclasses.replace(maker, rule=None).network(training, connected=connected)
        return Trained(network, histories, seconds, first.stopped_by or "", 0)
    if not plan.refit or not stopping.best_epoch:
        return Trained(chosen.network, histories, seconds, first.stopped_by or "", stopping.best_epoch)
    whole = _Training(training, maker, connected, None if folder is None else folder / "refit")
    second = whole.run(stopping.best_epoch, list(callbacks))
    histories["refit"] = second.history
    return Trained(whole.network, histories, seconds + second.elapsed, first.stopped_by or "", stopping.best_epoch)


class _Training:
    """One training run: a fresh network, its rule and its loader."""

    def __init__(self, train: Recording, maker: _Maker, connected: bool, folder: Path | None) -> None:
        assert maker.rule is not None
        self.network = maker.network(train, connected=connected)
        self.rule = maker.plan.build_rule(maker.rule, self.network, maker.plan.frames(train)[0])
        self.loader = maker.plan.loader(train, seed=maker.seed)
        self.folder = folder

    def run(
        self, epochs: int, callbacks: list[Callback], *, validation: tuple[Recording, int] | None = None
    ) -> Trainer:
        """Train, or continue from the checkpoints in the folder."""
        if self.folder is not None:
            callbacks = [*callbacks, Checkpoint(self.folder, every_seconds=CHECKPOINT_SECONDS)]
        metrics = {} if validation is None else {VALIDATION: validation_score}
        trainer = Trainer(self.rule, callbacks=callbacks, metrics=metrics)
        saved = self.folder if self.folder is not None and has_state(self.folder) else None
        trainer.fit(self.loader, validation, epochs=epochs, resume_from=saved)
        raise_if_interrupted(trainer)
        return trainer
