"""How close a rule's gradients stay to those of BPTT while a network trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neurotorch.core.checks import check_count
from neurotorch.data.windows import Batch
from neurotorch.learning.audit import compare_gradients
from neurotorch.learning.gradient_rule import GradientRule
from neurotorch.network.network import Network
from neurotorch.training.callback import Callback

if TYPE_CHECKING:
    import pandas as pd

    from neurotorch.learning.base import BatchReport
    from neurotorch.training.trainer import Trainer


class GradientAudit(Callback):
    """Keep a table of what `compare_gradients` finds on one batch, before training and after every few batches.

    Training goes on as without it, bit for bit. The same batch is used throughout, so that rows can be compared; it
    costs one gradient of every rule each time.

    Parameters
    ----------
    rules
        Name to rule, all on the network that is trained; a `BPTT` is among them. Their own optimizers are never
        stepped. The one that trains may be among them, too.
    batch
        What gradients are taken on.
    every
        Finished batches of the fit between two comparisons.

    Attributes
    ----------
    rows
        ``epoch`` and ``batch`` (both finished), ``rule``, ``parameter`` (``"all"``: the whole gradient), ``cosine``,
        ``norm_ratio``.
    """

    def __init__(self, rules: Mapping[str, GradientRule], batch: Batch, *, every: int = 100) -> None:
        self.rules, self.batch = dict(rules), batch
        self.every = check_count("every", every)
        self.rows: list[dict[str, Any]] = []
        self._finished = 0

    def to_frame(self) -> pd.DataFrame:
        """Return the rows as a table."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def on_fit_start(self, trainer: Trainer) -> None:
        """Compare before the first batch."""
        if not self.rows:
            self._compare(trainer)

    def on_batch_end(self, trainer: Trainer, report: BatchReport) -> None:
        """Compare if it is time."""
        del report
        self._finished += 1
        if self._finished % self.every == 0:
            self._compare(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, and the number of finished batches."""
        return {"rows": [dict(row) for row in self.rows], "finished": self._finished}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take them up."""
        self.rows, self._finished = [dict(row) for row in state["rows"]], int(state["finished"])

    def _compare(self, trainer: Trainer) -> None:
        if not isinstance(trainer.network, Network):
            raise TypeError(
                f"GradientAudit compares gradients of a Network, not of a {type(trainer.network).__name__}."
            )
        kept = {name: rule.progress for name, rule in self.rules.items()}
        if isinstance(trainer.rule, GradientRule):
            for rule in self.rules.values():
                rule.progress = trainer.rule.progress
        try:
            found = compare_gradients(trainer.network, self.batch, self.rules, repeats=0, memory=False)
        finally:
            for name, rule in self.rules.items():
                rule.progress = kept[name]
        place = {"epoch": trainer.epoch, "batch": trainer.batch}
        self.rows.extend({**place, **row._asdict()} for row in found.agreements)
