"""The doctor while training."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from neurotorch.analysis.doctor.examine import examine
from neurotorch.analysis.doctor.look import check_batch
from neurotorch.core.checks import check_count, check_fraction
from neurotorch.data.windows import Batch
from neurotorch.network.network import Network
from neurotorch.training.callback import Callback

if TYPE_CHECKING:
    from neurotorch.training.trainer import Trainer

logger = logging.getLogger(__name__)


class Doctor(Callback):
    """Examine the network before training and after every few epochs, and log what is found as warnings.

    Training goes on as without it, bit for bit. A fault of a layer is logged when it comes up, and again when it has
    gone; in between it is only kept in `rows`.

    Parameters
    ----------
    batch
        What the network is examined on: see `examine`.
    every
        Finished epochs between two examinations.
    frames, tolerance, prescribe
        As `examine` takes them.

    Attributes
    ----------
    rows
        ``epoch`` (finished), ``layer``, ``fault``, ``neurons`` (how many), ``value`` (as measured), ``text``.
    """

    def __init__(
        self,
        batch: Batch | Tensor | None = None,
        *,
        every: int = 10,
        frames: int = 200,
        tolerance: float = 0.05,
        prescribe: bool = True,
    ) -> None:
        check_batch(batch)
        self.batch = batch
        self.every = check_count("every", every)
        self.frames = check_count("frames", frames)
        self.tolerance = check_fraction("tolerance", tolerance)
        self.prescribe = prescribe
        self.rows: list[dict[str, Any]] = []
        self._present: set[tuple[str, str]] = set()

    def on_fit_start(self, trainer: Trainer) -> None:
        """Examine before the first epoch."""
        if trainer.epoch == 0 and trainer.batch == 0:
            self._examine(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Examine if it is time."""
        if trainer.epoch % self.every == 0:
            self._examine(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, and the faults that are present."""
        return {"rows": [dict(row) for row in self.rows], "present": [list(each) for each in sorted(self._present)]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take them up."""
        self.rows = [dict(row) for row in state["rows"]]
        self._present = {(layer, fault) for layer, fault in state["present"]}

    def _examine(self, trainer: Trainer) -> None:
        if not isinstance(trainer.network, Network):
            raise TypeError(f"Doctor examines a Network, not a {type(trainer.network).__name__}.")
        found = examine(
            trainer.network, self.batch, frames=self.frames, tolerance=self.tolerance, prescribe=self.prescribe
        )
        present = {(finding.layer, finding.fault) for finding in found.findings}
        for finding in found.findings:
            row = {"epoch": trainer.epoch, "layer": finding.layer, "fault": finding.fault}
            self.rows.append({**row, "neurons": len(finding.neurons), "value": finding.value, "text": str(finding)})
            if (finding.layer, finding.fault) not in self._present:
                logger.warning("after epoch %d, %s", trainer.epoch, finding)
        for layer, fault in sorted(self._present - present):
            logger.info("after epoch %d, %s: no longer %s", trainer.epoch, layer, fault)
        self._present = present
