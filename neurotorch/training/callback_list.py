"""The callbacks of a trainer, in the order in which they are called."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from neurotorch.training.callback import Callback
from neurotorch.training.environment import ResumeWarning

if TYPE_CHECKING:
    from neurotorch.training.trainer import Trainer


class CallbackList:
    """Callbacks in the order given, save that those with ``runs_last`` come after the others.

    Each is known by its class and its place among those of that class (``"EarlyStopping.0"``), so that adding a
    callback of another class does not confuse a saved run.
    """

    def __init__(self, callbacks: Iterable[Callback]) -> None:
        if isinstance(callbacks, Callback):
            raise TypeError(f"`callbacks` is one {type(callbacks).__name__}, but it must be a list of them: [...].")
        given = list(callbacks)
        for callback in given:
            if not isinstance(callback, Callback):
                raise TypeError(
                    f"`callbacks` holds {callback!r}, but it must hold objects of subclasses of `Callback`."
                )
        self._named: dict[str, Callback] = {}
        for callback in sorted(given, key=lambda callback: callback.runs_last):
            name = type(callback).__name__
            place = sum(known.startswith(f"{name}.") for known in self._named)
            self._named[f"{name}.{place}"] = callback

    def __iter__(self) -> Iterator[Callback]:
        return iter(self._named.values())

    def __len__(self) -> int:
        return len(self._named)

    def call(self, hook: str, trainer: Trainer, *arguments: Any) -> None:
        """Call `hook` of each callback."""
        for callback in self:
            getattr(callback, hook)(trainer, *arguments)

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """Return the states of the callbacks that have one, by name."""
        return {name: state for name, callback in self._named.items() if (state := callback.state_dict())}

    def load_state_dict(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Give each callback its state; a `ResumeWarning` names those that are in the saved run or in this one only."""
        if unlike := sorted(self.state_dict().keys() ^ state.keys()):
            text = (
                f"Of the saved run and this one, only one has these callbacks: {unlike}. Give the same to continue it."
            )
            warnings.warn(text, ResumeWarning, stacklevel=4)
        for name in self._named.keys() & state.keys():
            self._named[name].load_state_dict(state[name])
