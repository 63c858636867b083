"""The trainer: it hands batches to a learning rule, calls the callbacks, and can stop and continue anywhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from neurotorch.core.checks import check_count
from neurotorch.core.storage import PathLike, load_state
from neurotorch.learning.base import LearningRule, check_rule
from neurotorch.training.callback import Callback
from neurotorch.training.callback_list import CallbackList
from neurotorch.training.environment import environment, warn_of_differences
from neurotorch.training.history import History
from neurotorch.training.non_finite import computed
from neurotorch.training.resumable import ResumableLoader, load_loader_state, loader_state, remaining
from neurotorch.training.running_means import RunningMeans

logger = logging.getLogger(__name__)


class Trainer:
    """Train the network of a rule, epoch by epoch.

    Parameters
    ----------
    rule
        What computes and applies the changes.
    callbacks
        Called in this order, save that those with ``runs_last`` come after the others.
    metrics
        ``metric(network, validation) -> float`` by name, evaluated after every epoch in evaluation mode,
        without gradients.

    Attributes
    ----------
    epoch, batch : int
        Finished epochs, and finished batches of the running one.
    epochs : int
        Where the fit ends; `train` is what it iterates.
    history : History
        One row per finished epoch.
    stopped_by : str or None
        Why the fit ended: ``"epochs"``, ``"interrupt"``, ``"error"``, or what `stop` was given; None while it goes on.
    """

    def __init__(
        self,
        rule: LearningRule,
        *,
        callbacks: Iterable[Callback] = (),
        metrics: Mapping[str, Callable[[nn.Module, Any], float]] | None = None,
    ) -> None:
        self.rule = check_rule(rule)
        self.network = rule.network
        self.callbacks = CallbackList(callbacks)
        self.metrics = dict(metrics or {})
        if taken := {"epoch", "loss", "seconds"} & set(self.metrics):
            raise ValueError(f"`metrics` uses the names {sorted(taken)}, which the history has already: rename them.")
        self.history, self._means = History(), RunningMeans()
        self.epoch = self.batch = self.epochs = 0
        self.stopped_by: str | None = None
        self.train: Iterable[Any] = ()
        self._elapsed = self._epoch_started = 0.0
        self._running_since: float | None = None
        self._random: list[torch.Tensor] | None = None

    @property
    def elapsed(self) -> float:
        """Seconds spent in `fit`, those before a restart included."""
        return self._elapsed + (0.0 if self._running_since is None else time.perf_counter() - self._running_since)

    def stop(self, reason: str) -> None:
        """End the fit after the running batch; the first reason counts."""
        self.stopped_by = self.stopped_by or reason

    def fit(
        self, train: Iterable[Any], validation: Any = None, *, epochs: int, resume_from: PathLike | None = None
    ) -> History:
        """Train until `epochs` epochs are finished, those of earlier calls and of a resumed run included.

        Parameters
        ----------
        train
            Iterated once per epoch. A `ResumableLoader` is resumed inside an epoch by its state; of anything else the
            finished batches are skipped, so it must then come in the same order again.
        validation
            Given to the metrics.
        epochs
            The number of epochs in all.
        resume_from
            Folder of a `Checkpoint` to continue from: on the same machine, versions and number of threads bit for bit.

        Raises
        ------
        NonFiniteError
            If a loss or gradient is NaN or infinite.
        """
        self.train, self.epochs, self.stopped_by = train, check_count("epochs", epochs), None
        if self.metrics and validation is None:
            raise ValueError(
                f"`validation` is missing, but the metrics {list(self.metrics)} need it: pass it to `fit`."
            )
        if resume_from is not None:
            self.load_state_dict(load_state(resume_from))
        elif self.batch and isinstance(train, ResumableLoader):
            train.load_state_dict(train.state_dict())
        self._running_since = time.perf_counter()
        try:
            self.callbacks.call("on_fit_start", self)
            self._restore_random(keep=self.batch > 0)
            while self.epoch < self.epochs and self.stopped_by is None:
                self._run_epoch(validation)
            self.stop("epochs")
        except KeyboardInterrupt:
            self.stopped_by = "interrupt"
        except BaseException:
            self.stopped_by = "error"
            raise
        finally:
            self.callbacks.call("on_fit_end", self)
            self._elapsed, self._running_since = self.elapsed, None
            logger.info("stopped by %s after %d epochs, %.1f s", self.stopped_by, self.epoch, self._elapsed)
        return self.history

    def state_dict(self) -> dict[str, Any]:
        """Return all that training depends on, for `neurotorch.core.storage.save_state`; taken between two batches."""
        return {
            "environment": environment(),
            "epoch": self.epoch,
            "batch": self.batch,
            "elapsed": self.elapsed,
            "epoch_started": self._epoch_started,
            "means": self._means.state_dict(),
            "history": self.history.state_dict(),
            "parameters": self.network.state_dict(),
            "rule": self.rule.state_dict(),
            "random": [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else ())],
            "train": loader_state(self.train),
            "callbacks": self.callbacks.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state; a `ResumeWarning` says what may keep the run from continuing bit for bit."""
        warn_of_differences(state["environment"])
        self.epoch, self.batch, self._elapsed = state["epoch"], state["batch"], state["elapsed"]
        self._epoch_started, self._random = state["epoch_started"], state["random"]
        self._means.load_state_dict(state["means"])
        self.history.load_state_dict(state["history"])
        self.network.load_state_dict(state["parameters"])
        self.rule.load_state_dict(state["rule"])
        load_loader_state(self.train, state["train"], finished=self.batch)
        self.callbacks.load_state_dict(state["callbacks"])

    def _run_epoch(self, validation: Any) -> None:
        if self.batch == 0:
            self._means, self._epoch_started = RunningMeans(), self.elapsed
        self.callbacks.call("on_epoch_start", self)
        self._restore_random()
        self.network.train()
        for batch in remaining(self.train, finished=self.batch):
            report = computed(self.rule, batch, epoch=self.epoch, number=self.batch)
            self.callbacks.call("on_gradients", self, report)
            self.rule.apply()
            self._means.add(report)
            self.batch += 1
            self.callbacks.call("on_batch_end", self, report)
            if self.stopped_by is not None:
                return
        if self.batch == 0:
            raise ValueError(f"`train` has no batches in epoch {self.epoch + 1}: give a list or a loader.")
        self.history.append(self._row(validation))
        self.epoch, self.batch = self.epoch + 1, 0
        self.callbacks.call("on_epoch_end", self)

    def _row(self, validation: Any) -> dict[str, float]:
        means = self._means.means()
        if taken := means.keys() & self.metrics.keys():
            raise ValueError(f"{sorted(taken)} are terms of the loss and metrics: rename the metrics.")
        self.network.eval()
        with torch.no_grad():
            scores = {name: float(metric(self.network, validation)) for name, metric in self.metrics.items()}
        self.network.train()
        return {"epoch": self.epoch + 1, **means, **scores, "seconds": self.elapsed - self._epoch_started}

    def _restore_random(self, *, keep: bool = False) -> None:
        """Put torch's default generators back where the saved run had them, whatever callbacks have drawn since."""
        if self._random is not None:
            torch.set_rng_state(self._random[0])
            for device, state in enumerate(self._random[1:]):
                torch.cuda.set_rng_state(state, device)
            self._random = self._random if keep else None
