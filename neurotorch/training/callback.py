"""What a callback is: something that looks on, or steps in, at seven moments of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from neurotorch.core.checks import nearest

if TYPE_CHECKING:
    from neurotorch.learning.base import BatchReport
    from neurotorch.training.trainer import Trainer


class Callback:
    """The hooks of a fit, all of which do nothing here: override those that matter.

    ``trainer.epoch`` and ``trainer.batch`` count what is *finished*. They are therefore the index of the running epoch
    and batch from `on_epoch_start` to `on_gradients`; in `on_batch_end` and `on_epoch_end` the one that just ended is
    counted, and in `on_epoch_end` ``trainer.batch`` is 0 again.

    Attributes
    ----------
    runs_last
        Whether the hooks run after those of all other callbacks, so that what the others did is seen.

    Raises
    ------
    TypeError
        When a class is defined with a method that looks like a hook and is none, since it would never be called.
    """

    runs_last: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        hooks = [name for name in vars(Callback) if name.startswith("on_")]
        for name in vars(cls):
            if name.startswith("on_") and name not in hooks:
                guess = nearest(name, hooks)
                raise TypeError(f"`{cls.__name__}.{name}` would never be called: the hooks are {hooks}.{guess}")

    def on_fit_start(self, trainer: Trainer) -> None:
        """Before the first epoch; a run that is resumed has its state back."""

    def on_epoch_start(self, trainer: Trainer) -> None:
        """Before the first batch of an epoch; called once more when a run is resumed inside the epoch."""

    def on_gradients(self, trainer: Trainer, report: BatchReport) -> None:
        """After the rule computed and before it applies: gradients may be looked at or changed."""

    def on_batch_end(self, trainer: Trainer, report: BatchReport) -> None:
        """After the rule applied."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """After the metrics; the row of the epoch is ``trainer.history[-1]``."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last epoch, also when the fit was interrupted or failed (``trainer.stopped_by`` says which)."""

    def state_dict(self) -> dict[str, Any]:
        """Return what must survive a restart: nested dicts and lists of plain values and tensors."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state that `state_dict` returned."""
        del state
