"""The gap junctions of a blueprint."""

from __future__ import annotations

import torch
from torch import Tensor

from neurotorch.connections import ElectricalConnection
from neurotorch.core.checks import check_finite


def check_junctions(electrical: Tensor) -> None:
    """Raise unless `electrical` is a symmetric mask of bools or strengths of at least 0, with at least one junction."""
    if not isinstance(electrical, Tensor):
        raise TypeError(
            f"`electrical` is a {type(electrical).__name__}, but it must be a tensor (neuron, neuron): a mask of "
            "bools or strengths. A connection is built from it for the recording."
        )
    if electrical.dim() != 2 or electrical.shape[0] != electrical.shape[1]:
        raise ValueError(f"`electrical` has shape {tuple(electrical.shape)}, but it must be (neuron, neuron).")
    if electrical.dtype == torch.bool and not torch.equal(electrical, electrical.t()):
        raise ValueError("`electrical` is not symmetric, but a junction joins both neurons: use mask | mask.T.")
    if electrical.dtype != torch.bool:
        check_finite("electrical", electrical)
        if bool((electrical < 0).any()):
            raise ValueError("`electrical` holds negative numbers, but the strength of a junction is at least 0.")
    if not bool(exists(electrical).any()):
        raise ValueError("`electrical` holds no junction between different neurons: leave it out.")


def exists(electrical: Tensor) -> Tensor:
    """Return where there are junctions, in both directions."""
    there = electrical != 0
    return (there | there.t()) & ~torch.eye(len(there), dtype=torch.bool, device=there.device)


def junctions_of(electrical: Tensor, count: int, *, coupling: float) -> ElectricalConnection:
    """Return junctions whose strengths are to each other as in `electrical`, and add up to at most `coupling`."""
    if len(electrical) != count:
        raise ValueError(
            f"`electrical` is of {len(electrical)} neurons, but the recording has {count}: take those of the "
            "recording, in its order, as by `connectome.matched(recording.neurons).strength`."
        )
    table = electrical.detach().cpu().double()
    strength = ((table + table.t()) / 2).fill_diagonal_(0)
    return ElectricalConnection.from_adjacency(strength, scale=coupling / float(strength.sum(1).max()))
