"""Types that are inferred while a network trains: the moment at which they become hard."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from neurotorch.connections.hardening import check_otherwise, harden_types
from neurotorch.connections.inferred_types import Inference
from neurotorch.core.checks import check_fraction
from neurotorch.training.callback import Callback

if TYPE_CHECKING:
    from neurotorch.training.trainer import Trainer

logger = logging.getLogger(__name__)


class TypeHardening(Callback):
    """Decide the types of `Dale.inferred` in the midst of a fit.

    Before, the neurons in question are free, and their weights shall find their signs; then `harden_types` decides them
    all, and the rest of the fit is under the law. What was decided is part of the network, and of every checkpoint.

    Parameters
    ----------
    at : float
        The fraction in 0..1 of the fit's epochs after which types are decided: at the end of the first epoch with
        ``finished epochs / epochs >= at``.
    otherwise : int, optional
        Sign of neurons that lean to no side, as for `harden_types`; without it they end the fit with an error.

    Raises
    ------
    ValueError
        If `at` is not in 0..1, or `otherwise` is no type.
    """

    def __init__(self, at: float = 0.5, *, otherwise: int | None = None) -> None:
        check_otherwise(otherwise)
        self.at, self.otherwise = check_fraction("at", at), otherwise

    def on_fit_start(self, trainer: Trainer) -> None:
        """Say so if there is nothing to infer."""
        if not any(isinstance(each, Inference) for each in trainer.network.modules()):
            logger.warning(
                "TypeHardening decides types that are being inferred, but the network has none: give its connections "
                "`dale=Dale.inferred(...)`, or leave the callback out."
            )

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Decide the types, if it is time."""
        if trainer.epoch >= self.at * trainer.epochs:
            harden_types(trainer.network, otherwise=self.otherwise)
