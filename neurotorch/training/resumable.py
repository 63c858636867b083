"""Batches that can be continued in the middle of an epoch."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol, runtime_checkable

from neurotorch.training.environment import ResumeWarning


@runtime_checkable
class ResumableLoader(Protocol):
    """Batches that know where they are: after `load_state_dict` the next iteration yields those still to come."""

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the epoch, counting the batches that were handed out."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to that place."""
        ...


def loader_state(train: Iterable[Any]) -> dict[str, Any] | None:
    """Return the state of a `ResumableLoader`, and None of anything else."""
    return train.state_dict() if isinstance(train, ResumableLoader) else None


def load_loader_state(train: Iterable[Any], state: Mapping[str, Any] | None, *, finished: int) -> None:
    """Go on with `train` where `state` was taken, after `finished` batches of an epoch.

    Raises
    ------
    ValueError
        If `train` is not the kind of loader that `state` is of.
    """
    resumable = isinstance(train, ResumableLoader)
    if resumable != (state is not None):
        kinds = ("keeps its place", "does not keep its place") if resumable else ("does not keep its place", "did")
        raise ValueError(f"`train` {kinds[0]} but that of the saved run {kinds[1]}: give the same kind of loader.")
    if isinstance(train, ResumableLoader) and state is not None:
        train.load_state_dict(state)
    elif finished and not isinstance(train, Sequence):
        warnings.warn(
            f"`train` ({type(train).__qualname__}) does not keep its place: its first {finished} batches are skipped, "
            "which is right only if they come in the order of the saved run.",
            ResumeWarning,
            stacklevel=4,
        )


def remaining(train: Iterable[Any], *, finished: int) -> Iterator[Any]:
    """Iterate over the batches of an epoch that are still to come."""
    return iter(train) if isinstance(train, ResumableLoader) else islice(train, finished, None)
