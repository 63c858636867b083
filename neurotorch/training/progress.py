"""A progress bar."""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING, Any, TextIO

from neurotorch.training.callback import Callback

if TYPE_CHECKING:
    from neurotorch.learning.base import BatchReport
    from neurotorch.training.trainer import Trainer


class Progress(Callback):
    """Show the epoch, the loss, the metrics of the last epoch and the time left.

    Parameters
    ----------
    file
        Where to write; standard error if None.
    disable
        True shows nothing; None shows the bar only on a terminal.
    """

    def __init__(self, *, file: TextIO | None = None, disable: bool | None = None) -> None:
        self.file = file
        self.disable = disable
        self._bar: Any = None
        self._per_epoch: int | None = None
        self._scores: dict[str, str] = {}

    def on_fit_start(self, trainer: Trainer) -> None:
        """Open the bar; it counts batches where the number of batches is known, epochs otherwise."""
        from tqdm import tqdm

        self._scores = {}

        self._per_epoch = len(trainer.train) if isinstance(trainer.train, Sized) else None
        per_epoch = self._per_epoch or 1
        self._bar = tqdm(
            total=trainer.epochs * per_epoch,
            initial=trainer.epoch * per_epoch + (trainer.batch if self._per_epoch else 0),
            unit="batch" if self._per_epoch else "epoch",
            file=self.file,
            disable=self.disable,
            dynamic_ncols=True,
        )
        self._show(trainer)

    def on_batch_end(self, trainer: Trainer, report: BatchReport) -> None:
        """Move on by a batch."""
        self._show(trainer, loss=report.loss)
        if self._per_epoch:
            self._bar.update()

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Show the mean loss and the metrics of the epoch."""
        row = trainer.history[-1]
        self._scores = {name: f"{row[name]:.4g}" for name in trainer.metrics}
        self._show(trainer, loss=row["loss"])
        if not self._per_epoch:
            self._bar.update()

    def on_fit_end(self, trainer: Trainer) -> None:
        """Close the bar, leaving its last line."""
        del trainer
        if self._bar is not None:
            self._bar.close()

    def _show(self, trainer: Trainer, *, loss: float | None = None) -> None:
        shown = {} if loss is None else {"loss": f"{loss:.4g}"}
        self._bar.set_description(f"epoch {min(trainer.epoch + 1, trainer.epochs)}/{trainer.epochs}", refresh=False)
        self._bar.set_postfix(shown | self._scores, refresh=False)
