"""The progress of a fit on the command line: which network is trained, and a bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neurotorch.cli.console import say
from neurotorch.network import Network
from neurotorch.training import Progress

if TYPE_CHECKING:
    from neurotorch.training import Trainer


class PhasedProgress(Progress):
    """Name each phase of a fit before its bar, and let Ctrl-C end the whole fit instead of one phase."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(disable=True if quiet else None)
        self.quiet = quiet

    def on_fit_start(self, trainer: Trainer) -> None:
        """Name the phase and open the bar."""
        words = phase(trainer)
        if words and not self.quiet:
            say(words)
        super().on_fit_start(trainer)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Close the bar, and go on with the interrupt that the trainer took for the end of its own work only."""
        super().on_fit_end(trainer)
        if trainer.stopped_by == "interrupt":
            raise KeyboardInterrupt


def phase(trainer: Trainer) -> str:
    """Return what a trainer of `runs.fit` does, in words; under the literature's protocol the library says it."""
    if "p_variance" in trainer.metrics or not isinstance(trainer.network, Network):
        return ""
    connected = any(layer.recurrent is not None for layer in trainer.network.named_layers().values())
    what = "the network" if connected else "the same without connections"
    purpose = "finding the number of epochs" if trainer.metrics else "for that many epochs on all of the training time"
    started = f", continued after epoch {trainer.epoch}" if trainer.epoch or trainer.batch else ""
    return f"training {what}: {purpose}{started}"
