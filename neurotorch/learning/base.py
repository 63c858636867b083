"""What a learning rule is: it computes how a network should change on a batch, and applies that change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import nn


class BatchReport(NamedTuple):
    """What a rule says about one batch.

    Parameters
    ----------
    loss
        The quantity that is made small, averaged over the samples of the batch.
    samples
        How many samples that is: the weight of this batch in the mean over an epoch.
    terms
        Parts of the loss by name (such as a data term and a penalty), averaged likewise.
    """

    loss: float
    samples: int
    terms: Mapping[str, float] = MappingProxyType({})


class LearningRule(ABC):
    """A way of changing the parameters of a network: it knows the network and never the trainer.

    `compute` owns its loop over time. A rule that follows gradients writes them to ``parameter.grad`` in `compute` and
    steps its optimizer in `apply`; between the two a callback may look at the gradients or change them. A rule that
    owns its update, such as FORCE, updates in `compute` and does nothing in `apply`.

    Attributes
    ----------
    network
        What is trained.
    """

    network: nn.Module

    @abstractmethod
    def compute(self, batch: Any) -> BatchReport:
        """Work out the change that `batch` asks for, and return its loss."""

    @abstractmethod
    def apply(self) -> None:
        """Make the change."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return what the rule carries from batch to batch and the network does not: optimizer, traces, generators."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state that `state_dict` returned, so that training continues bit for bit."""


def check_rule(rule: Any) -> LearningRule:
    """Return `rule`, or raise if it is none."""
    if not isinstance(rule, LearningRule):
        raise TypeError(f"`rule` is a {type(rule).__name__}, but a Trainer takes a learning rule such as BPTT(...).")
    return rule
