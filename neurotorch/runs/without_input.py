"""One warning for a fit whose mask leaves neurons without input, in place of one for every network it builds."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from neurotorch.connections import NoInputWarning, without_input


@contextmanager
def said_once(mask: Tensor | None, names: Sequence[str]) -> Iterator[None]:
    """Warn of the neurons that `mask` leaves without input, by the names of the recording, and not again inside."""
    lonely = [] if mask is None or len(mask) != len(names) else [names[i] for i in without_input(mask)]
    if 0 < len(lonely) < len(names):
        listed = ", ".join(lonely[:8]) + (f" and {len(lonely) - 8} more" if len(lonely) > 8 else "")
        warnings.warn(
            f"`mask` leaves {len(lonely)} of the {len(names)} neurons without input from the others: {listed}. They "
            "are forecast from their own past alone.",
            NoInputWarning,
            stacklevel=4,
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoInputWarning)
        yield
