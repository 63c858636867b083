"""What `Dale` refuses: signs that are none, and weights of the wrong sign."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from neurotorch.core.checks import listed


def checked_signs(signs: Tensor | Sequence[float]) -> Tensor:
    """Return a copy of `signs` as a floating vector, or raise if they are not one sign per presynaptic neuron."""
    try:
        vector = torch.as_tensor(signs).detach().clone()
    except (TypeError, ValueError, RuntimeError):
        vector = None
    if vector is None or vector.dtype == torch.bool or vector.is_complex():
        raise TypeError(
            f"`signs` is {signs!r:.80}, but it must hold the numbers -1, 0 and +1, one per presynaptic neuron: words "
            "for types go to `Dale.given`, transmitters to `Dale.from_transmitters`."
        )
    if not vector.is_floating_point():
        vector = vector.to(torch.get_default_dtype())
    if vector.ndim != 1 or vector.numel() == 0:
        raise ValueError(
            f"`signs` has shape {tuple(vector.shape)}, but it must be (pre,): one sign per presynaptic neuron."
        )
    if vector.is_meta:
        return vector
    wrong = (vector != 0) & (vector.abs() != 1)
    if wrong.any():
        place = int(wrong.nonzero()[0])
        value = float(vector[place])
        raise ValueError(
            f"`signs` holds {int(wrong.sum())} values other than -1, 0 and +1, the first at neuron {place} "
            f"({value:g}): "
            f"{'give neurons of unknown type the sign 0.' if math.isnan(value) else 'pass `torch.sign(signs)`.'}"
        )
    return vector


def check_signs(weight: Tensor, signs: Tensor) -> None:
    """Raise if entries of `weight` have another sign than their presynaptic neurons, which are named."""
    wrong = (signs * weight.sign() < 0).reshape(-1, len(signs)).sum(dim=0)
    if not wrong.any():
        return
    neurons = [int(j) for j in wrong.nonzero().flatten()]
    named = [f"{j} ({'excitatory' if signs[j] > 0 else 'inhibitory'}, {int(wrong[j])} wrong)" for j in neurons]
    raise ValueError(
        f"`weight` breaks Dale's law at {int(wrong.sum())} entries, of the presynaptic neurons (columns) "
        f"{listed(named)}: change the signs of these columns, or build Dale with other `signs` (0 leaves a neuron "
        "free)."
    )
