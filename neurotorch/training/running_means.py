"""Means over an epoch, weighted by samples."""

from __future__ import annotations

from collections.abc import Mapping

from neurotorch.learning.base import BatchReport


class RunningMeans:
    """The mean loss and terms of the batches so far; a term counts the samples of the batches that have it."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._samples: dict[str, int] = {}

    def add(self, report: BatchReport) -> None:
        """Count a batch."""
        if report.samples < 1:
            raise ValueError(f"The rule reported {report.samples} samples for a batch, but a batch has at least 1.")
        for name in ("loss", "epoch", "seconds"):
            if name in report.terms:
                raise ValueError(f"The rule reported a term named {name!r}: name the parts of the loss otherwise.")
        for name, value in {"loss": report.loss, **report.terms}.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value) * report.samples
            self._samples[name] = self._samples.get(name, 0) + report.samples

    def means(self) -> dict[str, float]:
        """Return the means by name, the loss first."""
        return {name: total / self._samples[name] for name, total in self._sums.items()}

    def state_dict(self) -> dict[str, dict[str, float]]:
        """Return the sums and counts."""
        return {"sums": dict(self._sums), "samples": dict(self._samples)}

    def load_state_dict(self, state: Mapping[str, Mapping[str, float]]) -> None:
        """Take up sums and counts."""
        self._sums = dict(state["sums"])
        self._samples = {name: int(count) for name, count in state["samples"].items()}
