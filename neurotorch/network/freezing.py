"""Freezing: which parts of a network training leaves as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from neurotorch.core.checks import nearest


def set_trainable(parts: Mapping[str, nn.Module], addresses: Sequence[str], *, trainable: bool) -> None:
    """Freeze or unfreeze all parameters of the `parts` at `addresses`.

    Raises
    ------
    ValueError
        If there is no part of that name, or none of its values is a parameter; then nothing is changed.
    """
    if not addresses:
        raise ValueError(f"Name at least one part of the network; there are {list(parts)}.")
    for address in addresses:
        if not isinstance(address, str):
            raise TypeError(f'A part is named {address!r}, but names are text: freeze("cortex", "readout.inputs").')
        if address not in parts:
            raise ValueError(f"The network has no part {address!r}; there are {list(parts)}.{nearest(address, parts)}")
        if not any(True for _ in parts[address].parameters()):
            raise ValueError(f"{address!r} holds no parameters: its values are fixed. Give them as learned(...).")
    for address in addresses:
        for parameter in parts[address].parameters():
            parameter.requires_grad_(trainable)
            if not trainable:
                parameter.grad = None
