"""The history on disk while the fit runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from neurotorch.core.storage import PathLike
from neurotorch.training.callback import Callback

if TYPE_CHECKING:
    from neurotorch.training.trainer import Trainer


class HistoryFile(Callback):
    """Write the history to a CSV file after every epoch, atomically.

    Parameters
    ----------
    path
        The file; one that exists is replaced after the first epoch.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write all rows so far."""
        trainer.history.write_csv(self.path)
