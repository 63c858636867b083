"""The report on neurons that no model can be fitted to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DeadNeurons:
    """Neurons that carry no usable signal; falsy when there are none.

    Infinite values are not listed: `Recording` refuses them.

    Parameters
    ----------
    constant : tuple of str
        Neurons whose value never changes in the frames inside trials that are not missing.
    nan : tuple of str
        Neurons that are NaN in at least one such frame.
    """

    constant: tuple[str, ...] = ()
    nan: tuple[str, ...] = ()

    @property
    def neurons(self) -> tuple[str, ...]:
        """The names of all of them, each once."""
        return tuple(dict.fromkeys(self.constant + self.nan))

    def __bool__(self) -> bool:
        return bool(self.constant or self.nan)

    def __str__(self) -> str:
        parts = [
            f"{len(names)} {what}: {listed(names)}"
            for what, names in (("constant", self.constant), ("with NaN", self.nan))
            if names
        ]
        return "; ".join(parts) or "no dead neurons"


def listed(names: tuple[str, ...], *, most: int = 8) -> str:
    """Return `names` as a text that stays short: the first `most` of them and how many more there are."""
    shown = ", ".join(repr(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
