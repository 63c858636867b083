"""What an inference of types has found: which neurons, to which side, and how surely."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class UndecidedTypesWarning(UserWarning):
    """Types of neurons are still being inferred, so that Dale's law is not fixed yet."""


class InferredTypes(NamedTuple):
    r"""What is known of the types of presynaptic neurons, ``(pre,)`` each.

    Attributes
    ----------
    signs
        The types: -1, +1, 0 for a free neuron and for one that is not decided yet.
    inferred
        True for the neurons whose types were, or are, to be found.
    lean
        ``z_j = sum w / sqrt(sum w^2)`` over the weights that leave the neuron, at the moment when it was decided and
        before the law bound it: how far, in standard deviations, they lean to one side compared with weights of the
        same sizes whose signs are drawn by coin. NaN where it was not decided by inference.
    agreement
        ``|sum w| / sum |w|``, in 0..1, of the same weights: 1 where all of them had one sign already. NaN likewise.
    """

    signs: Tensor
    inferred: Tensor
    lean: Tensor
    agreement: Tensor

    @property
    def undecided(self) -> Tensor:
        """True for the neurons that are still being inferred."""
        return self.inferred & (self.signs == 0)

    @property
    def confidence(self) -> Tensor:
        """``erf(|z_j| / sqrt(2))`` in 0..1: how seldom signs drawn by coin lean less than this neuron's weights did.

        One minus it is the two-sided p-value of "the signs of this neuron's weights have nothing to do with each
        other", in the normal approximation of their sum. It orders neurons by how plainly their weights showed a type.
        It is not the probability that the type is right: that depends on whether the data determine the weights at all,
        and a fit that is wrong may be wrong with confidence. Of few targets it can never be high. NaN where a type was
        known or is not decided.
        """
        return torch.erf(self.lean.abs() / 2**0.5)


class Inference(nn.Module):
    """Which types are being inferred, and what was found: the part of a `Dale` object that `Dale.inferred` adds.

    Parameters
    ----------
    inferred : (pre,) bool
        True for the neurons whose types are to be found.
    """

    inferred: Tensor
    lean: Tensor
    agreement: Tensor

    def __init__(self, inferred: Tensor) -> None:
        super().__init__()
        self.register_buffer("inferred", inferred.detach().clone())
        for name in ("lean", "agreement"):
            self.register_buffer(name, torch.full(inferred.shape, torch.nan, device=inferred.device))

    def extra_repr(self) -> str:
        """Say how many types are to be found, decided ones included."""
        return f"inferred={int(self.inferred.sum())}"
