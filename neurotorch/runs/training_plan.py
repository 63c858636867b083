"""How a network is trained on a recording."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import NoneType
from typing import Any

import numpy as np
import torch

from neurotorch import learning
from neurotorch.core.checks import check_count, check_fraction, check_positive, nearest
from neurotorch.core.seeds import torch_generator
from neurotorch.data import Recording, WindowLoader, Windows
from neurotorch.evaluation import HORIZONS, origins_between, r_squared
from neurotorch.evaluation.network_forecaster import NetworkForecaster
from neurotorch.learning import BPTT, GradientRule, MeanSquaredError, WarmUp
from neurotorch.network import Network
from neurotorch.runs.blueprint import Blueprint
from neurotorch.runs.warm_start import WarmStart
from neurotorch.training import Trainer

CHECKPOINT_SECONDS = 10.0
RULES = ("BPTT", "EProp")
"""Rules that train on windows under a forcing plan and that the command line names."""

VALIDATION = "validation_r2"
"""Column of the history: mean over horizons of the forecasts' R² on the validation part."""


Rule = Callable[..., GradientRule]
"""Called as ``rule(network, loss, optimizer=, forcing=, clip=)``: the class `BPTT`, or another like it."""


@dataclass(frozen=True)
class TrainingPlan:
    """A convex start where the model has one, and a gradient rule where it has none or where one is asked for.

    The rule trains on windows that begin under teacher forcing and end in a free run. The last part of the training
    time is kept for validation: training stops when the forecasts on it no longer improve. Then the network is trained
    anew on all of the training time, for as many epochs as were best; none if the start was.

    Parameters
    ----------
    warm_start
        Where training starts: `WarmStart()` or one of your own, False for a random start, or None: warm where the
        blueprint allows it, multi-timescale rate units with one step per frame.
    rule
        The class of a gradient rule, such as `BPTT`; None: nothing after a warm start, `BPTT` after a random one.
    warm_up, free
        Frames of a window under teacher forcing and in free run. Where `warm_up` is not stated it is 60, or a third of
        the longest segment if that is less.
    batch_size, batches
        Windows in a batch, batches in an epoch.
    epochs, patience, seconds
        The search for the number of epochs stops after so many epochs, so many without improvement, or so many seconds;
        training anew takes as long as its best part did.
    learning_rate, weight_decay, clip
        Of AdamW; the decay acts on connections only. `clip` is the largest norm of the gradient.
    validation
        Fraction of the training time.
    refit
        Whether to train anew on all of the training time; otherwise the best parameters are kept.
    """

    warm_start: WarmStart | bool | None = None
    rule: Rule | None = None
    warm_up: int | None = None
    free: int = 16
    batch_size: int = 32
    batches: int = 25
    epochs: int = 60
    patience: int = 10
    seconds: float | None = None
    learning_rate: float = 3e-3
    weight_decay: float = 1.0
    clip: float = 1.0
    validation: float = 0.2
    refit: bool = True

    def __post_init__(self) -> None:
        for name in ("free", "batch_size", "batches", "epochs", "patience"):
            check_count(name, getattr(self, name))
        for name in ("learning_rate", "clip"):
            check_positive(name, getattr(self, name))
        check_fraction("validation", self.validation)
        if not isinstance(self.warm_start, (WarmStart, bool, NoneType)):
            raise TypeError(
                f"`warm_start` is {self.warm_start!r}, but it must be a WarmStart(...), True, False, or None."
            )
        if isinstance(self.rule, str):
            raise TypeError(
                f"`rule` is the name {self.rule!r}, but it must be a class such as neurotorch.learning.EProp."
            )
        if self.rule is not None and (not callable(self.rule) or not _makes_rules(self.rule)):
            raise TypeError(f"`rule` is {self.rule!r}, but it must be a class of gradient rules such as BPTT, or None.")
        if self.warm_up is not None:
            check_count("warm_up", self.warm_up)
        if self.seconds is not None:
            check_positive("seconds", self.seconds, "s")

    def start(self, blueprint: Blueprint) -> WarmStart | None:
        """Return how the networks of a blueprint start, None for a random start.

        Raises
        ------
        ValueError
            If a warm start is asked for and they cannot.
        """
        reason = WarmStart.refusal(blueprint)
        if self.warm_start is False or (self.warm_start is None and reason is not None):
            return None
        if reason is not None:
            raise ValueError(f"The plan asks for a warm start, but {reason}: plan with `warm_start=False`.")
        return self.warm_start if isinstance(self.warm_start, WarmStart) else WarmStart()

    def rule_after(self, start: WarmStart | None) -> Rule | None:
        """Return the class of the rule that trains, None if nothing does."""
        return BPTT if self.rule is None and start is None else self.rule

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        names = (field.name for field in dataclasses.fields(self))
        plain = {name: getattr(self, name) for name in names}
        if isinstance(self.warm_start, WarmStart):
            plain["warm_start"] = self.warm_start.to_json()
        plain["rule"] = None if self.rule is None else rule_name(self.rule)
        return plain

    def build_rule(self, rule: Rule, network: Network, warm_up: int) -> GradientRule:
        """Return a learning rule for a network."""
        connections = [c.raw for c in network.connections().values()]
        connections += [junctions.raw for junctions in network.electrical_connections().values()]
        others = [p for p in network.parameters() if all(p is not raw for raw in connections)]
        groups = [
            {"params": connections, "weight_decay": self.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=self.learning_rate)
        # The first third of the warm-up finds the states; what is predicted meanwhile says little about the parameters.
        loss = MeanSquaredError(skip=warm_up // 3)
        return rule(network, loss, optimizer=optimizer, forcing=WarmUp(warm_up), clip=self.clip)

    def frames(self, train: Recording) -> tuple[int, int]:
        """Return the frames of warm-up and of the whole window for a recording."""
        longest = max(stop - start for start, stop in train.segments())
        warm_up = self.warm_up if self.warm_up is not None else max(1, min(60, longest // 3))
        return warm_up, warm_up + self.free

    def loader(self, train: Recording, *, seed: int) -> WindowLoader:
        """Return the loader of windows."""
        warm_up, length = self.frames(train)
        longest = max(stop - start for start, stop in train.segments())
        if length > longest:
            raise ValueError(
                f"A window has {warm_up} frames of warm-up and {self.free} free ones, {length} in all, but the longest "
                f"segment to train on has {longest}: shorten `warm_up` or `free`."
            )
        generator = torch_generator(seed, "windows")
        return WindowLoader(Windows(train, length), self.batch_size, generator=generator, batches=self.batches)


def _makes_rules(rule: Rule) -> bool:
    """Return whether a class is one of gradient rules; what a function returns cannot be known."""
    made = rule.func if isinstance(rule, partial) else rule
    return not isinstance(made, type) or issubclass(made, GradientRule)


def rule_name(rule: Rule) -> str:
    """Return the name of a rule on the command line and in reports: ``BPTT`` is ``"bptt"``.

    A `functools.partial` is named with its arguments, as in ``"truncatedbptt(k1=10, k2=20)"``.
    """
    if isinstance(rule, partial):
        plain = (int, float, str, NoneType)
        given = (f"{k}={v!r}" if isinstance(v, plain) else f"{k}={type(v).__name__}" for k, v in rule.keywords.items())
        return f"{rule_name(rule.func)}({', '.join(given)})"
    return str(getattr(rule, "__name__", type(rule).__name__)).lower()


def rule_named(name: str) -> Rule:
    """Return the class of a gradient rule by its name on the command line: ``"bptt"`` or ``"eprop"``.

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    rules: dict[str, Rule] = {rule.lower(): getattr(learning, rule) for rule in RULES if rule in learning.__all__}
    if name not in rules:
        raise ValueError(f"There is no rule {name!r}; there are {sorted(rules)}.{nearest(name, rules)}")
    return rules[name]


def raise_if_interrupted(trainer: Trainer) -> None:
    """Go on with Ctrl-C, which the trainer took as the wish to stop: a run of several trainings ends as a whole."""
    if trainer.stopped_by == "interrupt":
        raise KeyboardInterrupt


def validation_score(network: torch.nn.Module, validation: tuple[Recording, int]) -> float:
    """Return the mean over horizons of the pooled R² of forecasts from every frame of the validation part.

    `validation` is a recording and the frame at which its validation part starts.
    """
    assert isinstance(network, Network)
    recording, start = validation
    fits = [h for h in HORIZONS if len(origins_between(recording, start, recording.frames, horizon=h)) > 1]
    if not fits:
        raise ValueError(
            f"The validation part has {recording.frames - start} frames, too few for a forecast: keep a larger "
            "fraction for it, or fit a longer recording."
        )
    steps = max(fits)
    origins = origins_between(recording, start, recording.frames, horizon=steps)
    forecasts = NetworkForecaster(network, warm_up=60).forecast(recording, origins, steps)
    mean = recording.activity[start:][recording.valid[start:]].mean(axis=0)
    scores = [r_squared(recording.activity[origins + h], forecasts[:, h - 1], reference=mean) for h in fits]
    return float(np.mean(scores))
