"""Save a run while it trains, so that it can be resumed bit for bit."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from neurotorch.core.checks import check_count, check_positive
from neurotorch.core.storage import PathLike, has_state, save_state
from neurotorch.training.callback import Callback

if TYPE_CHECKING:
    from neurotorch.learning.base import BatchReport
    from neurotorch.training.trainer import Trainer

logger = logging.getLogger(__name__)


class Checkpoint(Callback):
    """Publish ``trainer.state_dict()`` in a folder: every few epochs, and when the fit stops between two batches.

    Resume with ``trainer.fit(..., resume_from=folder)``. A process killed at any moment, or a full disk,
    leaves the last checkpoint complete.

    Parameters
    ----------
    folder
        Made if it is missing. It keeps the newest checkpoint only.
    every_epochs
        Save after each so many epochs.
    every_batches
        Save also after each so many batches of an epoch. None: not by batches.
    every_seconds
        Save also at the end of the first batch after so many seconds. None: not by time.
    """

    runs_last: ClassVar[bool] = True

    def __init__(
        self,
        folder: PathLike,
        *,
        every_epochs: int = 1,
        every_batches: int | None = None,
        every_seconds: float | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.every_epochs = check_count("every_epochs", every_epochs)
        self.every_batches = None if every_batches is None else check_count("every_batches", every_batches)
        self.every_seconds = None if every_seconds is None else check_positive("every_seconds", every_seconds, "s")
        self._saved_at = 0.0

    def on_fit_start(self, trainer: Trainer) -> None:
        """Refuse to overwrite the checkpoint of another run."""
        self._saved_at = trainer.elapsed
        if trainer.epoch == trainer.batch == 0 and has_state(self.folder):
            raise FileExistsError(
                f"`{self.folder}` holds a checkpoint already: continue that run with "
                f"`fit(..., resume_from={str(self.folder)!r})`, or use another folder."
            )

    def on_batch_end(self, trainer: Trainer, report: BatchReport) -> None:
        """Save if it is time, or if the fit stops here."""
        del report
        by_batches = self.every_batches is not None and trainer.batch % self.every_batches == 0
        by_time = self.every_seconds is not None and trainer.elapsed - self._saved_at >= self.every_seconds
        if by_batches or by_time or trainer.stopped_by is not None:
            self._save(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Save if it is time, or if the fit ends here."""
        ends = trainer.stopped_by is not None or trainer.epoch >= trainer.epochs
        if ends or trainer.epoch % self.every_epochs == 0:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        save_state(self.folder, trainer.state_dict())
        self._saved_at = trainer.elapsed
        logger.debug("checkpoint after epoch %d, batch %d in %s", trainer.epoch, trainer.batch, self.folder)
