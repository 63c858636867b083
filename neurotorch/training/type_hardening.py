"""Types that are inferred while a network trains, decided one after the other."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from neurotorch.connections.hardening import harden_types
from neurotorch.connections.inferred_types import Inference
from neurotorch.core.checks import check_fraction
from neurotorch.training.callback import Callback

if TYPE_CHECKING:
    from neurotorch.training.trainer import Trainer

logger = logging.getLogger(__name__)


class TypeHardening(Callback):
    """Decide the types of `Dale.inferred` between two moments of a fit, the plainest neurons first.

    With the progress ``p = finished epochs / epochs``, after each epoch the share ::

        0                             while p < begin
        (p - begin) / (end - begin)   until p = end,    1 from then on

    of the neurons is decided by `harden_types`. Before `begin` they are free; after `end` the law holds.
    What was decided is part of the network, and of every checkpoint of it.

    Parameters
    ----------
    begin, end : float
        Fractions in 0..1 of the fit; at `begin` the weights shall have found their signs.
    otherwise : int, optional
        Sign of neurons that lean to no side, as for `harden_types`; without it they end the fit with an error.

    Raises
    ------
    ValueError
        If `begin` and `end` are not in 0..1 or not in order.
    """

    def __init__(self, begin: float = 0.5, end: float = 0.8, *, otherwise: int | None = None) -> None:
        self.begin, self.end = check_fraction("begin", begin), check_fraction("end", end)
        if self.begin > self.end:
            raise ValueError(f"`begin` is {begin:g} and `end` {end:g}, but types begin to be decided before all are.")
        self.otherwise = otherwise

    def on_fit_start(self, trainer: Trainer) -> None:
        """Say so if there is nothing to infer."""
        if not any(isinstance(each, Inference) for each in trainer.network.modules()):
            logger.warning(
                "TypeHardening decides types that are being inferred, but the network has none: give its connections "
                "`dale=Dale.inferred(...)`, or leave the callback out."
            )

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Decide those whose turn it is."""
        progress = trainer.epoch / trainer.epochs
        if progress < self.begin:
            return
        # With begin and end at one moment, all are decided then.
        share = 1.0 if progress >= self.end else (progress - self.begin) / (self.end - self.begin)
        harden_types(trainer.network, fraction=share, otherwise=self.otherwise)
