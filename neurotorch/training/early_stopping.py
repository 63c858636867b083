"""Stop when training no longer helps, is good enough, or has taken long enough; keep the best parameters."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from neurotorch.core.checks import check_count, check_positive, nearest
from neurotorch.training.callback import Callback

if TYPE_CHECKING:
    from neurotorch.learning.base import BatchReport
    from neurotorch.training.trainer import Trainer

logger = logging.getLogger(__name__)


class EarlyStopping(Callback):
    """Watch one column of the history; stop the fit by ``"patience"``, ``"target"`` or ``"time"``.

    Parameters
    ----------
    monitor
        The column: a metric, ``"loss"``, or a term of the loss.
    higher_is_better
        The direction of `monitor`: True for a score, False for a loss.
    patience
        Stop after so many epochs in a row without a new best. None: never.
    min_delta
        A value is a new best only if it is better by more than this, in units of `monitor`.
    target
        Stop once `monitor` is at least this good. None: never.
    seconds
        Stop once the fit has taken so long, time before a restart included; checked after every batch. None: never.
    restore_best
        Whether the network has the parameters of its best epoch when the fit ends, however it ends. Here too a new best
        is one that is better by more than `min_delta`.

    Attributes
    ----------
    best, best_epoch
        The best value so far and its epoch (from 1), None before there is one. NaN is never the best.
    waited
        Epochs since then.
    """

    def __init__(
        self,
        monitor: str,
        *,
        higher_is_better: bool,
        patience: int | None = None,
        min_delta: float = 0.0,
        target: float | None = None,
        seconds: float | None = None,
        restore_best: bool = True,
    ) -> None:
        self.monitor = monitor
        self.higher_is_better = higher_is_better
        self.patience = None if patience is None else check_count("patience", patience)
        if not min_delta >= 0:
            raise ValueError(
                f"`min_delta` is {min_delta:g}, but it says how much better a new best must be: at least 0."
            )
        self.min_delta = min_delta
        self.target = target
        self.seconds = None if seconds is None else check_positive("seconds", seconds, "s")
        self.restore_best = restore_best
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.waited = 0
        self._best_parameters: dict[str, torch.Tensor] | None = None

    def on_fit_start(self, trainer: Trainer) -> None:
        """Stop at once a resumed run that had already come to its end."""
        self._stop_if_due(trainer)

    def on_batch_end(self, trainer: Trainer, report: BatchReport) -> None:
        """Look at the clock."""
        del report
        self._stop_if_late(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Compare the epoch with the best one."""
        row = trainer.history[-1]
        if self.monitor not in row:
            raise ValueError(
                f"`monitor` is {self.monitor!r}, but the history has {list(row)}.{nearest(self.monitor, row)}"
            )
        value = row[self.monitor]
        if self._is_better(value):
            self.best, self.best_epoch, self.waited = value, trainer.epoch, 0
            if self.restore_best:
                state = trainer.network.state_dict()
                self._best_parameters = {name: tensor.detach().clone() for name, tensor in state.items()}
        else:
            self.waited += 1
        self._stop_if_due(trainer)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Give the network its best parameters back."""
        if self._best_parameters is not None:
            trainer.network.load_state_dict(self._best_parameters)
            logger.info("restored the parameters of epoch %s (%s %s)", self.best_epoch, self.monitor, self.best)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, its epoch and its parameters, and the epochs waited since."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "waited": self.waited,
            "best_parameters": self._best_parameters,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state."""
        self.best, self.best_epoch, self.waited = state["best"], state["best_epoch"], state["waited"]
        self._best_parameters = state["best_parameters"]

    def _is_better(self, value: float) -> bool:
        if value != value:  # NaN
            return False
        sign = 1 if self.higher_is_better else -1
        return self.best is None or sign * (value - self.best) > self.min_delta

    def _stop_if_due(self, trainer: Trainer) -> None:
        sign = 1 if self.higher_is_better else -1
        if self.target is not None and self.best is not None and sign * (self.best - self.target) >= 0:
            trainer.stop("target")
        if self.patience is not None and self.waited >= self.patience:
            trainer.stop("patience")
        self._stop_if_late(trainer)

    def _stop_if_late(self, trainer: Trainer) -> None:
        if self.seconds is not None and trainer.elapsed >= self.seconds:
            trainer.stop("time")
