"""The learning rate schedulers of torch, stepped while a network trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from neurotorch.core.checks import nearest
from neurotorch.learning.gradient_rule import GradientRule
from neurotorch.training.callback import Callback
from neurotorch.training.curriculum import Curriculum

if TYPE_CHECKING:
    from neurotorch.learning.base import BatchReport
    from neurotorch.training.trainer import Trainer


class LearningRateSchedule(Callback):
    """Step a scheduler of `torch.optim.lr_scheduler` with the optimizer of a `GradientRule`.

    Its state is part of every checkpoint, and a resumed run has the rates that it would have had.

    Parameters
    ----------
    scheduler
        A scheduler of the rule's optimizer, or a function from that optimizer to one, such as
        ``lambda optimizer: OneCycleLR(optimizer, 0.01, total_steps=1000)``; it is called when the fit starts.
    every
        ``"epoch"``: after each epoch. ``"batch"``: after each batch in which the optimizer was stepped, which is every
        k-th under ``accumulate=k``; several updates within a batch count once.
    monitor
        The column of the history that a `ReduceLROnPlateau` watches; needed by it, and by no other.

    Attributes
    ----------
    scheduler
        The scheduler, None before a function was called.

    Raises
    ------
    ValueError
        If `every` is neither word, or the scheduler is one of another optimizer, or a `Curriculum` sets learning rates,
        too, or `monitor` and scheduler do not fit together, or the history has no such column.
    TypeError
        If the rule has no optimizer, or the function returns no scheduler.
    """

    def __init__(
        self,
        scheduler: LRScheduler | Callable[[Optimizer], LRScheduler],
        *,
        every: Literal["batch", "epoch"] = "epoch",
        monitor: str | None = None,
    ) -> None:
        if every not in ("batch", "epoch"):
            raise ValueError(f"`every` is {every!r}, but it must be 'batch' or 'epoch'.")
        self.every, self.monitor = every, monitor
        self.scheduler: LRScheduler | None = None
        self._build: Callable[[Optimizer], LRScheduler] | None = None
        if isinstance(scheduler, LRScheduler):
            self.scheduler = scheduler
            self._check_monitor(scheduler)
        elif callable(scheduler):
            self._build = scheduler
        else:
            raise TypeError(
                f"`scheduler` is a {type(scheduler).__name__}, but it must be a scheduler of torch.optim.lr_scheduler, "
                "or a function such as lambda optimizer: CosineAnnealingLR(optimizer, 100)."
            )
        self._loaded: Mapping[str, Any] | None = None
        self._steps = 0

    def on_fit_start(self, trainer: Trainer) -> None:
        """Build the scheduler, in a resumed run without touching the rates that the optimizer has."""
        optimizer = self._rule(trainer).optimizer
        if any(isinstance(other, Curriculum) and other.learning_rate is not None for other in trainer.callbacks):
            raise ValueError(
                "Both LearningRateSchedule and Curriculum(learning_rate=...) set the learning rate: use one of them."
            )
        if self.scheduler is None:
            self.scheduler = self._built(optimizer)
        if self.scheduler.optimizer is not optimizer:
            raise ValueError(
                "The scheduler is one of another optimizer than that of the rule: build it with rule.optimizer, or "
                "give a function such as lambda optimizer: CosineAnnealingLR(optimizer, 100)."
            )
        self._steps = self._rule(trainer).steps

    def on_batch_end(self, trainer: Trainer, report: BatchReport) -> None:
        """Step, if batches count and the optimizer was stepped."""
        del report
        steps = self._rule(trainer).steps
        if self.every == "batch" and steps > self._steps:
            self._stepped().step()
        self._steps = steps

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Step, if epochs count."""
        if self.every == "batch":
            return
        scheduler: Any = self._stepped()
        if self.monitor is None:
            scheduler.step()
            return
        row = trainer.history[-1]
        if self.monitor not in row:
            raise ValueError(
                f"`monitor` is {self.monitor!r}, but the history has {list(row)}.{nearest(self.monitor, row)}"
            )
        scheduler.step(row[self.monitor])

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the scheduler, None before it is built."""
        return {"scheduler": self._loaded if self.scheduler is None else self.scheduler.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state, now or as soon as the scheduler is built."""
        self._loaded = state["scheduler"]
        if self.scheduler is not None and self._loaded is not None:
            self.scheduler.load_state_dict(dict(self._loaded))

    def _built(self, optimizer: Optimizer) -> LRScheduler:
        assert self._build is not None
        # Deep, since schedulers write into learning rates that are tensors.
        groups = deepcopy([{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups])
        scheduler = self._build(optimizer)
        if not isinstance(scheduler, LRScheduler):
            raise TypeError(
                f"The function given to LearningRateSchedule returned a {type(scheduler).__name__}, but it must return "
                "a scheduler of torch.optim.lr_scheduler."
            )
        self._check_monitor(scheduler)
        if self._loaded is not None:
            # Building it set the rates of a first step: put back those that were saved with the optimizer.
            for group, saved in zip(optimizer.param_groups, groups, strict=True):
                group.update(saved)
            scheduler.load_state_dict(dict(self._loaded))
        return scheduler

    def _stepped(self) -> LRScheduler:
        assert self.scheduler is not None  # the fit has started
        return self.scheduler

    def _check_monitor(self, scheduler: LRScheduler) -> None:
        watches = isinstance(scheduler, ReduceLROnPlateau)
        if watches != (self.monitor is not None) or (watches and self.every == "batch"):
            raise ValueError(
                f"`monitor` is {self.monitor!r} and `every` {self.every!r}, but a ReduceLROnPlateau needs the name of "
                "a column of the history and every='epoch', and no other scheduler watches one; this is a "
                f"{type(scheduler).__name__}."
            )

    @staticmethod
    def _rule(trainer: Trainer) -> GradientRule:
        if not isinstance(trainer.rule, GradientRule):
            raise TypeError(
                f"{type(trainer.rule).__name__} has no optimizer whose learning rate a scheduler could set: leave out "
                "LearningRateSchedule."
            )
        return trainer.rule
