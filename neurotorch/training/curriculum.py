"""Plans that change while training: a callback that tells rule, loader and optimizer how far it has come."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from neurotorch.training.callback import Callback

if TYPE_CHECKING:
    from neurotorch.training.trainer import Trainer


class Curriculum(Callback):
    """Set ``progress`` (0 in the first epoch, towards 1 in the last) on the rule and the loader that have it.

    Parameters
    ----------
    learning_rate
        Factor of the optimizer's learning rate as a function of progress; 1 by default. The rate it multiplies is the
        one that each parameter group started with.
    """

    def __init__(self, learning_rate: Callable[[float], float] | None = None) -> None:
        self.learning_rate = learning_rate

    def on_epoch_start(self, trainer: Trainer) -> None:
        """Tell everyone."""
        progress = trainer.epoch / trainer.epochs
        for part in (trainer.rule, trainer.train):
            if hasattr(part, "progress"):
                part.progress = progress
        optimizer = getattr(trainer.rule, "optimizer", None)
        if self.learning_rate is None or optimizer is None:
            return
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
            group["lr"] = group["initial_lr"] * self.learning_rate(progress)
