"""How a classifier is trained."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.optim.lr_scheduler import OneCycleLR

from neurotorch.core.checks import check_count, check_fraction, check_not_negative, check_positive, nearest
from neurotorch.learning import (
    BPTT,
    CrossEntropy,
    FiringRatePenalty,
    GradientRule,
    LastStep,
    MaximumOverTime,
    MeanOverTime,
    Pooling,
    SumOverTime,
)
from neurotorch.network import Network
from neurotorch.runs.training_plan import Rule, rule_name
from neurotorch.training import LearningRateSchedule

_MEAN = MeanOverTime()


@dataclass(frozen=True)
class ClassifierPlan:
    """A gradient rule with AdamW, its learning rate in one cycle: up over the first third, then down to nothing.

    Parameters
    ----------
    rule
        The class of a gradient rule: `BPTT` or `EProp`.
    epochs, batch_size
        Updates matter more than epochs: on the spoken digits batches of 32 did better than of 128.
    learning_rate, weight_decay, clip
        Of AdamW, at the top of the cycle; the decay acts on connections only. `clip` is the largest norm of the
        gradient, None for any.
    one_cycle
        Whether the learning rate runs through a cycle; otherwise it stays.
    pooling
        How the readout over time becomes one number for each class.
    smoothing
        Share of a label that is spread over all classes.
    validation
        Fraction of the training part that is not trained on.
    by_group
        Whether whole groups, such as speakers, are kept for validation.
    keep
        ``"last"``, or ``"best"``: the epoch of the highest accuracy on the validation part, which is then too high.
    firing_rate, firing_rate_strength
        In hertz: a penalty on rates that stray from it; None for none.
    """

    rule: Rule = BPTT
    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 4e-3
    weight_decay: float = 0.01
    clip: float | None = 1.0
    one_cycle: bool = True
    pooling: Pooling = _MEAN
    smoothing: float = 0.0
    validation: float = 0.1
    by_group: bool = False
    keep: str = "last"
    firing_rate: float | None = None
    firing_rate_strength: float = 1e-4

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            check_count(name, getattr(self, name))
        for name in ("learning_rate", "firing_rate_strength"):
            check_positive(name, getattr(self, name))
        if self.clip is not None:
            check_positive("clip", self.clip)
        check_not_negative("weight_decay", self.weight_decay)
        if self.firing_rate is not None:
            check_not_negative("firing_rate", self.firing_rate, "Hz")
        check_fraction("validation", self.validation)
        if self.keep not in ("last", "best"):
            raise ValueError(f"`keep` is {self.keep!r}, but it must be 'last' or 'best'.")
        CrossEntropy(self.pooling, smoothing=self.smoothing)
        made = self.rule.func if isinstance(self.rule, partial) else self.rule
        if not isinstance(made, type) or not issubclass(made, GradientRule):
            raise TypeError(f"`rule` is {self.rule!r}, but it must be the class of a gradient rule, such as BPTT.")

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**plain, "rule": rule_name(self.rule), "pooling": pooling_name(self.pooling)}

    def build_rule(self, network: Network) -> GradientRule:
        """Return the learning rule for a network."""
        connections = [connection.raw for connection in network.connections().values()]
        others = [p for p in network.parameters() if all(p is not raw for raw in connections)]
        groups = [
            {"params": connections, "weight_decay": self.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW([group for group in groups if group["params"]], lr=self.learning_rate)
        penalties = []
        if self.firing_rate is not None:
            penalties = [FiringRatePenalty(self.firing_rate, self.firing_rate_strength, dt=network.dt)]
        loss = CrossEntropy(self.pooling, smoothing=self.smoothing)
        return self.rule(network, loss, optimizer=optimizer, clip=self.clip, penalties=penalties)

    def schedules(self, batches: int) -> list[LearningRateSchedule]:
        """Return the callbacks that set the learning rate, for so many batches in an epoch."""
        if not self.one_cycle:
            return []
        steps = self.epochs * batches
        rate = self.learning_rate
        return [LearningRateSchedule(lambda optimizer: OneCycleLR(optimizer, rate, total_steps=steps), every="batch")]


def pooling_name(pooling: Pooling) -> str:
    """Return the name of a pooling on the command line: ``MeanOverTime`` is ``"mean"``."""
    return type(pooling).__name__.removesuffix("OverTime").removesuffix("Step").lower()


def pooling_named(name: str) -> Pooling:
    """Return the pooling of a name on the command line.

    Raises
    ------
    ValueError
        If there is none.
    """
    poolings = {pooling_name(p): p for p in (MeanOverTime(), MaximumOverTime(), LastStep(), SumOverTime())}
    if name not in poolings:
        raise ValueError(f"There is no pooling {name!r}; there are {list(poolings)}.{nearest(name, poolings)}")
    return poolings[name]
